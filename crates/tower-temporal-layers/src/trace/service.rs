use super::{MakeSpan, OnFailure, OnRequest, OnResponse, TraceFuture, TraceLayer, future::Resumed};
use crate::CallInfo;
use std::{
    fmt,
    task::{Context, Poll},
    time::Instant,
};
use tower_service::Service;
use tower_temporal_core::{Operation, Request, Scope};

/// The service of [`TraceLayer`].
#[derive(Clone)]
pub struct Trace<S, M, Q, R, F> {
    pub(super) inner: S,
    pub(super) layer: TraceLayer<M, Q, R, F>,
}

impl<O, S, M, Q, R, F> Service<Request<O>> for Trace<S, M, Q, R, F>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: 'static,
    M: MakeSpan + Clone,
    Q: OnRequest,
    R: OnResponse + Clone,
    F: OnFailure + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TraceFuture<O, S::Future, M, R, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let TraceLayer {
            make_span,
            on_request,
            on_response,
            on_failure,
        } = &mut self.layer;
        if O::Scope::is_live(request.context()) {
            let start = Instant::now();
            let call = CallInfo::new(&request);
            let span = make_span.make_span(&call);
            let inner = {
                let _entered = span.enter();
                on_request.on_request(&call, &span);
                self.inner.call(request)
            };
            TraceFuture::live(inner, span, start, on_response.clone(), on_failure.clone())
        } else if O::Scope::is_established(request.context()) {
            let resumed = Resumed::new(&request, make_span.clone());
            let inner = self.inner.call(request);
            TraceFuture::in_replay(inner, resumed, on_response.clone(), on_failure.clone())
        } else {
            TraceFuture::untraced(self.inner.call(request))
        }
    }
}

impl<S: fmt::Debug, M, Q, R, F> fmt::Debug for Trace<S, M, Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}
