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
//! With the defaults a call is a span `temporal` on the level `INFO`, with the fields `category`, `operation`, `name`,
//! `workflow_type`, `workflow_id`, `run_id`, `activity_type`, `activity_id`, `task_queue` and `attempt` as far as the call has them, and in the end
//! `outcome` (`ok`, or the kind of error) and `latency_ms`. A failure is an event on the level `ERROR`, a start and an
//! ordinary end are events on the level `DEBUG`. What the call itself logs, and the spans inside it, are inside its span.
//!
//! Arguments, results and headers never appear: nothing here reads them.
//!
//! # Your own
//!
//! [`make_span_with`](TraceLayer::make_span_with), [`on_request`](TraceLayer::on_request),
//! [`on_response`](TraceLayer::on_response) and [`on_failure`](TraceLayer::on_failure) take a closure, or a type that
//! implements the trait of that name:
//!
//! ```
//! use std::time::Duration;
//! use tower_temporal_layers::{CallInfo, Outcome, trace::TraceLayer};
//! use tracing::{Span, info_span, warn};
//!
//! let layer = TraceLayer::new()
//!     .make_span_with(|call: &CallInfo<'_>| info_span!("call", operation = call.operation))
//!     .on_failure(|outcome: Outcome, latency: Duration, _: &Span| warn!(?outcome, ?latency, "failed"));
//! # let _ = layer;
//! ```
//!
//! # Workflows
//!
//! While a workflow is replayed there are no spans and no events: they have been written when the call was made. Nothing a
//! workflow does depends on them.

mod behavior;
mod future;
mod layer;
mod service;

pub use self::{
    behavior::{
        DefaultMakeSpan, DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, MakeSpan,
        OnFailure, OnRequest, OnResponse,
    },
    future::TraceFuture,
    layer::TraceLayer,
    service::Trace,
};
