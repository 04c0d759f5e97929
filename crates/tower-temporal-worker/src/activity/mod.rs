//! Calls into activities: `execute_activity`.
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
//! # Errors
//!
//! What a middleware fails with becomes an
//! [`ApplicationFailure`](temporalio_common::error::ApplicationFailure) whose type says what happened
//! (`DeadlineExceeded`, `ResourceExhausted`, `Unavailable`, `PermissionDenied`, otherwise `MiddlewareError`), and which
//! is retryable unless the call was denied. A layer that wants it otherwise fails with an `ApplicationFailure` of its own.

mod interceptor;
mod operations;

pub use self::{
    interceptor::Interceptor,
    operations::{ActivityInboundService, ExecuteActivity, ExecuteActivityError},
};
