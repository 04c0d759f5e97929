use http::Response;
use http_body_util::Either;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower_temporal_core::BoxError;

pin_project! {
    /// The future of a service whose calls take one of two ways, each with a response body of its own.
    #[must_use = "futures do nothing unless polled"]
    pub struct EitherFuture<L, R> {
        #[pin]
        way: Way<L, R>,
    }
}

pin_project! {
    #[project = WayProj]
    enum Way<L, R> {
        Left { #[pin] future: L },
        Right { #[pin] future: R },
    }
}

impl<L, R> EitherFuture<L, R> {
    pub(super) const fn left(future: L) -> Self {
        Self {
            way: Way::Left { future },
        }
    }

    pub(super) const fn right(future: R) -> Self {
        Self {
            way: Way::Right { future },
        }
    }
}

impl<L, R, B, C, E, F> Future for EitherFuture<L, R>
where
    L: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    R: Future<Output = Result<Response<C>, F>>,
    F: Into<BoxError>,
{
    type Output = Result<Response<Either<B, C>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayProj::Left { future } => future
                .poll(cx)
                .map_ok(|response| response.map(Either::Left))
                .map_err(Into::into),
            WayProj::Right { future } => future
                .poll(cx)
                .map_ok(|response| response.map(Either::Right))
                .map_err(Into::into),
        }
    }
}

impl<L, R> fmt::Debug for EitherFuture<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EitherFuture").finish_non_exhaustive()
    }
}
