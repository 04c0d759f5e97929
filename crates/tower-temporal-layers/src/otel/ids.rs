use opentelemetry::{
    Context,
    trace::{SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SamplingDecision, ShouldSample};
use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
};
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

/// Whether a provider takes the ids that its workflows' spans are given: it does as long as it has not been seen not to.
#[derive(Debug, Default)]
pub(super) struct WorkflowIds {
    are_ignored: AtomicBool,
}

impl WorkflowIds {
    pub(super) fn are_taken(&self) -> bool {
        !self.are_ignored.load(Ordering::Relaxed)
    }

    /// Looks at a span that was to have the id of `ids`.
    pub(super) fn check(&self, ids: &Ids, span: &SpanContext) {
        // A provider that is shut down makes spans without ids.
        if !span.is_valid() || span.span_id() == ids.span {
            return;
        }
        if !self.are_ignored.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the tracer provider has no `WorkflowIdGenerator`, which `OtelLayer::with_workflow_ids` needs: after a \
                 replay a workflow's calls will be next to its span rather than under it"
            );
        }
    }
}

/// The ids of a workflow's span, drawn from its own random numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    trace: TraceId,
    span: SpanId,
    /// The parent's. None if there is no parent.
    flags: Option<TraceFlags>,
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
                flags: Some(parent.trace_flags()),
            }
        } else {
            let [high, low] = [draw()?, draw()?];
            Self {
                trace: TraceId::from((u128::from(high) << 64) | u128::from(low)),
                span,
                flags: None,
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

    /// What surrounds code that runs again: the span that it ran in, which is not made again. It is sampled as `sampler`
    /// says of what `span` would make, or without one as its parent is.
    pub(super) fn replayed(
        self,
        parent: &Context,
        sampler: Option<&dyn ShouldSample>,
        span: impl FnOnce() -> SpanBuilder,
    ) -> Context {
        let flags = self.flags.unwrap_or_default();
        let (flags, state) = match sampler {
            Some(sampler) => {
                let span = span();
                let result = sampler.should_sample(
                    Some(parent),
                    self.trace,
                    &span.name,
                    span.span_kind.as_ref().unwrap_or(&SpanKind::Internal),
                    span.attributes.as_deref().unwrap_or_default(),
                    span.links.as_deref().unwrap_or_default(),
                );
                // As the SDK makes of it.
                let flags = match result.decision {
                    SamplingDecision::RecordAndSample => flags.with_sampled(true),
                    SamplingDecision::RecordOnly => flags.with_sampled(false),
                    SamplingDecision::Drop => TraceFlags::default(),
                };
                (flags, result.trace_state)
            }
            None => (
                self.flags.unwrap_or(TraceFlags::SAMPLED),
                parent.span().span_context().trace_state().clone(),
            ),
        };
        let span = SpanContext::new(self.trace, self.span, flags, false, state);
        parent.with_remote_span_context(span)
    }
}
