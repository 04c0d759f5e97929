//! Between a call as bytes and a call as messages.

use super::{Body, Rpc, read::Read, status::status, unary::OK};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use pin_project_lite::pin_project;
use prost::Message;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{
    Status,
    metadata::{GRPC_CONTENT_TYPE, MetadataMap},
};
use tower_service::Service;
use tower_temporal_core::BoxError;

/// The URI of a request that was typed on the way, if a layer gave it more than a path.
#[derive(Clone)]
struct Original(Uri);

/// The message of a request that is one of the method `R`, for a service that answers it itself.
///
/// # Errors
///
/// `INVALID_ARGUMENT` if the message can't be decoded. The SDK does not try that again.
pub fn decode_request<R: Rpc>(request: Request<Body>) -> Result<tonic::Request<R::Input>, Status> {
    let (mut parts, body) = request.into_parts();
    let message = R::Input::decode(body.into_message()).map_err(|error| {
        Status::invalid_argument(format!(
            "`{}`: the request can't be decoded: {error}",
            R::NAME
        ))
    })?;
    if parts.uri.authority().is_some() {
        parts.extensions.insert(Original(parts.uri));
    }
    let metadata = MetadataMap::from_headers(parts.headers);
    Ok(tonic::Request::from_parts(
        metadata,
        parts.extensions,
        message,
    ))
}

fn encode_request<R: Rpc>(request: tonic::Request<R::Input>) -> Request<Body> {
    let (metadata, mut extensions, message) = request.into_parts();
    let uri = match extensions.remove() {
        Some(Original(uri)) => uri,
        None => Uri::from_static(R::PATH),
    };
    let mut request = Request::new(Body::encode(&message));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = metadata.into_headers();
    *request.extensions_mut() = extensions;
    // A layer may have made a request of its own, which has neither.
    let headers = request.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
    request
}

/// The response that says how a call ended, for a service that answers it itself.
pub fn encode_response<M: Message>(result: Result<tonic::Response<M>, Status>) -> Response<Body> {
    let response = match result {
        Ok(response) => response,
        Err(status) => return status.into_http(),
    };
    let (metadata, message, extensions) = response.into_parts();
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static(OK));
    let body = Body::encode(&message).with_trailers(trailers);
    let mut response = Response::new(body);
    *response.version_mut() = Version::HTTP_2;
    *response.headers_mut() = metadata.into_headers();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
    *response.extensions_mut() = extensions;
    response
}

/// The response that says how a typed call ended. A status is one as well; another error stays one.
pub(super) fn end<M, E>(result: Result<tonic::Response<M>, E>) -> Result<Response<Body>, BoxError>
where
    M: Message,
    E: Into<BoxError>,
{
    match result {
        Ok(response) => Ok(encode_response(Ok(response))),
        Err(error) => Ok(error.into().downcast::<Status>()?.into_http()),
    }
}

/// A connection's service, seen as the method `R`: what a layer of [`on`](super::on()) is applied to, and a client of one
/// method.
pub struct Typed<R, S> {
    inner: S,
    method: PhantomData<fn() -> R>,
}

impl<R, S> Typed<R, S> {
    /// Sees `inner` as the method `R`.
    pub const fn new(inner: S) -> Self {
        Self {
            inner,
            method: PhantomData,
        }
    }
}

impl<R, S: Clone> Clone for Typed<R, S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<R: Rpc, S: fmt::Debug> fmt::Debug for Typed<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("method", &R::PATH)
            .field("inner", &self.inner)
            .finish()
    }
}

impl<R, S, B> Service<tonic::Request<R::Input>> for Typed<R, S>
where
    R: Rpc,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = tonic::Response<R::Output>;
    type Error = Status;
    type Future = TypedFuture<R, S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| status(error.into()))
    }

    fn call(&mut self, request: tonic::Request<R::Input>) -> Self::Future {
        TypedFuture {
            read: Read::new(self.inner.call(encode_request::<R>(request))),
            method: PhantomData,
        }
    }
}

pin_project! {
    /// The future of [`Typed`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TypedFuture<R, F, B> {
        #[pin]
        read: Read<F, B>,
        method: PhantomData<fn() -> R>,
    }
}

impl<R, F, B, E> Future for TypedFuture<R, F, B>
where
    R: Rpc,
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<tonic::Response<R::Output>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.project().read.poll(cx))?.into_result()?;
        let (headers, message) = answer.into_parts();
        let message = R::Output::decode(message).map_err(|error| {
            Status::internal(format!(
                "`{}`: the response can't be decoded: {error}",
                R::NAME
            ))
        })?;
        Poll::Ready(Ok(tonic::Response::from_parts(
            MetadataMap::from_headers(headers),
            message,
            http::Extensions::new(),
        )))
    }
}

impl<R: Rpc, F, B> fmt::Debug for TypedFuture<R, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedFuture")
            .field("method", &R::PATH)
            .finish_non_exhaustive()
    }
}
