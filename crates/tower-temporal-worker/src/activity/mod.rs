//! Calls into activities, and calls that activities make.
//!
//! *Inbound* is [`ExecuteActivity`]. [`Interceptor`] makes a stack of layers the interceptor of a worker's activities:
//!
//! ```
//! use std::time::Duration;
//! use temporalio_sdk::WorkerOptions;
//! use tower::ServiceBuilder;
//! use tower_temporal_worker::activity;
//!
//! let stack = ServiceBuilder::new().concurrency_limit(64).timeout(Duration::from_secs(60));
//!
//! let options = WorkerOptions::new("orders")
//!     .activity_inbound_interceptor(activity::Interceptor::new(stack))
//!     .build();
//! # let _ = options;
//! ```
//!
//! *Outbound* are [`Heartbeat`] and [`Info`]. The Rust SDK has no interceptor for them, and its own
//! [`record_heartbeat`](temporalio_sdk::activities::ActivityContext::record_heartbeat) and
//! [`info`](temporalio_sdk::activities::ActivityContext::info) can't be intercepted: an activity that calls
//! `ctx.outbound().heartbeat(…)` and `ctx.outbound().info()` instead ([`ActivityContextExt`]) goes through the
//! [`OutboundStack`] of its worker. Without one they do what the SDK's methods do.
//!
//! An activity can itself be a tower service: [`from_service`].
//!
//! # Readiness
//!
//! An activity waits until its stack is ready, and holds its slot in the worker while it does, also when the server has given the
//! attempt up: the SDK does not tell a stack of that. Put `load_shed` outside a layer that may not be ready for long.
//!
//! Local activities go through the same stack, and a workflow's task waits for them. A limit that is to pass them by is one by a
//! key that is `None` where `request.activity_info().is_local`.
//!
//! # Errors
//!
//! What an inbound middleware fails with becomes an
//! [`ApplicationFailure`](temporalio_common::error::ApplicationFailure) whose type says what happened
//! (`DeadlineExceeded`, `ResourceExhausted`, `Unavailable`, `PermissionDenied`, `InvalidArgument`, `Internal`, `Panicked`,
//! otherwise `MiddlewareError`), and which
//! is retryable unless the same call can do no better: one that was denied, or that carries something invalid. A layer that wants it otherwise fails with an `ApplicationFailure` of its own.

mod interceptor;
mod operations;
mod outbound;
mod service;

pub use self::{
    interceptor::Interceptor,
    operations::{
        ActivityInboundService, ExecuteActivity, ExecuteActivityError, INBOUND_OPERATIONS,
    },
    outbound::*,
    service::{ActivityService, Call, FromInput, Named, ServiceActivity, from_service},
};
