use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use std::cell::Cell;
use tower_temporal_core::{Operation, Request, Scope};

/// The workflow's random numbers that ids are made of: no other draw changes them, and they change no other.
const STREAM: &str = "tower-temporal/otel";

thread_local! {
    static NEXT_TRACE: Cell<Option<TraceId>> = const { Cell::new(None) };
    static NEXT_SPAN: Cell<Option<SpanId>> = const { Cell::new(None) };
}

/// Gives a workflow's spans the same ids in a replay as when they were made.
///
/// It is for the tracer provider behind an [`OtelLayer`](super::OtelLayer): see
/// [`with_workflow_ids`](super::OtelLayer::with_workflow_ids). All other spans have their ids from the generator within,
/// OpenTelemetry's random one by default.
#[derive(Clone, Copy, Debug)]
pub struct WorkflowIdGenerator<G = RandomIdGenerator> {
    others: G,
}

impl<G> WorkflowIdGenerator<G> {
    /// Takes the ids of all spans that are not a workflow's from `others`.
    pub const fn new(others: G) -> Self {
        Self { others }
    }
}

impl Default for WorkflowIdGenerator {
    fn default() -> Self {
        Self::new(RandomIdGenerator::default())
    }
}

impl<G: IdGenerator> IdGenerator for WorkflowIdGenerator<G> {
    fn new_trace_id(&self) -> TraceId {
        NEXT_TRACE
            .take()
            .unwrap_or_else(|| self.others.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        NEXT_SPAN
            .take()
            .unwrap_or_else(|| self.others.new_span_id())
    }
}

/// The ids of a workflow's span, drawn from its own random numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl Ids {
    /// The ids of a span under `parent`. None where there are no such random numbers: outside workflows, and in calls that
    /// are not replayed.
    pub(super) fn draw<O: Operation>(request: &Request<O>, parent: &Context) -> Option<Self> {
        // Zeros are no valid id.
        let draw = || Some(O::Scope::random(request.context(), STREAM)?.max(1));
        let span = SpanId::from(draw()?);
        let parent = parent.span();
        let parent = parent.span_context();
        Some(if parent.is_valid() {
            Self {
                trace: parent.trace_id(),
                span,
                flags: parent.trace_flags(),
            }
        } else {
            let [high, low] = [draw()?, draw()?];
            Self {
                trace: TraceId::from((u128::from(high) << 64) | u128::from(low)),
                span,
                flags: TraceFlags::SAMPLED,
            }
        })
    }

    /// Runs `start`, which starts a span, with these ids the next that the generator gives.
    pub(super) fn for_next<R>(self, start: impl FnOnce() -> R) -> R {
        /// A provider without the generator leaves them there, and they are not for the next span.
        struct Clear;

        impl Drop for Clear {
            fn drop(&mut self) {
                NEXT_TRACE.take();
                NEXT_SPAN.take();
            }
        }

        let _clear = Clear;
        NEXT_TRACE.set(Some(self.trace));
        NEXT_SPAN.set(Some(self.span));
        start()
    }

    /// What surrounds code that runs again: the span that it ran in, which is not made again.
    pub(super) fn replayed(self, parent: &Context) -> Context {
        let state = parent.span().span_context().trace_state().clone();
        let span = SpanContext::new(self.trace, self.span, self.flags, false, state);
        parent.with_remote_span_context(span)
    }
}
