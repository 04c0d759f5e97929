//! `cargo bench --bench compile`: what a stack adds to the release build of a program that only has a client, in time and in
//! the size of the program.
//!
//! It begins with nothing compiled, in a target directory of its own, and takes minutes: with `--quick` it does nothing.
//!
//! What is timed is the build of the program and of the packages that only the stack brings. What it shares with the program
//! without a stack is compiled before.

use anyhow::{Context as _, Result, ensure};
use benches::{directory, quantile};
use serde::Serialize;
use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command, time::Instant};

const PROGRAM: &str = "client-only";

/// What is in the program's stack, and the program's feature for it.
const VARIANTS: [(&str, &str); 3] = [
    ("no stack", ""),
    ("the README's layers", "stack"),
    ("every ready-made layer", "every-layer"),
];

/// How often each is built.
const TURNS: usize = 3;

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// How many packages it has that the program without a stack has not.
    packages: usize,
    /// Those packages and the program: the median.
    build_seconds: f64,
    size_mib: f64,
}

#[derive(Serialize)]
struct Summary {
    /// All of the program without a stack, from nothing.
    plain_seconds: f64,
    rows: Vec<Row>,
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
    if cargo.target.exists() {
        fs::remove_dir_all(&cargo.target)?;
    }

    let plain = cargo.packages("")?;
    let plain_seconds = cargo.build("")?;
    let mut added = Vec::new();
    for (_, features) in VARIANTS {
        let packages = cargo.packages(features)?;
        added.push(packages.difference(&plain).cloned().collect::<Vec<_>>());
        cargo.build(features)?;
    }
    let mut builds = vec![Vec::new(); VARIANTS.len()];
    let mut sizes = vec![0; VARIANTS.len()];
    for _ in 0..TURNS {
        for (variant, (_, features)) in VARIANTS.iter().enumerate() {
            cargo.clean(&added[variant])?;
            builds[variant].push(cargo.build(features)?);
            sizes[variant] = fs::metadata(cargo.target.join("release").join(PROGRAM))?.len();
        }
    }
    let rows = VARIANTS.iter().enumerate().map(|(variant, (name, _))| Row {
        name,
        packages: added[variant].len(),
        build_seconds: quantile(&mut builds[variant], 0.5),
        size_mib: sizes[variant] as f64 / f64::from(1 << 20),
    });
    let summary = Summary {
        plain_seconds,
        rows: rows.collect(),
    };

    println!("Without a stack, from nothing: {plain_seconds:.0} s.\n");
    println!("| | packages more | they and the program, s | its size, MiB |");
    println!("|---|---:|---:|---:|");
    for row in &summary.rows {
        println!(
            "| {} | {} | {:.1} | {:.1} |",
            row.name, row.packages, row.build_seconds, row.size_mib
        );
    }
    fs::write(
        directory.join("compile.json"),
        serde_json::to_string_pretty(&summary)?,
    )?;
    Ok(())
}

struct Cargo {
    target: PathBuf,
}

impl Cargo {
    fn command(&self, command: &str) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .arg(command)
            .args(["--package", PROGRAM])
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo
    }

    /// What the program is made of with these features. Versions are left out: cargo forgets all of a package.
    fn packages(&self, features: &str) -> Result<BTreeSet<String>> {
        let output = self
            .command("tree")
            .args(["--features", features, "--edges", "normal,build"])
            .args(["--prefix", "none", "--format", "{p}"])
            .output()?;
        ensure!(output.status.success(), "cargo tree: {}", output.status);
        String::from_utf8(output.stdout)?
            .lines()
            .map(|line| {
                let (name, _) = line.split_once(' ').context("a package has a version")?;
                Ok(name.to_owned())
            })
            .collect()
    }

    /// Builds the program, and says how many seconds it took.
    fn build(&self, features: &str) -> Result<f64> {
        let start = Instant::now();
        let status = self
            .command("build")
            .args(["--release", "--features", features])
            .status()?;
        ensure!(status.success(), "{PROGRAM} does not build: {status}");
        Ok(start.elapsed().as_secs_f64())
    }

    /// Forgets the program and these packages.
    fn clean(&self, packages: &[String]) -> Result<()> {
        let status = self
            .command("clean")
            .arg("--release")
            .args(packages.iter().flat_map(|package| ["--package", package]))
            .status()?;
        ensure!(status.success(), "cargo clean: {status}");
        Ok(())
    }
}
