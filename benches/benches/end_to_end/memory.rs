//! Memory after many workflows. Each variant is measured in a process, and with a server, of its own.

use crate::workload::{VARIANTS, Variant, Worker};
use anyhow::{Context, Result, bail};
use std::{env, fs, process::Command};
use tower_temporal_test::DevServer;

/// After how many workflows.
pub(crate) const WORKFLOWS: usize = 10_000;
const ARGUMENT: &str = "--memory-of";
const AT_ONCE: usize = 200;

/// The variant this process is to report the memory of.
pub(crate) fn asked_for() -> Option<Variant> {
    let mut arguments = env::args().skip_while(|argument| argument != ARGUMENT);
    arguments.next()?;
    let name = arguments.next()?;
    VARIANTS.into_iter().find(|variant| variant.name() == name)
}

/// The resident memory of each variant, in MiB; nothing where the system does not tell it.
pub(crate) fn measure() -> Result<Vec<Option<f64>>> {
    VARIANTS
        .iter()
        .map(|variant| {
            let output = Command::new(env::current_exe()?)
                .args([ARGUMENT, variant.name()])
                .output()?;
            if !output.status.success() {
                bail!("{}", String::from_utf8_lossy(&output.stderr));
            }
            Ok(String::from_utf8(output.stdout)?.trim().parse().ok())
        })
        .collect()
}

/// Runs the workflows and prints the memory.
pub(crate) fn report(variant: Variant) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let server = DevServer::start().await?;
        let worker = Worker::start(&server, variant).await?;
        for _ in 0..WORKFLOWS / AT_ONCE {
            worker.run(AT_ONCE).await?;
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let kib: f64 = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))
                .and_then(|value| value.split_whitespace().next())
                .context("the system tells no VmRSS")?
                .parse()?;
            println!("{}", kib / 1024.0);
        }
        worker.stop().await
    })
}
