//! `cargo bench --bench compile`: what a stack adds to the release build of a program that only has a client, in time and in
//! the size of the program.
//!
//! Each build begins with nothing compiled, in a target directory of its own, and takes minutes: with `--quick` it does nothing.

use anyhow::{Context as _, Result, ensure};
use benches::directory;
use serde::Serialize;
use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command, time::Instant};

const PROGRAM: &str = "client-only";

/// What is in the program's stack, and the program's feature for it.
const VARIANTS: [(&str, &str); 3] = [
    ("no stack", ""),
    ("the README's layers", "stack"),
    ("every ready-made layer", "every-layer"),
];

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// How many packages there are.
    packages: usize,
    seconds: f64,
    size_mib: f64,
}

fn main() -> Result<()> {
    if env::args().any(|argument| argument == "--quick") {
        println!("builds are left out: they take minutes");
        return Ok(());
    }
    let directory = directory(env!("CARGO_BIN_EXE_count-allocations"));
    let cargo = Cargo {
        target: directory.join("compile"),
    };
    let mut rows = Vec::new();
    for (name, features) in VARIANTS {
        rows.push(Row {
            name,
            packages: cargo.packages(features)?,
            seconds: cargo.build(features)?,
            size_mib: cargo.size()? as f64 / f64::from(1 << 20),
        });
        cargo.forget()?;
    }

    println!("| | packages | build from nothing, s | program, MiB |");
    println!("|---|---:|---:|---:|");
    for row in &rows {
        println!(
            "| {} | {} | {:.0} | {:.1} |",
            row.name, row.packages, row.seconds, row.size_mib
        );
    }
    let summary = serde_json::to_string_pretty(&rows)?;
    fs::write(directory.join("compile.json"), summary)?;
    Ok(())
}

struct Cargo {
    target: PathBuf,
}

impl Cargo {
    fn command(&self, command: &str, features: &str) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .arg(command)
            .args(["--package", PROGRAM, "--features", features])
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo
    }

    /// Of how many packages the program is made.
    fn packages(&self, features: &str) -> Result<usize> {
        let output = self
            .command("tree", features)
            .args(["--edges", "normal,build"])
            .args(["--prefix", "none", "--format", "{p}"])
            .output()?;
        ensure!(output.status.success(), "cargo tree: {}", output.status);
        let tree = String::from_utf8(output.stdout)?;
        let packages: BTreeSet<_> = tree.lines().collect();
        Ok(packages.len())
    }

    /// Builds the program from nothing, and says how many seconds it took.
    fn build(&self, features: &str) -> Result<f64> {
        self.forget()?;
        let start = Instant::now();
        let status = self.command("build", features).arg("--release").status()?;
        ensure!(status.success(), "{PROGRAM} does not build: {status}");
        Ok(start.elapsed().as_secs_f64())
    }

    /// Of the program, in bytes.
    fn size(&self) -> Result<u64> {
        let program = self.target.join("release").join(PROGRAM);
        let metadata = fs::metadata(&program).with_context(|| program.display().to_string())?;
        Ok(metadata.len())
    }

    fn forget(&self) -> Result<()> {
        if self.target.exists() {
            fs::remove_dir_all(&self.target)?;
        }
        Ok(())
    }
}
