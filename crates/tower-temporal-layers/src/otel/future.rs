use super::span::ActiveSpan;
use opentelemetry::Context;
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{self, Poll, ready},
};
use tower_temporal_core::Operation;

pin_project! {
    /// The future of [`Otel`](super::Otel).
    #[must_use = "futures do nothing unless polled"]
    pub struct OtelFuture<O, F> {
        #[pin]
        inner: F,
        context: Context,
        span: Option<ActiveSpan>,
        operation: PhantomData<fn() -> O>,
    }
}

impl<O, F> OtelFuture<O, F> {
    pub(super) const fn new(inner: F, context: Context, span: Option<ActiveSpan>) -> Self {
        Self {
            inner,
            context,
            span,
            operation: PhantomData,
        }
    }
}

impl<O, F, T, E> Future for OtelFuture<O, F>
where
    O: Operation,
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _guard = this.context.clone().attach();
        let result = ready!(this.inner.poll(cx));
        if let Some(span) = this.span.take() {
            span.end::<O, T, E>(&result);
        }
        Poll::Ready(result)
    }
}

impl<O, F> fmt::Debug for OtelFuture<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelFuture").finish_non_exhaustive()
    }
}
