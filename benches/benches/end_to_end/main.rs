//! `cargo bench --bench end_to_end`: whole workflows on a real dev server, with no interceptors, with the SDK's own, and with
//! stacks of every ready-made layer that only observes.
//!
//! All run in turns, and what counts is the ratio within a turn: the server's own speed varies by more than the stacks cost.

mod memory;
mod workload;

use anyhow::Result;
use benches::{directory, quantile};
use serde::Serialize;
use std::{env, fs, time::Duration};
use tower_temporal_test::DevServer;
use workload::{Round, VARIANTS, Worker};

/// Workflows in a turn.
const WORKFLOWS: usize = 200;

#[derive(Serialize)]
struct Summary {
    variants: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    workflows_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// The median and the quartiles of the throughput's ratio to that of no interceptors in the same turn.
    ratio: f64,
    ratio_quartiles: (f64, f64),
    /// Resident memory after so many workflows, in a process of its own.
    memory_mib: Option<f64>,
}

fn main() -> Result<()> {
    if let Some(variant) = memory::asked_for() {
        return memory::report(variant);
    }
    let quick = env::args().any(|argument| argument == "--quick");
    let turns = if quick { 3 } else { 30 };
    let runtime = tokio::runtime::Runtime::new()?;
    let rounds = runtime.block_on(measure(turns))?;
    let memory = if quick {
        VARIANTS.iter().map(|_| None).collect()
    } else {
        memory::measure()?
    };
    let summary = summarise(&rounds, &memory);

    println!(
        "| | workflows/s | p50 ms | p99 ms | ratio (quartiles) | memory after {} |",
        memory::WORKFLOWS
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for row in &summary.variants {
        println!(
            "| {} | {:.0} | {:.1} | {:.1} | {:.3} ({:.3} … {:.3}) | {} |",
            row.name,
            row.workflows_per_second,
            row.p50_ms,
            row.p99_ms,
            row.ratio,
            row.ratio_quartiles.0,
            row.ratio_quartiles.1,
            row.memory_mib
                .map_or_else(|| "–".to_owned(), |mib| format!("{mib:.1} MiB")),
        );
    }
    let directory = directory(env!("CARGO_BIN_EXE_count-allocations"));
    fs::create_dir_all(&directory)?;
    fs::write(
        directory.join("end_to_end.json"),
        serde_json::to_string_pretty(&summary)?,
    )?;
    Ok(())
}

/// What each variant did in each turn.
async fn measure(turns: usize) -> Result<Vec<Vec<Round>>> {
    let server = DevServer::start().await?;
    let mut workers = Vec::new();
    for variant in VARIANTS {
        workers.push(Worker::start(&server, variant).await?);
    }
    let mut rounds: Vec<Vec<_>> = VARIANTS.iter().map(|_| Vec::new()).collect();
    for worker in &workers {
        // Pollers, caches and the server's own tables are warm after this.
        worker.run(WORKFLOWS).await?;
    }
    for turn in 0..turns {
        // Nobody is always the first of a turn.
        for i in 0..workers.len() {
            let variant = (turn + i) % workers.len();
            rounds[variant].push(workers[variant].run(WORKFLOWS).await?);
        }
    }
    for worker in workers {
        worker.stop().await?;
    }
    Ok(rounds)
}

fn summarise(rounds: &[Vec<Round>], memory: &[Option<f64>]) -> Summary {
    let base = &rounds[0];
    let row = |variant: usize| {
        let own = &rounds[variant];
        let mut ratios: Vec<_> = own
            .iter()
            .zip(base)
            .map(|(own, base)| base.elapsed.as_secs_f64() / own.elapsed.as_secs_f64())
            .collect();
        let mut seconds: Vec<_> = own
            .iter()
            .map(|round| round.elapsed.as_secs_f64())
            .collect();
        let mut latencies: Vec<_> = own
            .iter()
            .flat_map(|round| &round.latencies)
            .map(Duration::as_secs_f64)
            .collect();
        Row {
            name: VARIANTS[variant].name(),
            workflows_per_second: WORKFLOWS as f64 / quantile(&mut seconds, 0.5),
            p50_ms: quantile(&mut latencies, 0.5) * 1e3,
            p99_ms: quantile(&mut latencies, 0.99) * 1e3,
            ratio: quantile(&mut ratios, 0.5),
            ratio_quartiles: (quantile(&mut ratios, 0.25), quantile(&mut ratios, 0.75)),
            memory_mib: memory[variant],
        }
    };
    Summary {
        variants: (0..VARIANTS.len()).map(row).collect(),
    }
}
