//! The numbers, as JSON and as a table.

use benches::{
    Case, LAYERS, Variant,
    ready_made::{NOTHING, SCENARIO},
};
use serde::Serialize;
use std::fmt;

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) scenarios: Vec<Scenario>,
    /// What each ready-made layer adds to a stack that does nothing.
    pub(crate) ready_made: Vec<ReadyMade>,
}

/// A ready-made layer.
#[derive(Serialize)]
pub(crate) struct ReadyMade {
    pub(crate) layer: String,
    pub(crate) added: Cost,
}

/// One call.
#[derive(Serialize)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What the call costs with nothing around it.
    pub(crate) base: Cost,
    pub(crate) layers: Vec<Added>,
}

/// What so many layers add to a call.
#[derive(Serialize)]
pub(crate) struct Added {
    pub(crate) layers: usize,
    pub(crate) sdk: Cost,
    pub(crate) tower: Cost,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) allocations: f64,
    pub(crate) instructions: Option<f64>,
    pub(crate) nanoseconds: f64,
}

impl Cost {
    fn beyond(self, base: Self) -> Self {
        Self {
            allocations: self.allocations - base.allocations,
            instructions: self
                .instructions
                .zip(base.instructions)
                .map(|(own, base)| own - base),
            nanoseconds: self.nanoseconds - base.nanoseconds,
        }
    }
}

impl Summary {
    pub(crate) fn new(
        cases: &[Case],
        allocations: &[f64],
        instructions: Option<&[f64]>,
        nanoseconds: &[f64],
    ) -> Self {
        let cost = |name, variant| {
            let index = cases
                .iter()
                .position(|case| case.scenario == name && case.variant == variant)
                .expect("every scenario has every variant");
            Cost {
                allocations: allocations[index],
                instructions: instructions.map(|counts| counts[index]),
                nanoseconds: nanoseconds[index],
            }
        };
        let mut names: Vec<_> = cases.iter().map(|case| case.scenario).collect();
        names.dedup();
        names.retain(|name| *name != SCENARIO);
        let scenario = |name| {
            let base = cost(name, Variant::None);
            Scenario {
                name,
                base,
                layers: LAYERS
                    .map(|n| Added {
                        layers: n,
                        sdk: cost(name, Variant::Sdk(n)).beyond(base),
                        tower: cost(name, Variant::Tower(n)).beyond(base),
                    })
                    .into(),
            }
        };
        let nothing = cost(SCENARIO, NOTHING);
        let ready_made = cases
            .iter()
            .filter(|case| case.scenario == SCENARIO && case.variant != NOTHING)
            .map(|case| ReadyMade {
                layer: case.variant.to_string(),
                added: cost(SCENARIO, case.variant).beyond(nothing),
            });
        Self {
            scenarios: names.into_iter().map(scenario).collect(),
            ready_made: ready_made.collect(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scenario in &self.scenarios {
            let base = scenario.base;
            write!(
                f,
                "\n{}: {:.0} allocations",
                scenario.name, base.allocations
            )?;
            if let Some(instructions) = base.instructions {
                write!(f, ", {instructions:.0} instructions")?;
            }
            writeln!(
                f,
                ", {:.0} ns per call; added by N layers:\n",
                base.nanoseconds
            )?;
            writeln!(
                f,
                "| {:>2} | {:>10} | {:>12} | {:>10} | {:>12} | {:>5} | {:>9} | {:>9} | {:>5} |",
                "N",
                "SDK allocs",
                "tower allocs",
                "SDK instr.",
                "tower instr.",
                "ratio",
                "SDK ns",
                "tower ns",
                "ratio"
            )?;
            writeln!(f, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
            for Added { layers, sdk, tower } in &scenario.layers {
                writeln!(
                    f,
                    "| {layers:>2} | {:>10.1} | {:>12.1} | {:>10} | {:>12} | {:>5} | {:>9.0} | {:>9.0} | {:>5.2} |",
                    sdk.allocations,
                    tower.allocations,
                    number(sdk.instructions, 0),
                    number(tower.instructions, 0),
                    number(
                        tower
                            .instructions
                            .zip(sdk.instructions)
                            .map(|(tower, sdk)| tower / sdk),
                        2
                    ),
                    sdk.nanoseconds,
                    tower.nanoseconds,
                    tower.nanoseconds / sdk.nanoseconds,
                )?;
            }
        }
        writeln!(f, "\n{SCENARIO}; added to a stack that does nothing:\n")?;
        writeln!(f, "| layer | allocs | instr. | ns |")?;
        writeln!(f, "|---|---:|---:|---:|")?;
        for ReadyMade { layer, added } in &self.ready_made {
            writeln!(
                f,
                "| {layer} | {:.1} | {} | {:.0} |",
                added.allocations,
                number(added.instructions, 0),
                added.nanoseconds
            )?;
        }
        Ok(())
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
