use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;
use tower_temporal_core::BoxError;

/// A service that can be a connection: a tonic channel, or a stack over one.
///
/// It is implemented for every service that qualifies; there is nothing to implement by hand. `R` is the body of its
/// requests: [`rpc::Body`](super::Body), or [`tonic::body::Body`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the connection of an SDK client",
    label = "is no service of gRPC calls with the request body `{R}`",
    note = "a connection is `Clone + Send + 'static` and a `Service<http::Request<R>>` with the response `http::Response<B>`, \
            `Error: Into<BoxError>` and `Future: Send`, where `B` is an `http_body::Body<Data = Bytes> + Send + 'static`",
    note = "over a tonic channel, `rpc::over(channel).every_call(layers)` fits the request body; by hand it is \
            `ServiceBuilder::new().layer(layers).map_request(rpc::into_tonic).service(channel)`",
    note = "`hedge`, `balance` and services that are not `Clone` go inside `buffer`"
)]
pub trait GrpcService<R>:
    Service<
        Request<R>,
        Response = Response<Self::ResponseBody>,
        Error: Into<BoxError>,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, R, B> GrpcService<R> for S
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type ResponseBody = B;
}
