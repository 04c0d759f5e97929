use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower_temporal_core::BoxError;

pin_project! {
    /// Waits for a policy's answer.
    #[must_use = "futures do nothing unless polled"]
    pub struct AsyncAuthorizeGateFuture<F> {
        #[pin]
        answer: F,
    }
}

impl<F> AsyncAuthorizeGateFuture<F> {
    pub(super) const fn new(answer: F) -> Self {
        Self { answer }
    }
}

impl<F, E> Future for AsyncAuthorizeGateFuture<F>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().answer.poll(cx).map_err(Into::into)
    }
}

impl<F> fmt::Debug for AsyncAuthorizeGateFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncAuthorizeGateFuture")
            .finish_non_exhaustive()
    }
}
