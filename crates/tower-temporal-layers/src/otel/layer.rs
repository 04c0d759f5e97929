use super::{Otel, ids::WorkflowIds};
use opentelemetry::{
    Context,
    propagation::{TextMapCompositePropagator, TextMapPropagator},
    trace::{SpanBuilder, TraceContextExt, Tracer},
};
use opentelemetry_sdk::{
    propagation::{BaggagePropagator, TraceContextPropagator},
    trace::ShouldSample,
};
use std::{fmt, sync::Arc};
use tower_layer::Layer;
use tower_temporal_core::ReplaySafe;

/// OpenTelemetry spans around calls, and their context in Temporal headers. See the [module](super).
#[derive(Clone)]
pub struct OtelLayer {
    pub(super) config: Arc<Config>,
}

/// Starts a span, and gives its parent's context with it.
type Start = dyn Fn(SpanBuilder, &Context) -> Context + Send + Sync;

#[derive(Clone)]
pub(super) struct Config {
    pub(super) start: Arc<Start>,
    pub(super) propagator: Arc<dyn TextMapPropagator + Send + Sync>,
    /// Whether spans of workflows are given ids of the workflow's. Clones of a layer find out together that they are not taken.
    pub(super) workflow_ids: Option<Arc<WorkflowIds>>,
    pub(super) sampler: Option<Arc<dyn ShouldSample>>,
}

impl OtelLayer {
    /// Makes spans with `tracer`, and propagates W3C trace context and baggage.
    pub fn new<T>(tracer: T) -> Self
    where
        T: Tracer + Send + Sync + 'static,
        T::Span: Send + Sync + 'static,
    {
        let propagator = TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]);
        Self {
            config: Arc::new(Config {
                start: Arc::new(move |builder, parent| {
                    parent.with_span(builder.start_with_context(&tracer, parent))
                }),
                propagator: Arc::new(propagator),
                workflow_ids: None,
                sampler: None,
            }),
        }
    }

    /// Propagates with `propagator`, in place of W3C trace context and baggage.
    #[must_use]
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.config).propagator = Arc::new(propagator);
        self
    }

    /// Relies on the tracer's provider to have a [`WorkflowIdGenerator`](super::WorkflowIdGenerator), so that after a
    /// replay a workflow's calls are children of the same span as before it. See [Workflows](super#workflows).
    ///
    /// With a provider that has none, those calls would name a parent that does not exist. So the layer looks at the first
    /// span, warns once if it has another id, and is as without this then.
    #[must_use]
    pub fn with_workflow_ids(mut self) -> Self {
        Arc::make_mut(&mut self.config).workflow_ids = Some(Arc::default());
        self
    }

    /// Asks `sampler` whether a span that a replay does not make again was sampled, so that what comes after the replay is
    /// sampled or not as before it. It has to be the sampler of the tracer's provider, and is of use only [with workflow
    /// ids](Self::with_workflow_ids).
    ///
    /// Without, what has a parent is taken to be sampled as its parent is, and what has none to be sampled, as by the default
    /// of the OpenTelemetry SDK.
    #[must_use]
    pub fn with_sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        Arc::make_mut(&mut self.config).sampler = Some(Arc::new(sampler));
        self
    }
}

impl<S> Layer<S> for OtelLayer {
    type Service = Otel<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Otel::new(inner, self.config.clone())
    }
}

/// It makes spans, and none while history is replayed. Ids come from the workflow's own random numbers.
impl ReplaySafe for OtelLayer {}

impl fmt::Debug for OtelLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelLayer")
            .field("propagator", &self.config.propagator)
            .field("has_workflow_ids", &self.config.workflow_ids.is_some())
            .field("sampler", &self.config.sampler)
            .finish_non_exhaustive()
    }
}
