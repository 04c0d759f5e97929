use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower_temporal_core::BoxError;

pin_project! {
    /// The future of [`Dedup`](super::Dedup).
    #[must_use = "futures do nothing unless polled"]
    pub struct DedupFuture<F, T> {
        #[pin]
        kind: Kind<F, T>,
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

pin_project! {
    #[project = KindProj]
    enum Kind<F, T> {
        PassedBy { #[pin] inner: F },
        // The futures of a store have no name.
        Looked { future: BoxFuture<T> },
    }
}

impl<F, T> DedupFuture<F, T> {
    pub(super) const fn passed_by(inner: F) -> Self {
        Self {
            kind: Kind::PassedBy { inner },
        }
    }

    pub(super) fn looked(
        future: impl Future<Output = Result<T, BoxError>> + Send + 'static,
    ) -> Self {
        Self {
            kind: Kind::Looked {
                future: Box::pin(future),
            },
        }
    }
}

impl<F, T, E> Future for DedupFuture<F, T>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::PassedBy { inner } => inner.poll(cx).map_err(Into::into),
            KindProj::Looked { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F, T> fmt::Debug for DedupFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupFuture").finish_non_exhaustive()
    }
}
