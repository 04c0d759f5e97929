use crate::Outcome;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tower_temporal_core::{Category, OwnedTarget};

/// What is recorded of a call. See the [module](super).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditRecord<W = ()> {
    /// When the call was made. In a workflow that is the time of this run of its code.
    pub time: SystemTime,
    /// The category.
    pub category: Category,
    /// The SDK's name of the operation: `start_workflow`.
    pub operation: &'static str,
    /// What the call was aimed at.
    pub target: OwnedTarget,
    /// The workflow that made the call, for calls that workflows make; empty otherwise.
    pub caller: OwnedTarget,
    /// Who it was made for: the value of the layer's [`who`](super::AuditLayer::who).
    pub who: Option<Arc<W>>,
    /// How it ended. A call whose inside has panicked has [failed](Outcome::Failed), whoever catches the panic.
    pub outcome: Outcome,
    /// How long it took. Nothing if the workflow was replayed between the call's start and its end.
    pub latency: Option<Duration>,
}
