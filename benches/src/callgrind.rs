//! Instructions per call: a process for each case runs it under valgrind's callgrind, and what that wrote is read.
//!
//! Callgrind counts inside `counted` only. So a case is warm when it is counted, and no other code is.
//!
//! What `malloc` costs depends on what is free: in one heap and another the same call comes to counts that differ by hundreds.
//! So each case is counted in several, and the mean is taken. They are the same ones for every case, which is why each case has
//! a process of its own.

use crate::Case;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    hint::black_box,
    mem,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// How many heaps a case is counted in.
const HEAPS: u64 = 16;
/// How many calls are counted in each, at the least.
const CALLS: u32 = 20;
const COUNTED: &str = "benches::callgrind::counted";

/// Runs the case for callgrind to see.
pub fn run(case: &Case) {
    for heap in 0..HEAPS {
        make_holes(heap);
        case.run(calls(case));
        counted(case);
    }
}

#[inline(never)]
fn counted(case: &Case) {
    black_box(case).run(calls(case));
}

fn calls(case: &Case) -> u32 {
    CALLS.next_multiple_of(case.step)
}

/// Leaves blocks of any size on the heap, and holes between them.
fn make_holes(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut blocks: Vec<_> = (0..400)
        .map(|_| black_box(Vec::<u8>::with_capacity(random.usize(1..4_096))))
        .collect();
    blocks.retain(|_| random.bool());
    mem::forget(blocks);
}

/// Has callgrind run `program` for each case, and returns the instructions per call. `program` is given a case's number and calls
/// [`run`] with it.
///
/// `None`: there is no valgrind here.
pub fn count(
    program: impl Fn(usize) -> Command + Sync,
    cases: &[Case],
) -> Result<Option<Vec<f64>>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let mut counts = vec![0.0; cases.len()];
    let number = counts.len();
    let work = || {
        let mut totals = Vec::new();
        loop {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= number {
                return anyhow::Ok(totals);
            }
            let file = directory.path().join(case.to_string());
            totals.push((case, total(&program(case), &file)?));
        }
    };
    let workers = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let totals: Vec<_> = worker.join().expect("it does not panic")?;
            for (case, total) in totals {
                counts[case] = total / (HEAPS * u64::from(calls(&cases[case]))) as f64;
            }
        }
        anyhow::Ok(())
    })?;
    Ok(Some(counts))
}

/// The instructions of all calls that are counted.
fn total(program: &Command, file: &Path) -> Result<f64> {
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
    text.lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .with_context(|| format!("{} has no totals", file.display()))?
        .trim()
        .parse()
        .context("a total is a number")
}
