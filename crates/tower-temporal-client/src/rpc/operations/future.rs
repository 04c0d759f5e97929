use crate::rpc::Body;
use http::Response;
use http_body_util::Either;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower_temporal_core::BoxError;

/// The way of an intercepted call: a future for each operation of the table, under one type.
pub(super) type Intercepted =
    Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

pin_project! {
    /// The future of [`Operations`](super::Operations).
    #[must_use = "futures do nothing unless polled"]
    pub struct OperationsFuture<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project! {
    #[project = WayProj]
    enum Way<F> {
        Inner { #[pin] future: F },
        Intercepted { future: Intercepted },
    }
}

impl<F> OperationsFuture<F> {
    pub(super) const fn inner(future: F) -> Self {
        Self {
            way: Way::Inner { future },
        }
    }

    pub(super) const fn intercepted(future: Intercepted) -> Self {
        Self {
            way: Way::Intercepted { future },
        }
    }
}

impl<F, B, E> Future for OperationsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Either<B, Body>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayProj::Inner { future } => future
                .poll(cx)
                .map_ok(|response| response.map(Either::Left))
                .map_err(Into::into),
            WayProj::Intercepted { future } => future
                .as_mut()
                .poll(cx)
                .map_ok(|response| response.map(Either::Right)),
        }
    }
}

impl<F> fmt::Debug for OperationsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationsFuture").finish_non_exhaustive()
    }
}
