//! OpenTelemetry: a span around every call, and one trace from a client through workflows to activities.
//!
//! ```
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::otel::{OtelLayer, WorkflowIdGenerator};
//! # use tower_temporal_core::probe::{self, ActivityInboundProbe, ClientProbe};
//!
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder()
//!     .with_id_generator(WorkflowIdGenerator::default())
//!     .with_simple_exporter(exporter.clone())
//!     .build();
//!
//! // In every stack, outermost.
//! let layer = OtelLayer::new(provider.tracer("orders")).with_workflow_ids();
//! # let client = tower_layer::Layer::layer(&layer, Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # probe::call::<ClientProbe, _, _>(client, 1, |_| Ok(0)).await.unwrap();
//! # });
//! ```
//!
//! It is for `opentelemetry` 0.33. The SDK's own plugin and exporters are of 0.32: headers go from one to the other, but a
//! tracer, a meter or the current context does not.
//!
//! Going out, a call starts a span of the kind *client* under the current [`Context`](opentelemetry::Context), and its
//! context is written into the Temporal header `_tracer-data`: W3C trace context and baggage as JSON, in the bytes that the Python
//! SDK's own integration writes. (TypeScript's writes the same entries in another order.) Coming in, the header is read, and a
//! span of the kind *server* is put around the handler. So a trace crosses workflows, activities and languages:
//!
//! ```text
//! StartWorkflow:Order                             98.0ms
//!   RunWorkflow:Order                               1.2s
//!     StartActivity:Activities::charge              1.1s
//!       RunActivity:Activities::charge           789.6µs  the bank is closed
//!       RunActivity:Activities::charge           337.5µs
//!     StartActivity:Activities::ship              78.2ms
//!       RunActivity:Activities::ship              51.8ms
//! ```
//!
//! That is what the example `observability` exports (`cargo run --bin observability`). An activity could as well be Python's.
//!
//! Code inside finds its span and its baggage in `Context::current()`, in clients, activities and workflows alike. Nexus
//! operations have headers of their own that are strings: the context is in `traceparent`, `tracestate` and `baggage` there.
//!
//! # Spans
//!
//! Names, kinds and attributes (`temporalWorkflowID`, `temporalRunID`, `temporalActivityID`, `temporalActivityType`,
//! `temporalUpdateID`) are those of the Python SDK:
//!
//! | span | operation |
//! |---|---|
//! | `StartWorkflow:{type}` | `start_workflow` |
//! | `SignalWithStartWorkflow:{type}` | `signal_with_start_workflow` |
//! | `UpdateWithStartWorkflow:{type}` | `update_with_start_workflow` |
//! | `SignalWorkflow:{signal}` | `signal_workflow`, `signal_child_workflow`, `signal_external_workflow` |
//! | `QueryWorkflow:{query}` | `query_workflow` |
//! | `StartWorkflowUpdate:{update}` | `start_workflow_update` |
//! | `DescribeWorkflow`, `CancelWorkflow`, `TerminateWorkflow` | the operation of that name, and `cancel_external_workflow` |
//! | `RunWorkflow:{type}` | `execute` |
//! | `HandleSignal:{signal}`, `HandleQuery:{query}`, `HandleUpdate:{update}`, `ValidateUpdate:{update}` | the operation of that name |
//! | `StartActivity:{type}` | `schedule_activity`, `schedule_local_activity` |
//! | `StartChildWorkflow:{type}` | `start_child_workflow` |
//! | `StartNexusOperation:{operation}` | `start_nexus_operation` |
//! | `RunActivity:{type}` | `execute_activity` |
//!
//! Other calls have no span. A continue-as-new has none and carries the context on. A handler whose caller sends no context is
//! under the workflow's span. A call that fails has the status *error*, with the error's text; arguments, results and headers are
//! never recorded. A continue-as-new, what was cancelled and an error that is marked benign are no failures.
//!
//! # Workflows
//!
//! While a workflow is replayed no spans are made: they have been when the call was made. A span that is open when a workflow
//! leaves the worker's cache ends there, so it is exported once and not again. What its call comes to later, after a replay, is not
//! in it: a failure then is in the spans around it and in the [metrics](crate::metrics), and [`TraceLayer`](crate::trace::TraceLayer) tells it.
//! (A workflow task that the server has run again, since it failed or its outcome came too late, is no replay to the SDK: what it
//! did is exported again.)
//!
//! A call that a workflow makes after a replay belongs under the span that the workflow had before. An exported span can't be
//! had again, but its ids can: with [`with_workflow_ids`](OtelLayer::with_workflow_ids) a workflow's spans have ids
//! from the workflow's own random numbers, which are the same in a replay, and the call is a child of the same `RunWorkflow`. That
//! takes a [`WorkflowIdGenerator`] in the tracer provider. Without it the call is a child of what the workflow was started by:
//! in the same trace, next to `RunWorkflow` rather than under it. It is not the default, since a layer can neither give a
//! provider its generator nor see, before the first span, which one it has; and the first that a new worker does is often to
//! replay. If the ids turn out not to be taken, the layer says so once as a `tracing` warning, and does without.
//!
//! Whether a span that is not made again was sampled is known from its parent. A workflow's span that has no parent, and every
//! span where a sampler does not go by the parent, takes the provider's sampler: give it to the layer too, with
//! [`with_sampler`](OtelLayer::with_sampler). Without, it is taken to be the SDK's default, which samples all that has no parent.
//!
//! Spans that the workflow's own code starts are not covered: they are made again in a replay. Make them in activities.
//!
//! # With `tracing`
//!
//! With the crate `tracing-opentelemetry` put this layer outside of a [`TraceLayer`](crate::trace::TraceLayer): its spans and
//! events then have the current OpenTelemetry context as their parent.

mod carrier;
mod future;
mod ids;
mod layer;
mod service;
mod span;
#[cfg(test)]
mod tests;

pub use self::{future::OtelFuture, ids::WorkflowIdGenerator, layer::OtelLayer, service::Otel};

/// The Temporal header that the context travels in.
pub const HEADER: &str = "_tracer-data";
