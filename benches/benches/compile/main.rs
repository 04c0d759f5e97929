//! `cargo bench --bench compile`: what a stack adds to the release build of a program that only has a client, in time and in
//! the size of the program.
//!
//! It begins with nothing compiled, in a target directory of its own, and takes minutes: with `--quick` it does nothing.

use anyhow::{Result, ensure};
use benches::{directory, quantile};
use serde::Serialize;
use std::{
    env,
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Instant, SystemTime},
};

const PROGRAM: &str = "client-only";

/// What is in the program's stack, and the program's feature for it.
const VARIANTS: [(&str, &str); 3] = [
    ("no stack", ""),
    ("the README's layers", "stack"),
    ("every ready-made layer", "every-layer"),
];

/// How often the program is compiled with each.
const TURNS: usize = 5;

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Of the program, and of what no variant before has compiled already.
    first_build_seconds: f64,
    /// Of the program alone, after a change: the median.
    rebuild_seconds: f64,
    size_mib: f64,
}

fn main() -> Result<()> {
    if env::args().any(|argument| argument == "--quick") {
        println!("builds are left out: they take minutes");
        return Ok(());
    }
    let directory = directory(env!("CARGO_BIN_EXE_count-allocations"));
    let target = directory.join("compile");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;

    let mut rows = Vec::new();
    for (name, features) in VARIANTS {
        let first_build_seconds = build(&target, features)?;
        let size = fs::metadata(target.join("release").join(PROGRAM))?.len();
        rows.push(Row {
            name,
            first_build_seconds,
            rebuild_seconds: 0.0,
            size_mib: size as f64 / f64::from(1 << 20),
        });
    }
    let mut rebuilds = vec![Vec::new(); VARIANTS.len()];
    for _ in 0..TURNS {
        for (variant, (_, features)) in VARIANTS.iter().enumerate() {
            change_program()?;
            rebuilds[variant].push(build(&target, features)?);
        }
    }
    for (row, seconds) in rows.iter_mut().zip(&mut rebuilds) {
        row.rebuild_seconds = quantile(seconds, 0.5);
    }

    println!("| | first build, s | rebuild of the program, s | program, MiB |");
    println!("|---|---:|---:|---:|");
    for row in &rows {
        println!(
            "| {} | {:.0} | {:.1} | {:.1} |",
            row.name, row.first_build_seconds, row.rebuild_seconds, row.size_mib
        );
    }
    let summary = serde_json::to_string_pretty(&rows)?;
    fs::write(directory.join("compile.json"), summary)?;
    Ok(())
}

/// Builds the program, and says how many seconds it took.
fn build(target: &Path, features: &str) -> Result<f64> {
    let start = Instant::now();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", PROGRAM])
        .args(["--features", features, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    ensure!(status.success(), "{PROGRAM} does not build: {status}");
    Ok(start.elapsed().as_secs_f64())
}

/// Makes cargo take the program's source for a new one.
fn change_program() -> Result<()> {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("client-only/src/main.rs");
    Ok(File::options()
        .append(true)
        .open(main)?
        .set_modified(SystemTime::now())?)
}
