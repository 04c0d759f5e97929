use super::{OnFailure, OnResponse};
use crate::Outcome;
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use tower_temporal_core::Operation;
use tracing::Span;

pin_project! {
    /// The future of [`Trace`](super::Trace).
    #[must_use = "futures do nothing unless polled"]
    pub struct TraceFuture<O, Fut, R, F> {
        #[pin]
        inner: Fut,
        traced: Option<Traced<R, F>>,
        operation: PhantomData<fn() -> O>,
    }
}

struct Traced<R, F> {
    span: Span,
    start: Instant,
    on_response: R,
    on_failure: F,
}

impl<O, Fut, R, F> TraceFuture<O, Fut, R, F> {
    pub(super) fn new(inner: Fut, span: Span, on_response: R, on_failure: F) -> Self {
        Self {
            inner,
            traced: Some(Traced {
                span,
                start: Instant::now(),
                on_response,
                on_failure,
            }),
            operation: PhantomData,
        }
    }

    pub(super) const fn untraced(inner: Fut) -> Self {
        Self {
            inner,
            traced: None,
            operation: PhantomData,
        }
    }
}

impl<O, Fut, R, F, T, E> Future for TraceFuture<O, Fut, R, F>
where
    O: Operation,
    Fut: Future<Output = Result<T, E>>,
    E: 'static,
    R: OnResponse,
    F: OnFailure,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(traced) = this.traced else {
            return this.inner.poll(cx);
        };
        let result = ready!(traced.span.in_scope(|| this.inner.poll(cx)));
        if let Some(Traced {
            span,
            start,
            on_response,
            on_failure,
        }) = this.traced.take()
        {
            let latency = start.elapsed();
            span.in_scope(|| match &result {
                Ok(_) => on_response.on_response(latency, &span),
                Err(error) => on_failure.on_failure(Outcome::new::<O, E>(error), latency, &span),
            });
        }
        Poll::Ready(result)
    }
}

impl<O, Fut, R, F> fmt::Debug for TraceFuture<O, Fut, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceFuture").finish_non_exhaustive()
    }
}
