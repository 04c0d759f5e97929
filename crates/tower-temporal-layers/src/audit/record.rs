use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tower_temporal_core::{Category, ErrorKind, OwnedTarget};

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
    /// How it ended.
    pub outcome: AuditOutcome,
    /// How long it took. It is not known where its workflow was replayed between.
    pub latency: Option<Duration>,
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It has not failed. A workflow that continued as new, an activity that completes later, and an error that is marked
    /// benign are no failures.
    Completed,
    /// It has failed, or was refused.
    Failed(ErrorKind),
    /// Its caller has not waited for its end.
    GivenUp,
}
