//! `cargo bench`: what stacks and interceptors add to a call. Writes a table, `target/bench/summary.json` and plots.
//!
//! `cargo bench -- --quick` takes fewer samples of the time; the counts are exact either way.

mod plot;
mod summary;
mod time;

use anyhow::{Context, Result};
use benches::{Case, callgrind, cases, directory};
use std::{env, fs, process::Command};
use summary::Summary;

const UNDER_CALLGRIND: &str = "--under-callgrind";

fn main() -> Result<()> {
    let cases = cases();
    let mut arguments = env::args().skip_while(|argument| argument != UNDER_CALLGRIND);
    if let Some(case) = arguments.nth(1) {
        callgrind::run(&cases[case.parse::<usize>()?]);
        return Ok(());
    }
    let is_quick = env::args().any(|argument| argument == "--quick");

    eprintln!("counting allocations");
    let allocations = allocations()?;
    eprintln!("counting instructions");
    let instructions = instructions(&cases)?;
    if instructions.is_none() {
        eprintln!("valgrind is not installed: instructions are skipped");
    }
    eprintln!("measuring time");
    let nanoseconds = time::measure(&cases, if is_quick { 30 } else { 300 });

    let summary = Summary::new(&cases, &allocations, instructions.as_deref(), &nanoseconds);
    let directory = directory(env!("CARGO_BIN_EXE_count-allocations"));
    fs::create_dir_all(&directory)?;
    fs::write(
        directory.join("summary.json"),
        serde_json::to_string_pretty(&summary)?,
    )?;
    plot::write(&summary, &directory)?;
    println!("{summary}");
    println!("{} has summary.json and the plots", directory.display());
    Ok(())
}

fn allocations() -> Result<Vec<f64>> {
    let output = Command::new(env!("CARGO_BIN_EXE_count-allocations")).output()?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!("allocations could not be counted: {stderr}")
    })
}

fn instructions(cases: &[Case]) -> Result<Option<Vec<f64>>> {
    let this = env::current_exe()?;
    let program = |case: usize| {
        let mut program = Command::new(&this);
        program.args([UNDER_CALLGRIND, &case.to_string()]);
        program
    };
    callgrind::count(program, cases)
}
