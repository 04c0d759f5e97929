//! Below the operations: any tower service as the SDK's connection, and every gRPC method typed.
//!
//! [`connect`] makes a service the connection of an unmodified SDK client and its workers. A tonic channel is one; with layers
//! over it, each gRPC call goes through them:
//!
//! ```no_run
//! use std::time::Duration;
//! use temporalio_client::{Client, ClientOptions, ConnectionOptions, Url};
//! use tonic::transport::Endpoint;
//! use tower::ServiceBuilder;
//! use tower_http::trace::TraceLayer;
//! use tower_temporal_client::rpc;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let channel = Endpoint::from_static("http://localhost:7233").connect().await?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(TraceLayer::new_for_grpc())
//!     // A worker's polls last a minute. They are kept from the timeout and the limit.
//!     .layer(rpc::unless_long_poll(
//!         ServiceBuilder::new().concurrency_limit(100).timeout(Duration::from_secs(5)),
//!     ))
//!     .map_request(rpc::into_tonic)
//!     .service(channel);
//!
//! let options = ConnectionOptions::new(Url::parse("http://localhost:7233")?).build();
//! let connection = rpc::connect(options, service).await?;
//! let client = Client::new(connection, ClientOptions::new("default").build())?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! The SDK's retries, metrics and metadata stay on top: a layer here sees each attempt. A call's `grpc-timeout` is in its
//! headers. The status, its details, all metadata and trailers of a response arrive as the server sent them.
//!
//! # Requests and responses
//!
//! A stack is one of services over `http::Request<`[`Body`]`>` and `http::Response<B>`, so tower-http's middleware fits. A
//! [`Body`] holds its message as [`Bytes`](bytes::Bytes) and can be cloned, which is what [`tower::retry`] and
//! `tower::hedge` need: `clone_request` is `Some(request.clone())`. tonic's own body can't be cloned; [`into_tonic`] makes
//! one at the end of the stack. A service that needs no clone can leave it out and take [`tonic::body::Body`] throughout.
//!
//! A call that failed is a response, whose headers or trailers say how; of most, the headers do:
//! `tonic::Status::from_header_map(response.headers())`. What a middleware fails with becomes the status that
//! [`error::status`](tower_temporal_core::error::status) finds. A channel's error becomes tonic's own, and a connection that is lost is
//! `UNAVAILABLE`, which the SDK retries.
//!
//! No message is compressed: the SDK turns that off for connections of this kind.
//!
//! # One method
//!
//! Every unary method of Temporal's services has a marker type, generated from the SDK's protos. [`on`](on()) gives a layer the
//! method's messages; all other calls pass as bytes. See [`on`](mod@on).
//!
//! # Calls that no interceptor sees
//!
//! Standalone activities, a worker's heartbeats, the headers of schedules, namespaces and the operator service have no
//! interceptor in the SDK. [`operations`](operations()) applies `PropagationLayer`, `TraceLayer` and any other layer of operations to them. See
//! [`operations`](mod@operations).
//!
//! # Long polls
//!
//! [`unless_long_poll`] keeps a layer from calls that the server holds until something happens, and [`connect_through`] does so
//! from the start. See [`long_poll`].
//!
//! # TLS, proxies, keep-alive
//!
//! The connection is the service's, so the transport is set up with tonic's [`Endpoint`](tonic::transport::Endpoint), and
//! what [`ConnectionOptions`](temporalio_client::ConnectionOptions) says of it is not looked at. TLS needs one of tonic's `tls` features
//! in your `Cargo.toml`.
//!
//! ```no_run
//! use temporalio_client::{ConnectionOptions, HttpConnectProxyOptions, Url};
//! use std::time::Duration;
//! use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
//! use tower_temporal_client::rpc;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // TLS, with a root certificate of your own.
//! let tls = ClientTlsConfig::new()
//!     .domain_name("temporal.example.com")
//!     .ca_certificate(Certificate::from_pem(std::fs::read("ca.pem")?));
//! // mTLS: and with a certificate of the client's.
//! let tls = tls.identity(Identity::from_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?));
//!
//! let endpoint = Endpoint::from_static("https://temporal.example.com:7233")
//!     .tls_config(tls)?
//!     .connect_timeout(Duration::from_secs(5))
//!     // Keep-alive: without it, a connection that has silently died is found out only by the next call's timeout.
//!     .http2_keep_alive_interval(Duration::from_secs(30))
//!     .keep_alive_timeout(Duration::from_secs(15))
//!     .keep_alive_while_idle(true);
//! let channel = endpoint.connect().await?;
//!
//! // Through an HTTP CONNECT proxy, with the SDK's own connector.
//! let proxy = HttpConnectProxyOptions::new("proxy.example.com:3128").build();
//! let through_proxy = proxy.connect_endpoint(&endpoint).await?;
//!
//! // An API key is metadata, not transport: the options still have it.
//! let options = ConnectionOptions::new(Url::parse("https://temporal.example.com:7233")?)
//!     .api_key("secret".to_owned())
//!     .build();
//! let connection = rpc::connect(options, channel).await?;
//! # drop((connection, through_proxy));
//! # Ok(())
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
mod either;
pub mod long_poll;
mod method;
pub mod on;
pub mod operations;
mod status;
mod typed;
mod unary;

pub use self::{
    body::{Body, into_tonic},
    connect::{FromBody, connect, connect_through, connection_options},
    either::EitherFuture,
    long_poll::{UnlessLongPollLayer, is_long_poll, unless_long_poll},
    method::{Rpc, cloud_service, health, operator_service, test_service, workflow_service},
    on::{OnLayer, on},
    operations::{OperationsLayer, RpcService, operations},
    typed::{Typed, TypedFuture, decode_request, encode_response},
};
