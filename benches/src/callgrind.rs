//! Instructions per call: a process runs the cases under valgrind's callgrind and reads what that wrote.
//!
//! Callgrind counts inside `counted` only, and writes a file before each `next_case`. So each case is warm when it is
//! counted, and no other code is.

use crate::Case;
use anyhow::{Context, Result, bail};
use std::{fs, hint::black_box, path::Path, process::Command};

const CALLS: u32 = 100;
/// A copy takes more instructions or fewer with the alignment of what it copies, so each count is the mean over some
/// positions of the stack. The environment is below it.
const STACKS: [usize; 4] = [0, 16, 32, 48];
/// What glibc's `malloc` takes depends on what else has been freed: it has a quick path, for up to seven blocks of a size, and
/// slow ones, which cost hundreds of instructions and move from case to case. With room for more, each case takes the quick one.
const MALLOC: &str = "glibc.malloc.tcache_count=127:glibc.malloc.tcache_max=65536";
const COUNTED: &str = "benches::callgrind::counted";
const NEXT_CASE: &str = "benches::callgrind::next_case";

/// Runs the cases for callgrind to see.
pub fn run(cases: Vec<Case>) {
    for case in cases {
        case.run(case.step);
        counted(&case);
        next_case();
    }
}

#[inline(never)]
fn counted(case: &Case) {
    black_box(case).run(CALLS);
}

#[inline(never)]
fn next_case() {
    black_box(());
}

/// Has callgrind run `program`, which calls [`run`], and returns the instructions per call of each case.
///
/// `None`: there is no valgrind here.
pub fn count(program: &mut Command, directory: &Path, cases: usize) -> Result<Option<Vec<f64>>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(None);
    }
    let mut sums = vec![0.0; cases];
    for stack in STACKS {
        let counts = count_once(program.env("STACK", "x".repeat(stack)), directory, cases)?;
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count / STACKS.len() as f64;
        }
    }
    Ok(Some(sums))
}

fn count_once(program: &Command, directory: &Path, cases: usize) -> Result<Vec<f64>> {
    let file = directory.join("callgrind.out");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-before={NEXT_CASE}"))
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
    (1..=cases)
        .map(|case| instructions(&file.with_extension(format!("out.{case}"))))
        .collect()
}

fn instructions(file: &Path) -> Result<f64> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let total: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .with_context(|| format!("{} has no totals", file.display()))?
        .trim()
        .parse()?;
    Ok(total / f64::from(CALLS))
}
