use super::{DefaultMakeSpan, DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, Trace};
use std::{any::type_name, fmt};
use tower_layer::Layer;
use tower_temporal_core::ReplaySafe;

/// Puts a `tracing` span around every call. See the [module](super).
#[derive(Clone, Copy, Default)]
pub struct TraceLayer<
    M = DefaultMakeSpan,
    Q = DefaultOnRequest,
    R = DefaultOnResponse,
    F = DefaultOnFailure,
> {
    pub(super) make_span: M,
    pub(super) on_request: Q,
    pub(super) on_response: R,
    pub(super) on_failure: F,
}

impl TraceLayer {
    /// Spans and events as the [module](super) describes them.
    pub const fn new() -> Self {
        Self {
            make_span: DefaultMakeSpan::new(),
            on_request: DefaultOnRequest::new(),
            on_response: DefaultOnResponse::new(),
            on_failure: DefaultOnFailure::new(),
        }
    }
}

impl<M, Q, R, F> TraceLayer<M, Q, R, F> {
    /// Makes the span with `make_span`.
    pub fn make_span_with<N>(self, make_span: N) -> TraceLayer<N, Q, R, F> {
        TraceLayer {
            make_span,
            on_request: self.on_request,
            on_response: self.on_response,
            on_failure: self.on_failure,
        }
    }

    /// Does `on_request` when a call is made.
    pub fn on_request<N>(self, on_request: N) -> TraceLayer<M, N, R, F> {
        TraceLayer {
            make_span: self.make_span,
            on_request,
            on_response: self.on_response,
            on_failure: self.on_failure,
        }
    }

    /// Does `on_response` when a call has ended and has not failed.
    pub fn on_response<N>(self, on_response: N) -> TraceLayer<M, Q, N, F> {
        TraceLayer {
            make_span: self.make_span,
            on_request: self.on_request,
            on_response,
            on_failure: self.on_failure,
        }
    }

    /// Does `on_failure` when a call has failed.
    pub fn on_failure<N>(self, on_failure: N) -> TraceLayer<M, Q, R, N> {
        TraceLayer {
            make_span: self.make_span,
            on_request: self.on_request,
            on_response: self.on_response,
            on_failure,
        }
    }
}

impl<M, Q, R, F, S> Layer<S> for TraceLayer<M, Q, R, F>
where
    Self: Clone,
{
    type Service = Trace<S, M, Q, R, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace {
            inner,
            layer: self.clone(),
        }
    }
}

/// It writes spans and events, and none while history is replayed.
impl<M, Q, R, F> ReplaySafe for TraceLayer<M, Q, R, F> {}

impl<M, Q, R, F> fmt::Debug for TraceLayer<M, Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLayer")
            .field("make_span", &type_name::<M>())
            .field("on_request", &type_name::<Q>())
            .field("on_response", &type_name::<R>())
            .field("on_failure", &type_name::<F>())
            .finish()
    }
}
