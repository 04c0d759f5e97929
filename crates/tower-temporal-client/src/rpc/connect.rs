use super::{
    Body, Whole,
    deadline::Deadline,
    grpc_service::GrpcService,
    long_poll::{UnlessLongPollLayer, unless_long_poll},
    read::Read,
};
use http::{Method, Request, Uri, Version};
use std::sync::Arc;
use temporalio_client::{
    Connection, ConnectionOptions,
    callback_based::{CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse},
    errors::ClientConnectError,
};
use tonic::Status;
use tower::{
    layer::util::{Identity, Stack},
    util::Oneshot,
};
use tower_layer::Layer;
use tower_temporal_core::call::SharedStack;

/// Begins a connection over `service`: a tonic channel, most often. Layers are added to it, and then it connects.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use temporalio_client::{ConnectionOptions, Url};
/// use tonic::transport::Endpoint;
/// use tower::ServiceBuilder;
/// use tower_http::trace::TraceLayer;
/// use tower_temporal_client::rpc;
///
/// let channel = Endpoint::from_static("http://localhost:7233").connect().await?;
/// let connection = rpc::over(channel)
///     // What all calls go through, long polls too.
///     .every_call(TraceLayer::new_for_grpc())
///     // What a call must not wait in for a minute, as long polls do.
///     .short_calls(ServiceBuilder::new().concurrency_limit(100).timeout(Duration::from_secs(5)))
///     .connect(ConnectionOptions::new(Url::parse("http://localhost:7233")?).build())
///     .await?;
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
pub const fn over<S>(service: S) -> Over<S, Identity> {
    Over {
        service,
        layers: Identity::new(),
    }
}

/// A connection in the making: see [`over`].
///
/// As with [`ServiceBuilder`](tower::ServiceBuilder), the layer that is added first sees a request first; each may be a whole
/// `ServiceBuilder`. They are layers over services of [`Request`]`<`[`Body`]`>` and [`Response`](http::Response)`<B>`. What
/// they wrap gives [whole](Whole) responses.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is connected until `connect`"]
pub struct Over<S, L> {
    service: S,
    layers: L,
}

impl<S, L> Over<S, L> {
    /// Applies `layer` to every call, long polls included: headers, traces, [`operations`](super::operations()),
    /// [`on`](super::on()).
    pub fn every_call<M>(self, layer: M) -> Over<S, Stack<M, L>> {
        Over {
            service: self.service,
            layers: Stack::new(layer, self.layers),
        }
    }

    /// Applies `layer` to every call but [long polls](super::long_poll): timeouts, limits, hedges, retries.
    ///
    /// What is a long poll is decided when a call arrives here, as [`unless_long_poll`] does it.
    pub fn short_calls<M>(self, layer: M) -> Over<S, Stack<UnlessLongPollLayer<M>, L>> {
        self.every_call(unless_long_poll(layer))
    }

    /// The stack alone, for what connects itself or is no SDK client.
    pub fn into_service<R>(self) -> L::Service
    where
        L: Layer<Whole<S, R>>,
    {
        self.layers.layer(Whole::new(self.service))
    }

    /// Connects: every gRPC call of the connection's clients and workers goes through the layers to the service.
    ///
    /// Of `options` everything that is about calls applies: retries, metadata, the API key, metrics. What is about the
    /// transport (the target, TLS, keep-alive, proxies, DNS load balancing, compression) is the service's, and is not looked
    /// at.
    ///
    /// # Errors
    ///
    /// If the server does not answer `GetSystemInfo`, with which the SDK begins, or an option is not valid.
    pub async fn connect<R>(
        self,
        options: ConnectionOptions,
    ) -> Result<Connection, ClientConnectError>
    where
        L: Layer<Whole<S, R>>,
        L::Service: GrpcService<Body>,
    {
        connect(options, self.into_service()).await
    }
}

/// Connects through `service` as it is: every gRPC call of the connection's clients and workers is one of its requests,
/// long polls among them, and nothing is added. [`over`] is what applications want.
///
/// The service takes [`rpc::Body`](Body), as a stack of this module's layers does, or [`tonic::body::Body`], as a tonic
/// channel does. It is built once and cloned for each call. A timeout in it that knows nothing of long polls ends
/// them; and a layer in it sees the head of a response alone, unless there is a [`Whole`] beneath it.
///
/// Of `options` the same applies as for [`Over::connect`].
///
/// # Errors
///
/// As for [`Over::connect`].
pub async fn connect<S, R>(
    options: ConnectionOptions,
    service: S,
) -> Result<Connection, ClientConnectError>
where
    S: GrpcService<R>,
    R: From<Body> + Send + 'static,
{
    Connection::connect(connection_options(options, service)).await
}

/// The options of a connection through `service`, for what connects itself: see [`connect`].
pub fn connection_options<S, R>(mut options: ConnectionOptions, service: S) -> ConnectionOptions
where
    S: GrpcService<R>,
    R: From<Body> + Send + 'static,
{
    let service = SharedStack::new(service);
    options.service_override = Some(CallbackBasedGrpcService {
        callback: Arc::new(move |call| {
            let service = service.get();
            // The box is the SDK's; there is nothing to gain from a future with a name in it.
            Box::pin(async move {
                let deadline = Deadline::of(&call.headers);
                let request = request(call, deadline.clone())?.map(R::from);
                let read = Read::new(Oneshot::new(service, request));
                let ended = match deadline {
                    // A channel counts from its own `call` to the response's head. The caller's time runs from here, in
                    // queues too, and to the last byte.
                    Some(deadline) => tokio::time::timeout_at(deadline.at(), read)
                        .await
                        .map_err(|_| deadline.exceeded())?,
                    None => read.await,
                };
                let (headers, message) = ended?.into_result()?.into_parts();
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
fn request(call: GrpcRequest, deadline: Option<Deadline>) -> Result<Request<Body>, Status> {
    let uri = Uri::try_from(format!("/{}/{}", call.service, call.rpc)).map_err(|error| {
        Status::invalid_argument(format!("the SDK calls what is no path: {error}"))
    })?;
    let mut request = Request::new(Body::new(call.proto));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = call.headers;
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{
        Rpc, code,
        workflow_service::{CountWorkflowExecutions, PollActivityTaskQueue},
    };
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Response, header};
    use http_body::Frame;
    use http_body_util::BodyExt;
    use http_body_util::StreamBody;
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
        PollActivityTaskQueueRequest,
    };
    use tonic::{Code, metadata::MetadataValue};
    use tower::{
        ServiceBuilder, limit::GlobalConcurrencyLimitLayer, retry::RetryLayer, service_fn,
        timeout::TimeoutLayer,
    };
    use tower_http::set_header::SetRequestHeaderLayer;
    use tower_temporal_core::BoxError;

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

    /// What a server answers to `GetSystemInfo`, and everything else that a test does not look at.
    type Answered = Result<Response<tonic::body::Body>, BoxError>;

    fn empty() -> Answered {
        Ok(ok(&()).map(Into::into))
    }

    /// A response whose body is these frames.
    fn frames(
        frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, Status>> + Send + 'static,
    ) -> Answered {
        Ok(Response::builder()
            .header(header::CONTENT_TYPE, "application/grpc")
            .body(tonic::body::Body::new(StreamBody::new(frames)))?)
    }

    fn trailers(status: &'static str) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        Frame::trailers(trailers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_naive_timeout_does_not_cut_a_poll_and_a_header_reaches_it() {
        let service = service_fn(async |request: Request<tonic::body::Body>| {
            if PollActivityTaskQueue::matches(&request) {
                assert_eq!(request.headers()["authorization"], "Bearer secret");
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            if CountWorkflowExecutions::matches(&request) {
                std::future::pending::<()>().await;
            }
            empty()
        });
        let connection = over(service)
            .every_call(SetRequestHeaderLayer::overriding(
                header::AUTHORIZATION,
                HeaderValue::from_static("Bearer secret"),
            ))
            .short_calls(
                ServiceBuilder::new()
                    .concurrency_limit(1)
                    .timeout(Duration::from_secs(5)),
            )
            .connect(options())
            .await
            .unwrap();
        let poll = || async {
            let mut request = tonic::Request::new(PollActivityTaskQueueRequest::default());
            // As a worker does.
            request.set_timeout(Duration::from_secs(70));
            connection.clone().poll_activity_task_queue(request).await
        };
        // As many as there are, no limit holds them.
        let (first, second, count) = tokio::join!(poll(), poll(), async {
            connection
                .clone()
                .count_workflow_executions(count_request())
                .await
        });
        first.unwrap();
        second.unwrap();
        assert_eq!(count.unwrap_err().code(), Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_covers_the_body() {
        let service = service_fn(async |request: Request<tonic::body::Body>| {
            if CountWorkflowExecutions::matches(&request) {
                return frames(futures_util::stream::pending());
            }
            empty()
        });
        let connection = over(service)
            .short_calls(TimeoutLayer::new(Duration::from_secs(5)))
            .connect(options())
            .await
            .unwrap();
        let mut request = count_request();
        request.set_timeout(Duration::from_secs(600));
        let status = connection
            .clone()
            .count_workflow_executions(request)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        let source = status.message();
        assert!(
            source.contains("timed out"),
            "by the layer's timeout: {status:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_a_call_to_its_last_byte() {
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        let body = futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx));
        let body = Arc::new(Mutex::new(Some(body)));
        let arrived = Arc::new(AtomicU32::new(0));
        let in_service = arrived.clone();
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            let is_count = CountWorkflowExecutions::matches(&request);
            let body = body.clone();
            in_service.fetch_add(u32::from(is_count), Ordering::SeqCst);
            async move {
                match is_count.then(|| body.lock().unwrap().take()).flatten() {
                    Some(body) => frames(body),
                    None => empty(),
                }
            }
        });
        let connection = over(service)
            .short_calls(GlobalConcurrencyLimitLayer::new(1))
            .connect(options())
            .await
            .unwrap();
        let count = || async {
            connection
                .clone()
                .count_workflow_executions(count_request())
                .await
                .map(drop)
        };
        let rest = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(
                arrived.load(Ordering::SeqCst),
                1,
                "the second waits for the body of the first"
            );
            for frame in [
                Frame::data(Bytes::from_static(b"\0\0\0\0\0")),
                trailers("0"),
            ] {
                send.send(Ok(frame)).unwrap();
            }
            drop(send);
        };
        let (first, second, ()) = tokio::join!(count(), count(), rest);
        first.unwrap();
        second.unwrap();
        assert_eq!(arrived.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_sees_a_status_in_the_trailers() {
        let attempts = Arc::new(AtomicU32::new(0));
        let in_service = attempts.clone();
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            let is_count = CountWorkflowExecutions::matches(&request);
            let attempt = in_service.fetch_add(u32::from(is_count), Ordering::SeqCst);
            async move {
                if is_count && attempt < 2 {
                    let data = Frame::data(Bytes::from_static(b"\0\0\0\0\0"));
                    return frames(futures_util::stream::iter([Ok(data), Ok(trailers("14"))]));
                }
                empty()
            }
        });
        let mut options = options();
        options.retry_options = RetryOptions::no_retries();
        let connection = over(service)
            .short_calls(RetryLayer::new(crate::rpc::Retry::new()))
            .connect(options)
            .await
            .unwrap();
        connection
            .clone()
            .count_workflow_executions(count_request())
            .await
            .unwrap();
        assert_eq!(attempts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_layer_reads_in_the_headers_how_a_call_ended() {
        let service = service_fn(async |request: Request<tonic::body::Body>| {
            if CountWorkflowExecutions::matches(&request) {
                return frames(futures_util::stream::iter([Ok(trailers("5"))]));
            }
            empty()
        });
        let codes = Arc::new(Mutex::new(Vec::new()));
        let in_layer = codes.clone();
        let connection = over(service)
            .every_call(tower::util::MapResultLayer::new(
                move |result: Result<Response<Body>, Status>| {
                    in_layer.lock().unwrap().push(code(&result));
                    result
                },
            ))
            .connect(options())
            .await
            .unwrap();
        let status = connection
            .clone()
            .count_workflow_executions(count_request())
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(*codes.lock().unwrap(), [Code::Ok, Code::NotFound]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_s_own_timeout_runs_while_it_waits_for_a_limit() {
        let service = service_fn(async |request: Request<Body>| {
            if is_count(&request) {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(ok(&()))
        });
        let service = ServiceBuilder::new()
            .layer(GlobalConcurrencyLimitLayer::new(1))
            .service(service);
        let connection = connect(options(), service).await.unwrap();
        let count = |timeout| {
            let mut request = count_request();
            request.set_timeout(timeout);
            let mut connection = connection.clone();
            async move {
                connection
                    .count_workflow_executions(request)
                    .await
                    .unwrap_err()
            }
        };
        let began = tokio::time::Instant::now();
        let in_service = tokio::spawn(count(Duration::from_secs(60)));
        tokio::task::yield_now().await;
        let waited = count(Duration::from_millis(50)).await;
        assert_eq!(waited.code(), Code::DeadlineExceeded, "{waited}");
        assert_eq!(began.elapsed().as_millis(), 50);
        // The other one, over a service that is no channel, and so enforces nothing.
        let status = in_service.await.unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(began.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_is_told_how_much_time_is_left() {
        let timeouts = Arc::new(Mutex::new(Vec::new()));
        let in_service = timeouts.clone();
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            let timeouts = in_service.clone();
            async move {
                if !CountWorkflowExecutions::matches(&request) {
                    return empty();
                }
                let timeout = request.headers()["grpc-timeout"].clone();
                timeouts.lock().unwrap().push(timeout);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(Status::unavailable("not yet").into_http())
            }
        });
        let retry = crate::rpc::Retry::new().retries(1);
        let connection = over(service)
            .short_calls(RetryLayer::new(retry))
            .connect(options())
            .await
            .unwrap();
        let mut request = count_request();
        request.set_timeout(Duration::from_secs(10));
        connection
            .clone()
            .count_workflow_executions(request)
            .await
            .unwrap_err();
        let timeouts = timeouts.lock().unwrap();
        assert_eq!(timeouts[0], "10000000u");
        let left: u64 = timeouts[1]
            .to_str()
            .unwrap()
            .trim_end_matches('m')
            .parse()
            .unwrap();
        assert!((9_000..=9_900).contains(&left), "{timeouts:?}");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_is_dropped_in_the_service() {
        let held = Arc::new(());
        let in_service = held.clone();
        let (began, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            let (held, began) = (in_service.clone(), began.clone());
            async move {
                if CountWorkflowExecutions::matches(&request) {
                    began.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                drop(held);
                empty()
            }
        });
        let connection = over(service).connect(options()).await.unwrap();
        let idle = Arc::strong_count(&held);
        let mut connection = connection.clone();
        let call = tokio::spawn(async move {
            connection
                .count_workflow_executions(count_request())
                .await
                .map(drop)
        });
        begins.recv().await.unwrap();
        assert!(Arc::strong_count(&held) > idle);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(
            Arc::strong_count(&held),
            idle,
            "the service's future is gone"
        );
    }

    #[tokio::test]
    async fn an_api_key_is_sent() {
        let seen = Arc::new(Mutex::new(None));
        let in_service = seen.clone();
        let service = service_fn(move |request: Request<tonic::body::Body>| {
            *in_service.lock().unwrap() = request.headers().get(header::AUTHORIZATION).cloned();
            std::future::ready(empty())
        });
        let mut options = options();
        options.api_key = Some("secret".to_owned());
        over(service).connect(options).await.unwrap();
        assert_eq!(seen.lock().unwrap().take().unwrap(), "Bearer secret");
    }
}
