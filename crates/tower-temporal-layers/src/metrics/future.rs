use super::instruments::InFlight;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_temporal_core::Operation;

pin_project! {
    /// The future of [`Metrics`](super::Metrics).
    #[must_use = "futures do nothing unless polled"]
    pub struct MetricsFuture<O: Operation, F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight<O>>,
    }
}

impl<O: Operation, F> MetricsFuture<O, F> {
    pub(super) const fn new(inner: F, in_flight: InFlight<O>) -> Self {
        Self {
            inner,
            in_flight: Some(in_flight),
        }
    }
}

impl<O, F, T, E> Future for MetricsFuture<O, F>
where
    O: Operation,
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        if let Some(in_flight) = this.in_flight.take() {
            in_flight.end(&result);
        }
        Poll::Ready(result)
    }
}

impl<O: Operation, F> fmt::Debug for MetricsFuture<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsFuture").finish_non_exhaustive()
    }
}
