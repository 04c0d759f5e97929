use super::{RpcService, table};
use crate::rpc::{Body, EitherFuture, Rpc, Typed, decode_request, encode_response};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Either;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tower::{ServiceExt, util::Oneshot};
use tower_service::Service;
use tower_temporal_core::{self as core, BoxError, SharedService, call::Call};

/// The future of a call that goes through a stack of operations: of each operation another, under one type.
pub type OperationsFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

/// The service of [`operations`](super::operations()): `stack` for the calls of the table, `inner` for every other.
#[derive(Debug)]
pub struct Operations<T, S> {
    pub(super) stack: T,
    pub(super) inner: SharedService<S>,
}

impl<T: Clone, S> Clone for Operations<T, S> {
    fn clone(&self) -> Self {
        Self {
            stack: self.stack.clone(),
            inner: self.inner.clone(),
        }
    }
}

impl<T, S, B> Service<Request<Body>> for Operations<T, S>
where
    T: RpcService,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Either<B, Body>>;
    type Error = BoxError;
    type Future = EitherFuture<Oneshot<SharedService<S>, Request<Body>>, OperationsFuture>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match table::dispatch(self, request) {
            Ok(intercepted) => EitherFuture::right(intercepted),
            Err(request) => EitherFuture::left(Oneshot::new(self.inner.clone(), request)),
        }
    }
}

impl<T, S> Operations<T, S> {
    /// Sends a call of `R` through the stack, and what arrives at its end to the inner service.
    ///
    /// The messages go through the stack alone; the metadata beside them takes the short way.
    pub(super) fn intercept<R, B>(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, BoxError>> + Send + use<T, S, R, B>
    where
        R: Rpc,
        T: Service<core::Request<R>, Response = R::Output> + Clone + Send + 'static,
        T::Error: Into<BoxError>,
        T::Future: Send,
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let stack = self.stack.clone();
        let inner = Typed::<R, _>::new(self.inner.clone());
        async move {
            let request = match decode_request::<R>(request) {
                Ok(request) => request,
                Err(status) => return Ok(status.into_http()),
            };
            let (metadata, extensions, input) = request.into_parts();
            let mut response_metadata = None;
            let next = |input| {
                let request = tonic::Request::from_parts(metadata, extensions, input);
                let keep = &mut response_metadata;
                Box::pin(async move {
                    let (metadata, output, _) = inner.oneshot(request).await?.into_parts();
                    *keep = Some(metadata);
                    Ok(output)
                })
            };
            let output = Call::<R, _, _>::boxed(stack, input, (), next).await;
            let response = output.map(|output| {
                let mut response = tonic::Response::new(output);
                *response.metadata_mut() = response_metadata.unwrap_or_default();
                response
            });
            Ok(encode_response(response))
        }
    }
}
