use super::{body::Body, long_poll::unless_long_poll, status::status, unary::Unary};
use bytes::Bytes;
use http::{Method, Request, Response, Uri, Version};
use std::sync::Arc;
use temporalio_client::{
    Connection, ConnectionOptions,
    callback_based::{CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse},
    errors::ClientConnectError,
};
use tonic::Status;
use tower::{ServiceExt, util::MapRequest};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal_core::{BoxError, OnInner, call::SharedStack};

/// Connects through `service`: every gRPC call of the connection's clients and workers is one of its requests.
///
/// The service takes [`rpc::Body`](Body), as a stack of this module's layers does, or [`tonic::body::Body`], as a tonic
/// channel does. It is built once and cloned for each call.
///
/// Of `options` everything that is about calls applies: retries, metadata, the API key, metrics. What is about the
/// transport (the target, TLS, keep-alive, proxies, DNS load balancing, compression) is the service's, and is not looked
/// at.
///
/// # Errors
///
/// If the server does not answer `GetSystemInfo`, with which the SDK begins, or an option is not valid.
pub async fn connect<S, R, B>(
    options: ConnectionOptions,
    service: S,
) -> Result<Connection, ClientConnectError>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: From<Body> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Connection::connect(connection_options(options, service)).await
}

/// Connects through `layer` and `service`, where long polls go to the service directly.
///
/// It is [`connect`] with [`unless_long_poll`] around the layer, or around a whole `ServiceBuilder` of them, so that a timeout, a
/// limit or a hedge that is right for short calls is right here. The service may be a channel as it is.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use temporalio_client::{ConnectionOptions, Url};
/// use tonic::transport::Endpoint;
/// use tower::ServiceBuilder;
/// use tower_temporal_client::rpc;
///
/// let channel = Endpoint::from_static("http://localhost:7233").connect().await?;
/// let options = ConnectionOptions::new(Url::parse("http://localhost:7233")?).build();
/// let layers = ServiceBuilder::new().concurrency_limit(100).timeout(Duration::from_secs(5));
/// let connection = rpc::connect_through(options, layers, channel).await?;
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`connect`].
pub async fn connect_through<L, S, R, B, C>(
    options: ConnectionOptions,
    layer: L,
    service: S,
) -> Result<Connection, ClientConnectError>
where
    L: Layer<OnInner<FromBody<S, R>>>,
    L::Service: Service<Request<Body>, Response = Response<C>> + Clone + Send + 'static,
    <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
    <L::Service as Service<Request<Body>>>::Future: Send,
    C: http_body::Body<Data = Bytes> + Send + 'static,
    C::Error: Into<BoxError>,
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: From<Body> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let from_body: fn(Request<Body>) -> Request<R> = |request| request.map(R::from);
    let service = MapRequest::new(service, from_body);
    connect(options, unless_long_poll(layer).layer(service)).await
}

/// A service that is given the body it takes: what a layer of [`connect_through`] wraps.
pub type FromBody<S, R> = MapRequest<S, fn(Request<Body>) -> Request<R>>;

/// The options of a connection through `service`, for what connects itself: see [`connect`].
pub fn connection_options<S, R, B>(mut options: ConnectionOptions, service: S) -> ConnectionOptions
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: From<Body> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = SharedStack::new(service);
    options.service_override = Some(CallbackBasedGrpcService {
        callback: Arc::new(move |call| {
            let service = service.get();
            // The box is the SDK's; there is nothing to gain from a future with a name in it.
            Box::pin(async move {
                let request = request(call)?.map(R::from);
                let response = service
                    .oneshot(request)
                    .await
                    .map_err(|error| status(error.into()))?;
                let (headers, message) = Unary::new(response).await?;
                Ok(GrpcSuccessResponse {
                    headers,
                    proto: message.into(),
                })
            })
        }),
    });
    // The SDK rejects the two together.
    options.dns_load_balancing = None;
    options
}

/// The SDK's call as the request it was before the SDK took it apart. Its headers, `grpc-timeout` among them, are whole.
fn request(call: GrpcRequest) -> Result<Request<Body>, Status> {
    let uri = Uri::try_from(format!("/{}/{}", call.service, call.rpc))
        .map_err(|error| Status::internal(format!("the SDK calls what is no path: {error}")))?;
    let mut request = Request::new(Body::new(call.proto));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = call.headers;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, header};
    use http_body_util::BodyExt;
    use prost::Message;
    use std::{
        future::ready,
        sync::{
            Mutex,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };
    use temporalio_client::{RetryOptions, Url, grpc::WorkflowService};
    use temporalio_protos::temporal::api::workflowservice::v1::{
        CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse,
    };
    use tonic::{Code, metadata::MetadataValue};
    use tower::{ServiceBuilder, service_fn};

    fn options() -> ConnectionOptions {
        ConnectionOptions::new(Url::parse("http://in-memory").unwrap())
            .retry_options(
                RetryOptions::builder()
                    .initial_interval(Duration::from_millis(1))
                    .max_retries(3)
                    .build(),
            )
            .build()
    }

    fn ok(message: &impl Message) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-trailer", HeaderValue::from_static("last"));
        Response::builder()
            .header(header::CONTENT_TYPE, "application/grpc")
            .header("x-header", "first")
            .header("x-bin-bin", "AAE")
            .body(Body::new(message.encode_to_vec()).with_trailers(trailers))
            .unwrap()
    }

    fn is_count<B>(request: &Request<B>) -> bool {
        request.uri().path().ends_with("/CountWorkflowExecutions")
    }

    fn count_request() -> tonic::Request<CountWorkflowExecutionsRequest> {
        tonic::Request::new(CountWorkflowExecutionsRequest {
            namespace: "default".into(),
            query: "x".repeat(100_000),
        })
    }

    #[tokio::test]
    async fn a_call_arrives_as_the_sdk_made_it_and_its_response_with_all_metadata() {
        let seen = Arc::new(Mutex::new(None));
        let in_service = seen.clone();
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            let seen = in_service.clone();
            async move {
                if !is_count(&request) {
                    return Ok::<_, BoxError>(ok(&()));
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                *seen.lock().unwrap() = Some((parts, body));
                Ok(ok(&CountWorkflowExecutionsResponse {
                    count: 7,
                    ..Default::default()
                }))
            }
        });
        let connection = connect(options(), service).await.unwrap();
        let mut request = count_request();
        request.set_timeout(Duration::from_millis(12_345));
        request
            .metadata_mut()
            .insert("x-mine", "1".parse().unwrap());
        request
            .metadata_mut()
            .insert_bin("x-mine-bin", MetadataValue::from_bytes(&[0, 255]));
        let response = connection
            .workflow_service()
            .count_workflow_executions(request)
            .await
            .unwrap();
        assert_eq!(response.get_ref().count, 7);
        assert_eq!(response.metadata().get("x-header").unwrap(), "first");
        assert_eq!(response.metadata().get("x-trailer").unwrap(), "last");
        assert_eq!(
            response.metadata().get_bin("x-bin-bin").unwrap(),
            &[0u8, 1][..]
        );

        let (parts, body) = seen.lock().unwrap().take().expect("the call arrived");
        assert_eq!(parts.method, Method::POST);
        assert_eq!(parts.version, Version::HTTP_2);
        assert_eq!(parts.headers["te"], "trailers");
        assert_eq!(parts.headers["content-type"], "application/grpc");
        assert_eq!(parts.headers["grpc-timeout"], "12345000u");
        assert_eq!(parts.headers["x-mine"], "1");
        assert_eq!(parts.headers["x-mine-bin"], "AP8");
        assert_eq!(parts.headers["temporal-namespace"], "default");
        let message = CountWorkflowExecutionsRequest::decode(body.slice(5..)).unwrap();
        assert_eq!(&message, count_request().get_ref());
    }

    #[tokio::test]
    async fn a_status_arrives_with_its_details_and_metadata() {
        let service = service_fn(|request: Request<Body>| {
            ready(Ok::<_, BoxError>(if is_count(&request) {
                let mut status = Status::with_details(
                    Code::FailedPrecondition,
                    "not today: äöü",
                    Bytes::from_static(b"\0details"),
                );
                status.metadata_mut().insert("x-why", "so".parse().unwrap());
                status.into_http()
            } else {
                ok(&())
            }))
        });
        let connection = connect(options(), service).await.unwrap();
        let status = connection
            .workflow_service()
            .count_workflow_executions(count_request())
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), "not today: äöü");
        assert_eq!(status.details(), b"\0details");
        assert_eq!(status.metadata().get("x-why").unwrap(), "so");
    }

    #[tokio::test]
    async fn a_middleware_s_error_is_a_status_and_the_sdk_retries_what_it_retries() {
        let calls = Arc::new(AtomicU32::new(0));
        let in_service = calls.clone();
        let service = ServiceBuilder::new()
            .timeout(Duration::from_millis(5))
            .service(service_fn(move |request: Request<Body>| {
                let is_count = is_count(&request);
                let attempt = in_service.fetch_add(u32::from(is_count), Ordering::SeqCst);
                async move {
                    match attempt {
                        _ if !is_count => Ok::<_, BoxError>(ok(&())),
                        0 => Err(Status::unavailable("come again").into()),
                        1 => Ok(Status::unavailable("and again").into_http()),
                        _ => std::future::pending().await,
                    }
                }
            }));
        let mut connection = connect(options(), service).await.unwrap();
        let status = connection
            .count_workflow_executions(count_request())
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_service_is_asked_whether_it_is_ready() {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        handle.allow(0);
        let connected = tokio::spawn(connect(options(), service));
        tokio::task::yield_now().await;
        assert!(!connected.is_finished(), "the service is not ready yet");
        handle.allow(1);
        let (request, send) = handle.next_request().await.expect("the service is used");
        assert!(request.uri().path().ends_with("/GetSystemInfo"));
        send.send_response(ok(&()));
        connected.await.unwrap().unwrap();
    }
}
