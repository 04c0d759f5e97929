//! Instructions per call: a process for each case runs it under valgrind's callgrind, and what that wrote is read.
//!
//! Callgrind counts inside `counted` only. So a case is warm when it is counted, and no other code is. With several cases in a
//! process, each would find the heap as those before have left it, which moves its count by hundreds.

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
            counts.push((case, count_case(&program(case), &file)?));
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

fn count_case(program: &Command, file: &Path) -> Result<f64> {
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program.get_program())
        .args(program.get_args())
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
