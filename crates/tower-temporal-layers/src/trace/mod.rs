//! A `tracing` span around every call, with what it is aimed at, how it ended and how long it took.
//!
//! ```
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::trace::TraceLayer;
//! # use tower_temporal_core::probe::{self, ClientProbe};
//! # use tower_layer::Layer;
//!
//! // In every stack, outermost.
//! let stack = TraceLayer::new().layer(Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(0)).await.unwrap();
//! # });
//! ```
//!
//! With the defaults a call is a span `temporal` on the level `INFO`, with the fields `category`, `operation`, `name` (of the
//! signal, query, update, timer or Nexus operation), `workflow_type`, `workflow_id`, `run_id`, `activity_type`, `activity_id`,
//! `update_id`, `schedule_id`, `task_queue` and `attempt` as far as the call has them, and in the end `outcome` and `latency_ms`
//! (milliseconds). A failure is an event on the level `ERROR`, with the error's text; a start and any other end are events on the
//! level `DEBUG`. What the call itself logs, and the spans inside it, are inside its span.
//!
//! The outcome is `ok`, one of `cancelled`, `continued_as_new`, `completes_later` and `benign`, which are no failures, or says
//! what failed: `failed` for an application's own failure, and otherwise the name of a gRPC code, as `not_found` or
//! `permission_denied`, `panicked` or `misuse`.
//!
//! Arguments and results never appear: nothing here reads them. Headers do only if
//! [`include_headers`](DefaultMakeSpan::include_headers) says so.
//!
//! The program `observability` of the repository's examples, with `RUST_LOG=off,tower_temporal_layers=debug`, writes of an activity whose first
//! attempt fails (the run's id is shortened here, and the module's path left out):
//!
//! ```text
//! DEBUG temporal{category="activity_inbound" operation="execute_activity" workflow_type="Order" workflow_id="order-1" run_id="01a21163…" activity_type="Activities::charge" activity_id="1" task_queue="orders" attempt=1}: started
//! ERROR temporal{category="activity_inbound" operation="execute_activity" workflow_type="Order" workflow_id="order-1" run_id="01a21163…" activity_type="Activities::charge" activity_id="1" task_queue="orders" attempt=1 outcome="failed" latency_ms=0.744297}: failed outcome="failed" latency_ms=0.744297 error=the bank is closed
//! DEBUG temporal{category="activity_inbound" operation="execute_activity" workflow_type="Order" workflow_id="order-1" run_id="01a21163…" activity_type="Activities::charge" activity_id="1" task_queue="orders" attempt=2}: started
//! DEBUG temporal{category="activity_inbound" operation="execute_activity" workflow_type="Order" workflow_id="order-1" run_id="01a21163…" activity_type="Activities::charge" activity_id="1" task_queue="orders" attempt=2 outcome="ok" latency_ms=0.19184}: finished outcome="ok" latency_ms=0.19184
//! ```
//!
//! # Your own
//!
//! The defaults have [levels](DefaultMakeSpan::level) that can be chosen. In their place
//! [`make_span_with`](TraceLayer::make_span_with), [`on_request`](TraceLayer::on_request),
//! [`on_response`](TraceLayer::on_response) and [`on_failure`](TraceLayer::on_failure) take a closure, or a type that
//! implements the trait of that name:
//!
//! ```
//! use std::time::Duration;
//! use tower_temporal_layers::{
//!     CallInfo, Failure,
//!     trace::{DefaultOnResponse, TraceLayer},
//! };
//! use tracing::{Level, Span, info_span, warn};
//!
//! let layer = TraceLayer::new()
//!     .make_span_with(|call: &CallInfo<'_>| info_span!("call", operation = call.operation))
//!     .on_response(DefaultOnResponse::new().level(Level::INFO))
//!     .on_failure(|failure: &Failure<'_>, latency: Option<Duration>, _: &Span| {
//!         warn!(kind = failure.kind.as_str(), ?latency, "failed: {failure}");
//!     });
//! # let _ = layer;
//! ```
//!
//! # Workflows
//!
//! While a workflow is replayed there are no spans and no events: they have been written when the call was made. Nothing a
//! workflow does depends on them. `initialize_workflow`, which runs again in each replay and can't tell, is not traced; the
//! `execute` that follows is.
//!
//! When a workflow leaves a worker's cache, the spans of the calls that are under way in it end, without an outcome. When
//! such a call ends later, after a replay, a span is made for its end: with the field `resumed`, without a latency, and the event
//! `finished` or `failed` in it. So every start and every end is written once. What the workflow calls after the replay is not
//! inside a span of its `execute` any more, but each span names the workflow. (A workflow task that the server has run again,
//! since it failed or its outcome came too late, is no replay to the SDK: its calls are written again.)

mod at_level;
mod behavior;
mod future;
mod layer;
mod service;
#[cfg(test)]
mod tests;

pub use self::{
    behavior::{
        DefaultMakeSpan, DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, MakeSpan,
        OnFailure, OnRequest, OnResponse,
    },
    future::TraceFuture,
    layer::TraceLayer,
    service::Trace,
};
