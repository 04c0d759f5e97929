//! tower middleware for [Temporal](https://temporal.io): every call that Temporal's Rust SDK lets an interceptor see is a
//! typed [`tower::Service`].
//!
//! So what surrounds a call is written with [`ServiceBuilder`](tower::ServiceBuilder), reuses the middleware that tower
//! and its users have, and ends in the SDK's own client and worker.
//!
//! ```
//! use std::time::Duration;
//! use temporalio_client::ClientOptions;
//! use tower::limit::GlobalConcurrencyLimitLayer;
//! use tower_temporal::{
//!     Interceptors,
//!     propagation::{ContextKey, PropagationLayer},
//!     timeout::TimeoutLayer,
//!     trace::TraceLayer,
//! };
//!
//! /// The user a call is made for. It travels in the Temporal header `user-id`.
//! struct UserId;
//!
//! impl ContextKey for UserId {
//!     type Value = String;
//!     const HEADER: &'static str = "user-id";
//! }
//!
//! let interceptors = Interceptors::builder()
//!     .everywhere(TraceLayer::new())
//!     .everywhere(PropagationLayer::<UserId>::new())
//!     .client(TimeoutLayer::new(Duration::from_secs(10)))
//!     .activity_inbound(GlobalConcurrencyLimitLayer::new(64))
//!     .build();
//!
//! // One registration: a worker takes its half from the client it is made with.
//! let options = ClientOptions::new("default").plugin(interceptors).build();
//! # let _ = options;
//! ```
//!
//! # The categories
//!
//! | category | module | operations |
//! |---|---|---|
//! | client outbound | [`client`] | `start_workflow`, `signal_workflow`, `list_workflows_page`, `update_schedule` … 27 in all |
//! | workflow inbound | [`workflow`] | `initialize_workflow`, `execute`, `handle_signal`, `handle_query`, `handle_update`, `validate_update` |
//! | workflow outbound | [`workflow`] | `start_timer`, `schedule_activity`, `schedule_local_activity`, `start_child_workflow`, `signal_child_workflow`, `signal_external_workflow`, `cancel_external_workflow`, `continue_as_new`, `start_nexus_operation` |
//! | activity inbound | [`activity`] | `execute_activity` |
//! | activity outbound | [`activity`] | `heartbeat`, `info`, as `ctx.outbound()` calls them |
//!
//! Below all of them, [`rpc`] puts tower services under the SDK's connection, and makes operations of the gRPC calls that no
//! interceptor of the SDK sees.
//!
//! Each operation is a marker type named after the SDK's method, such as [`client::StartWorkflow`]. A stack serves every
//! operation of its category; a layer that is for one operation goes inside [`on`], and [`from_fn`] makes one from an
//! async function:
//!
//! ```
//! use tower_temporal::{Next, Request, client::StartWorkflow, from_fn};
//!
//! let layer = from_fn(async |mut request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
//!     request.options.task_queue.push_str("-canary");
//!     next.run(request).await
//! });
//! # let _ = layer;
//! ```
//!
//! For a layer of every operation there is [`Intercept`]: a trait of hooks before, around and after a call, from which
//! [`intercept()`] makes a layer for every category.
//!
//! # Services at both ends
//!
//! A stack ends in the SDK. Two things go the other way: [`client::service::ClientService`] is the SDK's client as a
//! service, with a typed request per call, and [`activity::from_service`] makes an activity of any service.
//!
//! # Coming from other interceptors
//!
//! If you know the Python SDK's interceptors, `coming_from_python` has what stands for each of their methods, and which method of the
//! Rust SDK's it is.
//!
//! The Rust SDK's own interceptors can stay beside a stack. Those of `client_interceptors`, `activity_inbound_interceptor` and
//! `workflow_interceptor` run around a registered `Interceptors`; for calls that workflows make they run inside of it. To move one
//! method, make `fn start_workflow(&self, input, next)` into
//! `from_fn(async |request: Request<StartWorkflow>, next: Next<StartWorkflow>| …)`: `request` dereferences to `input`, and
//! `next.run(request)` is `next.run(input)`, whose error is in a box.
//!
//! # Order
//!
//! In every stack the first layer added sees the request first, and the result last, inbound and outbound alike:
//!
//! ```text
//!              ServiceBuilder::new().layer(a).layer(b).layer(c)
//!
//!  caller ─▶ a ─▶ b ─▶ c ─▶ Temporal's SDK
//!  caller ◀─ a ◀─ b ◀─ c ◀─ Temporal's SDK
//! ```
//!
//! Of the ready-made layers, from the outside in:
//!
//! 1. `OtelLayer`, `TraceLayer`, `MetricsLayer`: they see what everything inside comes to;
//! 2. `PropagationLayer`: layers that need the caller's identity go inside of it;
//! 3. `AuditLayer`: it records refusals too;
//! 4. `MapErrorLayer`, then `CatchPanicLayer`;
//! 5. `AuthorizeLayer`, `ValidateLayer`;
//! 6. `TimeoutLayer`: waiting for a limit counts, and what is refused outside of it takes no place in one;
//! 7. `AsyncAuthorizeLayer`, then limits, those by a key outside of those for all; not tower's nor `RateLimitLayer`, which come before
//!    any that wait here (`limit` says more of that);
//! 8. `DedupLayer`.
//!
//! # What goes where
//!
//! | | client, activity | workflow |
//! |---|---|---|
//! | runs | on tokio, once per call | single-threaded, again on every replay |
//! | a stack is | `Clone + Send + 'static` | `Clone + 'static`, built per workflow in memory |
//! | takes | tower layers whose service is `Clone` and generic over the request | those of them that are [`ReplaySafe`] |
//!
//! Layers for a single request type, such as `buffer` and `rate_limit`, go inside [`on`]. A call reaches the SDK once, so
//! retries go around a [`ClientService`](client::service::ClientService), or on the connection, with [`rpc::Retry`] as the policy.
//!
//! The same call has three names, for the three places to meet it:
//!
//! | | | |
//! |---|---|---|
//! | [`client::StartWorkflow`] | in a stack of interceptors | the SDK's input, erased |
//! | [`client::service::StartWorkflow<W>`](client::service::StartWorkflow) | sent to a `ClientService` | typed by the workflow's definition |
//! | [`rpc::workflow_service::StartWorkflowExecution`] | on the connection | the gRPC message |
//!
//! # Errors
//!
//! A layer fails with what it likes. What the caller gets is the call's own error, with the layer's as its source:
//!
//! | a layer fails with | a client gets the status | an activity, and a workflow's `execute`, fail with the type |
//! |---|---|---|
//! | [`Denied`] | `PERMISSION_DENIED` | `PermissionDenied`, not retried |
//! | [`Invalid`] | `INVALID_ARGUMENT` | `InvalidArgument`, not retried |
//! | [`Overloaded`], tower's `load_shed` | `RESOURCE_EXHAUSTED` | `ResourceExhausted`, retried, after `retry_after` |
//! | tower's or tokio's timeout | `DEADLINE_EXCEEDED` | `DeadlineExceeded`, retried |
//! | the SDK's `ApplicationFailure` | `UNKNOWN` | that failure |
//! | the call's own error | that error | that error |
//! | a closed `buffer` of tower's | `UNAVAILABLE` | `Unavailable`, retried |
//! | a gRPC `Status` | that status | the type listed here for its code, else `MiddlewareError`; retried unless `PermissionDenied` or `InvalidArgument` |
//! | a panic that `CatchPanicLayer` caught | `INTERNAL` | `Panicked`, retried |
//! | [`CallError`], a mistake in the stack | `INTERNAL` | `Internal`, retried |
//! | anything else | `UNKNOWN` | `MiddlewareError`, retried |
//!
//! An activity is retried as its retry policy says, a workflow only if it was started with one. What fails a signal's handler fails
//! the workflow too, but for a `Denied` or `Invalid` signal, which is dropped.
//!
//! More is in [`client`], [`activity`] and [`workflow`], each in its section on errors. A layer finds the call's own error with
//! [`error::find`], and asks [`error::is_failure`] before it counts one.
//!
//! # Cargo features
//!
//! | feature | default | |
//! |---|---|---|
//! | `client` | yes | client operations and [`rpc`]; does not compile `temporalio-sdk-core` |
//! | `worker` | yes | workflow and activity operations |
//! | `metrics` | | [`metrics::MetricsLayer`], [`metrics::ScheduleToStartLatencyLayer`] |
//! | `otel` | | [`otel::OtelLayer`] |
//! | `propagation` | yes | [`propagation::PropagationLayer`] |
//! | `timeout` | yes | [`timeout::TimeoutLayer`] |
//! | `trace` | yes | [`trace::TraceLayer`] |
//! | `audit` | | [`audit::AuditLayer`] |
//! | `authorize` | | [`authorize::AuthorizeLayer`], [`authorize::AsyncAuthorizeLayer`] |
//! | `catch-panic` | | [`catch_panic::CatchPanicLayer`] |
//! | `dedup` | | [`dedup::DedupLayer`] |
//! | `limit` | | [`limit::RateLimitLayer`], and limits [by key](limit) |
//! | `map-error` | | [`map_error::MapErrorLayer`] |
//! | `validate` | | [`validate::ValidateLayer`] |
//! | `full` | | everything |

#[cfg(feature = "client")]
mod interceptors;

#[cfg(feature = "client")]
pub use self::interceptors::{Interceptors, InterceptorsBuilder};

pub use tower_temporal_core::{
    AssertReplaySafe, BoxError, CallError, Category, ContextKey, Denied, Ending, ErrorKind,
    Intercept, Invalid, Next, Operation, Overloaded, OwnedTarget, Queued, Repeatable, ReplaySafe,
    Request, Scope, Target, Terminal, assert_replay_safe, error, from_fn, intercept, on, scope,
};

/// The core model, whole: see [`tower_temporal_core`].
pub use tower_temporal_core as core;

#[cfg(feature = "client")]
#[doc(inline)]
pub use tower_temporal_client as client;

#[cfg(feature = "metrics")]
#[doc(inline)]
pub use tower_temporal_layers::metrics;

#[cfg(feature = "client")]
#[doc(inline)]
pub use tower_temporal_client::rpc;
#[cfg(feature = "otel")]
#[doc(inline)]
pub use tower_temporal_layers::otel;

#[cfg(feature = "propagation")]
#[doc(inline)]
pub use tower_temporal_layers::propagation;

#[cfg(feature = "audit")]
#[doc(inline)]
pub use tower_temporal_layers::audit;

#[cfg(feature = "authorize")]
#[doc(inline)]
pub use tower_temporal_layers::authorize;

#[cfg(feature = "catch-panic")]
#[doc(inline)]
pub use tower_temporal_layers::catch_panic;

#[cfg(feature = "dedup")]
#[doc(inline)]
pub use tower_temporal_layers::dedup;

#[cfg(feature = "limit")]
#[doc(inline)]
pub use tower_temporal_layers::limit;

#[cfg(feature = "map-error")]
#[doc(inline)]
pub use tower_temporal_layers::map_error;

#[cfg(feature = "timeout")]
#[doc(inline)]
pub use tower_temporal_layers::timeout;

#[cfg(feature = "trace")]
#[doc(inline)]
pub use tower_temporal_layers::trace;

#[cfg(feature = "validate")]
#[doc(inline)]
pub use tower_temporal_layers::validate;

#[doc(inline)]
pub use tower_temporal_layers::{CallInfo, Failure, Outcome, gate, key};

#[cfg(feature = "worker")]
#[doc(inline)]
pub use tower_temporal_worker::{activity, workflow};

/// Compiles the examples of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(all(doc, feature = "worker"))]
#[doc = include_str!("../docs/python.md")]
pub mod coming_from_python {}
