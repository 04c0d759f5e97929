use super::AppliedFuture;
use crate::rpc::{Body, EitherFuture, Rpc, decode_request};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Either;
use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
};
use tower::util::Oneshot;
use tower_service::Service;
use tower_temporal_core::{BoxError, SharedService};

/// The service of [`on`](super::on): `applied` for the method `R`, `inner` for every other.
pub struct On<R, S, A> {
    inner: SharedService<S>,
    applied: A,
    method: PhantomData<fn() -> R>,
}

impl<R, S, A> On<R, S, A> {
    pub(super) const fn new(inner: SharedService<S>, applied: A) -> Self {
        Self {
            inner,
            applied,
            method: PhantomData,
        }
    }
}

impl<R, S, A: Clone> Clone for On<R, S, A> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.applied.clone())
    }
}

impl<R: Rpc, S: fmt::Debug, A: fmt::Debug> fmt::Debug for On<R, S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On")
            .field("method", &R::PATH)
            .field("inner", &self.inner)
            .field("applied", &self.applied)
            .finish()
    }
}

impl<R, S, A, B> Service<Request<Body>> for On<R, S, A>
where
    R: Rpc,
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    A: Service<tonic::Request<R::Input>, Response = tonic::Response<R::Output>> + Clone,
    A::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
{
    type Response = Response<Either<B, Body>>;
    type Error = BoxError;
    type Future = EitherFuture<
        Oneshot<SharedService<S>, Request<Body>>,
        AppliedFuture<Oneshot<A, tonic::Request<R::Input>>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !R::matches(&request) {
            return EitherFuture::left(Oneshot::new(self.inner.clone(), request));
        }
        EitherFuture::right(match decode_request::<R>(request) {
            Ok(request) => AppliedFuture::called(Oneshot::new(self.applied.clone(), request)),
            Err(status) => AppliedFuture::failed(status),
        })
    }
}
