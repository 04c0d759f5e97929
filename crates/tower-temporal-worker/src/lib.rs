//! Temporal workflow and activity calls as typed tower services.
//!
//! [`activity`] has the calls into and out of activities, [`workflow`] those of workflows. Each module names its
//! operations after the SDK's methods and has an interceptor that puts a stack of layers into an SDK worker.
//!
//! Activity code is ordinary async code, and any tower middleware can surround it. Workflow code is replayed, so a
//! workflow's stacks take only layers that are [`ReplaySafe`](tower_temporal_core::ReplaySafe).

pub mod activity;
pub mod workflow;
