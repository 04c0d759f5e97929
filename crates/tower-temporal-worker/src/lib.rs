//! Temporal workflow and activity calls as typed tower services.
//!
//! ```
//! use std::time::Duration;
//! use temporalio_sdk::WorkerOptions;
//! use tower::ServiceBuilder;
//! use tower_temporal_core::{Next, Request, from_fn};
//! use tower_temporal_worker::{
//!     activity,
//!     workflow::{self, ScheduleActivity},
//! };
//!
//! // Around activities: any middleware of tower.
//! let activities = ServiceBuilder::new().concurrency_limit(64).timeout(Duration::from_secs(60));
//! // Around what workflows call: what can be replayed.
//! let outbound = from_fn(
//!     async |mut request: Request<ScheduleActivity>, next: Next<ScheduleActivity>| {
//!         request.options_mut().summary.get_or_insert_with(|| "scheduled by Orders".to_owned());
//!         next.run(request).await
//!     },
//! );
//!
//! let options = WorkerOptions::new("orders")
//!     .activity_inbound_interceptor(activity::Interceptor::new(activities))
//!     .workflow_interceptor(workflow::interceptor(ServiceBuilder::new(), outbound))
//!     .build();
//! # let _ = options;
//! ```
//!
//! [`activity`] has the calls into and out of activities, [`workflow`] those of workflows. Each module names its
//! operations after the SDK's methods and has an interceptor that puts a stack of layers into an SDK worker.
//!
//! Activity code is ordinary async code, and any tower middleware can surround it. Workflow code is replayed, so a
//! workflow's stacks take only layers that are [`ReplaySafe`](tower_temporal_core::ReplaySafe).

pub mod activity;
pub mod workflow;
