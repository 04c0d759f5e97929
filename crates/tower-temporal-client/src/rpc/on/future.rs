use crate::rpc::{Body, typed};
use http::Response;
use pin_project_lite::pin_project;
use prost::Message;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::Status;
use tower_temporal_core::BoxError;

pin_project! {
    /// The future of a call that has gone through the layer of [`on`](super::on()).
    #[must_use = "futures do nothing unless polled"]
    pub struct AppliedFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F> {
        Called { #[pin] future: F },
        Failed { status: Option<Status> },
    }
}

impl<F> AppliedFuture<F> {
    pub(super) const fn called(future: F) -> Self {
        Self {
            kind: Kind::Called { future },
        }
    }

    pub(super) const fn failed(status: Status) -> Self {
        Self {
            kind: Kind::Failed {
                status: Some(status),
            },
        }
    }
}

impl<F, M, E> Future for AppliedFuture<F>
where
    F: Future<Output = Result<tonic::Response<M>, E>>,
    E: Into<BoxError>,
    M: Message,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Called { future } => typed::end(ready!(future.poll(cx))),
            KindProj::Failed { status } => {
                let status = status
                    .take()
                    .expect("a future is not polled when it is done");
                Ok(status.into_http())
            }
        })
    }
}

impl<F> fmt::Debug for AppliedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppliedFuture").finish_non_exhaustive()
    }
}
