//! Prints the allocations per call of each case, as JSON. It is a program of its own, since counting costs instructions.

use benches::cases;

const CALLS: u32 = 2000;

fn main() {
    let counts: Vec<_> = cases()
        .into_iter()
        .map(|case| {
            case.run(case.step);
            let counted = allocation_counter::measure(|| case.run(CALLS));
            counted.count_total as f64 / f64::from(CALLS)
        })
        .collect();
    println!(
        "{}",
        serde_json::to_string(&counts).expect("numbers are JSON")
    );
}
