use super::{
    Body, deadline::Deadline, grpc_service::GrpcService, read::Read, status::status, unary::Ended,
};
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::Status;
use tower_service::Service;
use tower_temporal_core::BoxError;

/// The innermost service of a stack: a call of it ends when the whole response is there, not only its head.
///
/// So a timeout outside of it covers the body, a limit's permit is held to the end, and a layer reads in the headers how
/// the call has ended ([`code`](super::code)), wherever the server has said it. [`over`](super::over()) puts it in.
///
/// Whatever the server has said is a response. What came between fails with a [`Status`]: `UNAVAILABLE` for a lost connection.
pub struct Whole<S, R> {
    service: S,
    body: PhantomData<fn(R)>,
}

impl<S, R> Whole<S, R> {
    /// A service of whole responses, made of one that need not be.
    pub const fn new(service: S) -> Self {
        Self {
            service,
            body: PhantomData,
        }
    }
}

impl<S: Clone, R> Clone for Whole<S, R> {
    fn clone(&self) -> Self {
        Self::new(self.service.clone())
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Whole<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole")
            .field("service", &self.service)
            .finish()
    }
}

impl<S, R> Service<Request<Body>> for Whole<S, R>
where
    S: GrpcService<R>,
    R: From<Body>,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = WholeFuture<S::Future, S::ResponseBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.service
            .poll_ready(cx)
            .map_err(|error| status(error.into()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        Deadline::tell_what_is_left(&mut request);
        WholeFuture {
            read: Read::new(self.service.call(request.map(R::from))),
        }
    }
}

pin_project! {
    /// The future of [`Whole`].
    #[must_use = "futures do nothing unless polled"]
    pub struct WholeFuture<F, B> {
        #[pin]
        read: Read<F, B>,
    }
}

impl<F, B, E> Future for WholeFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match ready!(self.project().read.poll(cx))? {
            Ended::Answered(answer) => answer.into_response(),
            Ended::Refused(status) => status.into_http(),
        }))
    }
}

impl<F, B> fmt::Debug for WholeFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WholeFuture").finish_non_exhaustive()
    }
}
