//! Instructions per call: a process for each case runs it under valgrind's callgrind, and what that wrote is read.
//!
//! Callgrind counts inside `counted` only. So a case is warm when it is counted, and no other code is.

use crate::Case;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    hint::black_box,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const CALLS: u32 = 100;
/// A copy takes more instructions or fewer with the alignment of what it copies, so each count is the mean over some
/// positions of the stack. The environment is below it.
const STACKS: [usize; 4] = [0, 16, 32, 48];
/// What glibc's `malloc` takes depends on what else has been freed: it has a quick path, for up to seven blocks of a size, and
/// slow ones, which cost hundreds of instructions and move from case to case. With room for more, each case takes the quick one.
const MALLOC: &str = "glibc.malloc.tcache_count=127:glibc.malloc.tcache_max=65536";
const COUNTED: &str = "benches::callgrind::counted";

/// Runs the case for callgrind to see.
pub fn run(case: &Case) {
    case.run(case.step);
    counted(case);
}

#[inline(never)]
fn counted(case: &Case) {
    black_box(case).run(CALLS);
}

/// Has callgrind run `program` for each case, and returns the instructions per call. `program` is given a case's number and calls
/// [`run`] with it.
///
/// `None`: there is no valgrind here.
pub fn count(program: impl Fn(usize) -> Command + Sync, cases: usize) -> Result<Option<Vec<f64>>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut counts = Vec::new();
        loop {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= cases {
                return anyhow::Ok(counts);
            }
            let file = directory.path().join(case.to_string());
            let mut sum = 0.0;
            for stack in STACKS {
                sum += count_once(program(case).env("STACK", "x".repeat(stack)), &file)?;
            }
            counts.push((case, sum / STACKS.len() as f64));
        }
    };
    let workers = thread::available_parallelism()?.get();
    let mut counts = vec![0.0; cases];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let counted: Vec<_> = worker.join().expect("it does not panic")?;
            for (case, count) in counted {
                counts[case] = count;
            }
        }
        anyhow::Ok(())
    })?;
    Ok(Some(counts))
}

fn count_once(program: &Command, file: &Path) -> Result<f64> {
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program.get_program())
        .args(program.get_args())
        .env("GLIBC_TUNABLES", MALLOC)
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .output()
        .context("valgrind could not be run")?;
    if !output.status.success() {
        bail!(
            "valgrind failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let total: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .with_context(|| format!("{} has no totals", file.display()))?
        .trim()
        .parse()?;
    Ok(total / f64::from(CALLS))
}
