use crate::rpc::{Body, typed};
use http::Response;
use http_body_util::Either;
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
    /// The future of [`On`](super::On).
    #[must_use = "futures do nothing unless polled"]
    pub struct OnFuture<I, A> {
        #[pin]
        kind: Kind<I, A>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<I, A> {
        Inner { #[pin] future: I },
        Applied { #[pin] future: A },
        Failed { status: Option<Status> },
    }
}

impl<I, A> OnFuture<I, A> {
    pub(super) const fn inner(future: I) -> Self {
        Self {
            kind: Kind::Inner { future },
        }
    }

    pub(super) const fn applied(future: A) -> Self {
        Self {
            kind: Kind::Applied { future },
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

impl<I, A, B, M, E, F> Future for OnFuture<I, A>
where
    I: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    A: Future<Output = Result<tonic::Response<M>, F>>,
    F: Into<BoxError>,
    M: Message,
{
    type Output = Result<Response<Either<B, Body>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Inner { future } => match ready!(future.poll(cx)) {
                Ok(response) => Ok(response.map(Either::Left)),
                Err(error) => Err(error.into()),
            },
            KindProj::Applied { future } => typed::end(ready!(future.poll(cx))).map(into_right),
            KindProj::Failed { status } => {
                let status = status
                    .take()
                    .expect("a future is not polled when it is done");
                Ok(into_right(status.into_http()))
            }
        })
    }
}

fn into_right<B>(response: Response<Body>) -> Response<Either<B, Body>> {
    response.map(Either::Right)
}

impl<I, A> fmt::Debug for OnFuture<I, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnFuture").finish_non_exhaustive()
    }
}
