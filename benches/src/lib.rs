//! What is measured: calls of the SDK with no interceptors, with N of the SDK's own, and with one stack of N layers.
//!
//! The layers and interceptors only pass through, so what they cost is what the machinery costs.

mod activity;
pub mod callgrind;
mod client;
mod pass;
pub mod ready_made;
mod workflow;

use std::{
    cell::OnceCell,
    fmt,
    path::{Path, PathBuf},
    rc::Rc,
};

/// How many layers, or interceptors, are measured.
pub const LAYERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// What stands between the caller and the SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    None,
    /// So many of the SDK's own interceptors.
    Sdk(usize),
    /// One stack of so many layers.
    Tower(usize),
    /// One stack of the layer of this name.
    Layer(&'static str),
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Sdk(n) => write!(f, "sdk {n}"),
            Self::Tower(n) => write!(f, "tower {n}"),
            Self::Layer(name) => f.write_str(name),
        }
    }
}

/// One thing to measure.
pub struct Case {
    /// The call: `client: cancel_workflow`.
    pub scenario: &'static str,
    /// What surrounds the call.
    pub variant: Variant,
    /// Calls are made in multiples of this.
    pub step: u32,
    prepare: Box<dyn Fn() -> Calls>,
    calls: OnceCell<Calls>,
}

/// Makes the call so many times, one after the other.
type Calls = Box<dyn Fn(u32)>;

impl Case {
    /// `prepare` is called once, and only if the case is run: what is there beside a case takes part in what it measures.
    fn new<C>(scenario: &'static str, variant: Variant, prepare: impl Fn() -> C + 'static) -> Self
    where
        C: Fn(u32) + 'static,
    {
        Self {
            scenario,
            variant,
            step: 1,
            prepare: Box::new(move || Box::new(prepare())),
            calls: OnceCell::new(),
        }
    }

    /// Makes the call so many times, one after the other.
    pub fn run(&self, calls: u32) {
        self.calls.get_or_init(&self.prepare)(calls);
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.scenario, self.variant)
    }
}

/// Everything there is to measure. The order is the same in every process.
pub fn cases() -> Vec<Case> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let runtime = Rc::new(runtime);
    let mut cases = client::cases(&runtime);
    cases.extend(activity::cases(&runtime));
    cases.extend(workflow::cases(&runtime));
    cases.extend(ready_made::cases(&runtime));
    cases
}

fn variants() -> impl Iterator<Item = Variant> {
    let pairs = LAYERS.map(|n| [Variant::Sdk(n), Variant::Tower(n)]);
    [Variant::None]
        .into_iter()
        .chain(pairs.into_iter().flatten())
}

/// `target/bench`, wherever the target directory is: `program` is one that cargo has built.
pub fn directory(program: &str) -> PathBuf {
    let target = Path::new(program).ancestors().nth(2);
    target.unwrap_or(Path::new(".")).join("bench")
}

/// The value below which such a part of the values is. It sorts them.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
