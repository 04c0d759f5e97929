//! Measures the overhead of stacks and of the SDK's interceptors.
use benches::{callgrind, cases};
use std::process::Command;

fn main() -> anyhow::Result<()> {
    let cases = cases();
    if std::env::args().any(|argument| argument == "--under-callgrind") {
        callgrind::run(&cases);
        return Ok(());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_count-allocations")).output()?;
    let allocations: Vec<f64> = serde_json::from_slice(&output.stdout)?;
    let dir = tempfile::tempdir()?;
    let mut program = Command::new(std::env::current_exe()?);
    program.arg("--under-callgrind");
    let instructions = callgrind::count(&mut program, dir.path(), cases.len())?.unwrap();
    for ((case, allocations), instructions) in cases.iter().zip(allocations).zip(instructions) {
        println!("{case:?}: {allocations} allocations, {instructions} instructions");
    }
    Ok(())
}
