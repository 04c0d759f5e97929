//! Time per call.
//!
//! All cases take turns, a few milliseconds each, so that what else the machine does falls on all of them alike. That is
//! why this is no criterion benchmark: criterion runs one case after the other.

use benches::{Case, quantile};
use std::time::{Duration, Instant};

const TURN: Duration = Duration::from_millis(4);

/// The median time per call of each case, in nanoseconds.
pub(crate) fn measure(cases: &[Case], turns: usize) -> Vec<f64> {
    let calls: Vec<u32> = cases.iter().map(calls_per_turn).collect();
    let mut samples = vec![Vec::with_capacity(turns); cases.len()];
    for _ in 0..turns {
        for ((case, calls), samples) in cases.iter().zip(&calls).zip(&mut samples) {
            samples.push(per_call(case, *calls));
        }
    }
    samples
        .iter_mut()
        .map(|samples| quantile(samples, 0.5))
        .collect()
}

fn calls_per_turn(case: &Case) -> u32 {
    let mut calls = case.step;
    while per_call(case, calls) * f64::from(calls) < TURN.as_nanos() as f64 {
        calls *= 2;
    }
    calls
}

fn per_call(case: &Case, calls: u32) -> f64 {
    // What ran before has left its code and data in the caches.
    case.run(case.step);
    let start = Instant::now();
    case.run(calls);
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
