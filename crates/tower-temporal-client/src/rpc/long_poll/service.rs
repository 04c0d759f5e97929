use super::is_long_poll;
use crate::rpc::{Body, EitherFuture};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Either;
use std::task::{Context, Poll};
use tower::util::Oneshot;
use tower_service::Service;
use tower_temporal_core::{BoxError, SharedService};

/// The service of [`unless_long_poll`](super::unless_long_poll): `inner` for long polls, `applied` for everything else.
#[derive(Debug)]
pub struct UnlessLongPoll<S, A> {
    pub(super) inner: SharedService<S>,
    pub(super) applied: A,
}

impl<S, A: Clone> Clone for UnlessLongPoll<S, A> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            applied: self.applied.clone(),
        }
    }
}

impl<S, A, B, C> Service<Request<Body>> for UnlessLongPoll<S, A>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    A: Service<Request<Body>, Response = Response<C>> + Clone,
    A::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
    C: http_body::Body<Data = Bytes>,
{
    type Response = Response<Either<B, C>>;
    type Error = BoxError;
    type Future = EitherFuture<Oneshot<SharedService<S>, Request<Body>>, Oneshot<A, Request<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_long_poll(&request) {
            EitherFuture::left(Oneshot::new(self.inner.clone(), request))
        } else {
            EitherFuture::right(Oneshot::new(self.applied.clone(), request))
        }
    }
}
