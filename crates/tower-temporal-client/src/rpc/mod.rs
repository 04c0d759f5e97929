//! Below the operations: any tower service as the SDK's connection, and every gRPC method typed.
//!
//! [`over`](over()) makes a service the connection of an unmodified SDK client and its workers: a tonic channel, with layers that each gRPC
//! call goes through.
//!
//! ```no_run
//! use std::time::Duration;
//! use http::{HeaderValue, header::AUTHORIZATION};
//! use temporalio_client::{Client, ClientOptions, ConnectionOptions, Url};
//! use tonic::transport::Endpoint;
//! use tower::ServiceBuilder;
//! use tower_http::{set_header::SetRequestHeaderLayer, trace::TraceLayer};
//! use tower_temporal_client::rpc;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let channel = Endpoint::from_static("http://localhost:7233").connect().await?;
//!
//! let connection = rpc::over(channel)
//!     .every_call(
//!         ServiceBuilder::new()
//!             .layer(TraceLayer::new_for_grpc())
//!             .layer(SetRequestHeaderLayer::overriding(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))),
//!     )
//!     // A worker's polls last a minute. They are kept from the timeout and the limit.
//!     .short_calls(ServiceBuilder::new().concurrency_limit(100).timeout(Duration::from_secs(5)))
//!     .connect(ConnectionOptions::new(Url::parse("http://localhost:7233")?).build())
//!     .await?;
//! let client = Client::new(connection, ClientOptions::new("default").build())?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! | | goes through | a layer sees |
//! |---|---|---|
//! | [`over(service).every_call(layer)`](Over::every_call) | every call | the whole response, its status in the headers |
//! | [`over(service).short_calls(layer)`](Over::short_calls) | every call but long polls | the same |
//! | [`connect(options, service)`](connect) | the service as it is, long polls too | what the service makes of it: over a channel, a response whose body and status are still on the way |
//!
//! The SDK's retries, metrics and metadata stay on top: a layer here sees each attempt. The call's `grpc-timeout` is in its headers,
//! less what it has waited in the stack, and ends the call with `DEADLINE_EXCEEDED` when it is over: waiting for a limit, retries
//! and the response's body included.
//!
//! A response's status arrives with its details. Metadata arrives as one map of headers and trailers, as the SDK has it with a channel of its
//! own; what belongs to the wire (`content-type`, `content-length`) is not in it.
//!
//! # Requests and responses
//!
//! A stack is one of services over `http::Request<`[`Body`]`>` and `http::Response<B>`, so tower-http's middleware fits. A
//! [`Body`] holds its message as [`Bytes`](bytes::Bytes) and can be cloned, which is what [`tower::retry`] and
//! `tower::hedge` need: `clone_request` is `Some(request.clone())`. tonic's own body can't be cloned; [`over`](over()) makes one at the end of
//! the stack, and in a stack built by hand [`into_tonic`] does.
//!
//! A call that failed is a response, whose headers say how, and [`code`] reads it there. What a middleware fails with becomes the status that
//! [`error::status`](tower_temporal_core::error::status) finds. A channel's error becomes tonic's own, but
//! for two: a connection that is lost is `UNAVAILABLE`, and a time that is over, of the call or the endpoint, is `DEADLINE_EXCEEDED`.
//!
//! No message is compressed: the SDK turns that off for connections of this kind. One that is larger than 128 MiB, or than the SDK's variable
//! `TEMPORAL_MAX_INCOMING_GRPC_BYTES` says, is not read.
//!
//! # What the SDK makes of an error
//!
//! The SDK's client tries a call again by the code it failed with, and that goes for what a layer here fails with too:
//!
//! | a layer's error | code | a call of a client | a worker's poll |
//! |---|---|---|---|
//! | [`tower::timeout`], a call's own `grpc-timeout`, an endpoint's `timeout` | `DEADLINE_EXCEEDED` | fails | is made again |
//! | `tower::load_shed`, [`Overloaded`](tower_temporal_core::Overloaded) | `RESOURCE_EXHAUSTED` | again, after a second and more | again, after a second and more |
//! | a lost connection, a closed `tower::buffer` | `UNAVAILABLE` | again | again |
//! | [`Denied`](tower_temporal_core::Denied) | `PERMISSION_DENIED` | fails | again for a minute, then the worker ends |
//! | [`Invalid`](tower_temporal_core::Invalid), a request that can't be decoded | `INVALID_ARGUMENT` | fails | as above |
//! | a mistake in a stack: [`CallError`](tower_temporal_core::CallError) | `FAILED_PRECONDITION` | fails | as above |
//! | a panic that `CatchPanicLayer` caught, a response that is not whole | `INTERNAL` | again | again |
//! | any other error | `UNKNOWN` | again | again |
//! | a [`tonic::Status`] of your own | its own: `DATA_LOSS`, `INTERNAL`, `UNKNOWN`, `RESOURCE_EXHAUSTED`, `ABORTED`, `OUT_OF_RANGE` and `UNAVAILABLE` are tried again | | |
//!
//! "Again" is, for a client, up to ten attempts in ten seconds ([`RetryOptions`](temporalio_client::RetryOptions)), and for polls without end. So a
//! call that [`tower::load_shed`](https://docs.rs/tower/latest/tower/load_shed/) refuses takes seconds to fail: with a `Denied` in its place, or without
//! retries, it fails at once.
//!
//! # Recipes
//!
//! Retries beneath the SDK's, sooner than those: [`Retry`] is a policy for [`tower::retry`].
//!
//! ```
//! # fn connection(channel: tonic::transport::Channel) {
//! use std::time::Duration;
//! use tower::{ServiceBuilder, retry::RetryLayer};
//! use tower_temporal_client::rpc;
//!
//! let connection = rpc::over(channel).short_calls(
//!     ServiceBuilder::new()
//!         // Of all attempts together, and then of each.
//!         .timeout(Duration::from_secs(8))
//!         .layer(RetryLayer::new(rpc::Retry::new().retries(2)))
//!         .timeout(Duration::from_secs(2)),
//! );
//! # let _ = connection;
//! # }
//! ```
//!
//! A second attempt while the first hangs, for calls that change nothing. `Hedge` is not `Clone`, so there is a `buffer` around it:
//!
//! ```
//! # fn connection(channel: tonic::transport::Channel) {
//! use http::Request;
//! use std::time::Duration;
//! use tower::{BoxError, Layer, Service, ServiceBuilder, hedge::{Hedge, Policy}};
//! use tower_temporal_client::rpc::{self, Body, Rpc, workflow_service::CountWorkflowExecutions};
//!
//! #[derive(Clone)]
//! struct Counts;
//!
//! impl Policy<Request<Body>> for Counts {
//!     fn clone_request(&self, request: &Request<Body>) -> Option<Request<Body>> {
//!         Some(request.clone())
//!     }
//!
//!     fn can_retry(&self, request: &Request<Body>) -> bool {
//!         CountWorkflowExecutions::matches(request)
//!     }
//! }
//!
//! impl<S> Layer<S> for Counts
//! where
//!     S: Service<Request<Body>, Error: Into<BoxError>> + Clone,
//! {
//!     type Service = Hedge<S, Self>;
//!
//!     fn layer(&self, inner: S) -> Self::Service {
//!         Hedge::new(inner, Self, 100, 0.95, Duration::from_secs(60))
//!     }
//! }
//!
//! let connection = rpc::over(channel)
//!     .short_calls(ServiceBuilder::new().buffer::<Request<Body>>(64).layer(Counts));
//! # let _ = connection;
//! # }
//! ```
//!
//! No more calls at once than this, and none that waits for its turn:
//!
//! ```
//! # fn connection(channel: tonic::transport::Channel) {
//! use tower::ServiceBuilder;
//! use tower_temporal_client::rpc;
//!
//! let connection = rpc::over(channel)
//!     .short_calls(ServiceBuilder::new().load_shed().concurrency_limit(64));
//! # let _ = connection;
//! # }
//! ```
//!
//! Several servers: tonic's own balance, by load.
//!
//! ```
//! # fn endpoints() {
//! use tonic::transport::{Channel, Endpoint};
//! use tower_temporal_client::rpc;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let servers = ["http://10.0.0.1:7233", "http://10.0.0.2:7233"].map(Endpoint::from_static);
//! let connection = rpc::over(Channel::balance_list(servers.into_iter()));
//! # let _ = connection;
//! # });
//! # }
//! # endpoints();
//! ```
//!
//! A trace that has a call's headers in it, but no secrets:
//!
//! ```
//! # fn connection(channel: tonic::transport::Channel) {
//! use http::{Request, header::AUTHORIZATION};
//! use tower::ServiceBuilder;
//! use tower_http::{sensitive_headers::SetSensitiveRequestHeadersLayer, trace::{DefaultMakeSpan, TraceLayer}};
//! use tower_temporal_client::rpc;
//!
//! let connection = rpc::over(channel).every_call(
//!     ServiceBuilder::new()
//!         .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
//!         .layer(TraceLayer::new_for_grpc().make_span_with(DefaultMakeSpan::new().include_headers(true))),
//! );
//! # let _ = connection;
//! # }
//! ```
//!
//! # One method
//!
//! Every unary method of Temporal's services has a marker type, generated from the SDK's protos. [`on`](on()) gives a layer the
//! method's messages; all other calls pass as bytes. See [`on`](mod@on).
//!
//! # Calls that no interceptor sees
//!
//! Standalone activities, heartbeats of activities, the headers of schedules, namespaces and the operator service have no
//! interceptor in the SDK. [`operations`](operations()) applies `PropagationLayer`, `TraceLayer` and any other layer of operations to them. See
//! [`operations`](mod@operations).
//!
//! # Long polls
//!
//! [`Over::short_calls`], and [`unless_long_poll`] in a stack built by hand, keep a layer from calls that the server holds until something
//! happens. See [`long_poll`].
//!
//! # The channel
//!
//! The connection is the service's, so the transport is set up with tonic's [`Endpoint`](tonic::transport::Endpoint), and
//! what [`ConnectionOptions`](temporalio_client::ConnectionOptions) says of it is not looked at. Of the SDK's defaults that is one to set again:
//! keep-alive, every 30 seconds with 15 for the answer, without which a connection that has silently died is found out only by a call's timeout.
//! And the SDK resolves its server's name again now and then; a channel does so when it connects.
//!
//! ```
//! # fn endpoint() -> tonic::transport::Endpoint {
//! use std::time::Duration;
//! use tonic::transport::Endpoint;
//!
//! Endpoint::from_static("http://localhost:7233")
//!     .connect_timeout(Duration::from_secs(5))
//!     .http2_keep_alive_interval(Duration::from_secs(30))
//!     .keep_alive_timeout(Duration::from_secs(15))
//!     .keep_alive_while_idle(true)
//! # }
//! # endpoint();
//! ```
//!
//! An endpoint's own `timeout`, `concurrency_limit` and `rate_limit` know nothing of long polls and break workers. Put such layers in
//! [`short_calls`](Over::short_calls).
//!
//! TLS needs one of tonic's `tls` features in your `Cargo.toml`. With a root certificate of your own:
//!
//! ```no_run
//! # fn endpoint() -> Result<tonic::transport::Endpoint, Box<dyn std::error::Error>> {
//! use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
//!
//! let tls = ClientTlsConfig::new()
//!     .domain_name("temporal.example.com")
//!     .ca_certificate(Certificate::from_pem(std::fs::read("ca.pem")?));
//! Ok(Endpoint::from_static("https://temporal.example.com:7233").tls_config(tls)?)
//! # }
//! ```
//!
//! mTLS, with a certificate of the client's too:
//!
//! ```no_run
//! # fn endpoint() -> Result<tonic::transport::Endpoint, Box<dyn std::error::Error>> {
//! use tonic::transport::{ClientTlsConfig, Endpoint, Identity};
//!
//! let tls = ClientTlsConfig::new()
//!     .with_enabled_roots()
//!     .identity(Identity::from_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?));
//! Ok(Endpoint::from_static("https://temporal.example.com:7233").tls_config(tls)?)
//! # }
//! ```
//!
//! An API key is metadata and no transport: the options still have it.
//!
//! ```no_run
//! # fn options() -> Result<temporalio_client::ConnectionOptions, Box<dyn std::error::Error>> {
//! use temporalio_client::{ConnectionOptions, Url};
//!
//! Ok(ConnectionOptions::new(Url::parse("https://temporal.example.com:7233")?)
//!     .api_key("secret".to_owned())
//!     .build())
//! # }
//! ```
//!
//! Through an HTTP CONNECT proxy, with the SDK's own connector:
//!
//! ```no_run
//! # async fn channel() -> Result<tonic::transport::Channel, Box<dyn std::error::Error>> {
//! use temporalio_client::HttpConnectProxyOptions;
//! use tonic::transport::Endpoint;
//!
//! let endpoint = Endpoint::from_static("http://temporal.example.com:7233");
//! let proxy = HttpConnectProxyOptions::new("proxy.example.com:3128").build();
//! Ok(proxy.connect_endpoint(&endpoint).await?)
//! # }
//! ```
//!
//! A Unix socket, or anything else that carries bytes, is a connector:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use hyper_util::rt::TokioIo;
//! use tokio::net::UnixStream;
//! use tonic::transport::Endpoint;
//! use tower::service_fn;
//!
//! let connector = service_fn(async |_| {
//!     Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect("/run/temporal.sock").await?))
//! });
//! let channel = Endpoint::from_static("http://temporal").connect_with_connector(connector).await?;
//! # drop(channel);
//! # Ok(())
//! # }
//! ```

mod body;
mod connect;
mod deadline;
mod either;
mod grpc_service;
pub mod long_poll;
mod method;
pub mod on;
pub mod operations;
mod read;
mod retry;
mod status;
mod typed;
mod unary;
mod whole;

pub use self::{
    body::{Body, into_tonic},
    connect::{Over, connect, connection_options, over},
    either::EitherFuture,
    grpc_service::GrpcService,
    long_poll::{UnlessLongPollLayer, is_long_poll, unless_long_poll},
    method::{Rpc, cloud_service, health, operator_service, test_service, workflow_service},
    on::{OnLayer, on},
    operations::{OperationsLayer, RpcService, operations},
    retry::{Retry, code},
    typed::{Typed, TypedFuture, decode_request, encode_response},
    whole::{Whole, WholeFuture},
};
