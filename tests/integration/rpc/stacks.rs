//! tower's and tower-http's middleware under real clients and workers.

use super::{channel, client_of, options, reaches_the_server, start, without_retries};
use crate::{
    fixtures::{Work, worker},
    support::{eventually, unique, with_worker},
};
use http::{HeaderName, HeaderValue, Request, Response, header};
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use temporalio_client::{
    WorkflowCountOptions, WorkflowGetResultOptions, WorkflowStartOptions,
    errors::{ClientError, WorkflowStartError},
};
use temporalio_sdk::activities::ActivityError;
use tokio::sync::Notify;
use tonic::{Code, Status};
use tower::{
    BoxError, ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    discover::ServiceList,
    hedge::{Hedge, Policy as HedgePolicy},
    layer::layer_fn,
    load::{CompleteOnResponse, PendingRequests},
    retry::RetryLayer,
    service_fn,
    timeout::TimeoutLayer,
    util::MapRequestLayer,
};
use tower_http::{
    sensitive_headers::SetSensitiveRequestHeadersLayer, set_header::SetRequestHeaderLayer,
    trace::TraceLayer,
};
use tower_layer::Layer;
use tower_temporal::rpc::{
    self, Body, Rpc, is_long_poll,
    workflow_service::{
        CountWorkflowExecutions, GetWorkflowExecutionHistory, PollActivityTaskQueue,
        PollWorkflowTaskQueue, StartWorkflowExecution,
    },
};

type Call = Request<Body>;

/// Log lines that a subscriber has written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn tower_http_traces_and_sets_headers_and_knows_what_is_sensitive() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter("off,tower_http=debug")
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);

    let seen = Arc::new(Mutex::new(None));
    let in_stack = seen.clone();
    let service = ServiceBuilder::new()
        .layer(SetRequestHeaderLayer::overriding(
            HeaderName::from_static("x-team"),
            HeaderValue::from_static("payments"),
        ))
        .layer(SetRequestHeaderLayer::overriding(
            header::AUTHORIZATION,
            HeaderValue::from_static("Bearer do-not-log-me"),
        ))
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION]))
        .layer(TraceLayer::new_for_grpc().make_span_with(|request: &Call| {
            tracing::debug_span!(target: "tower_http", "rpc", path = request.uri().path(), headers = ?request.headers())
        }))
        .layer(MapRequestLayer::new(move |request: Call| {
            *in_stack.lock().unwrap() = Some(request.headers().clone());
            request
        }))
        .map_request(rpc::into_tonic)
        .service(channel().await);
    let client = client_of(rpc::connect(without_retries(), service).await.unwrap()).await;
    let count = client.count_workflows("", WorkflowCountOptions::default());
    count.await.expect("the stack lets it through");
    let headers = seen.lock().unwrap().take().expect("a call went through");
    assert_eq!(headers["x-team"], "payments");
    assert!(headers[header::AUTHORIZATION].is_sensitive());

    let refused = client.count_workflows("no query", WorkflowCountOptions::default());
    refused.await.expect_err("the server knows no such query");
    let text = lines.text();
    assert!(text.contains(CountWorkflowExecutions::PATH), "{text}");
    assert!(text.contains("finished processing request"), "{text}");
    assert!(
        text.contains("response failed") && text.contains("InvalidArgument"),
        "the layer knows a gRPC failure when it sees one: {text}"
    );
    assert!(
        text.contains("Sensitive") && !text.contains("do-not-log-me"),
        "{text}"
    );
}

#[tokio::test]
async fn retry_sends_the_same_request_again() {
    let attempts = Arc::new(AtomicU32::new(0));
    let in_stack = attempts.clone();
    // The first two attempts do not get through.
    let flaky = layer_fn(move |inner| {
        let attempts = in_stack.clone();
        service_fn(move |request: Call| {
            let inner: tonic::transport::Channel = Clone::clone(&inner);
            let is_start = StartWorkflowExecution::matches(&request);
            let attempt = attempts.fetch_add(u32::from(is_start), Ordering::SeqCst);
            async move {
                if is_start && attempt < 2 {
                    return Ok(Status::unavailable("not yet").into_http());
                }
                Ok::<_, BoxError>(inner.oneshot(rpc::into_tonic(request)).await?)
            }
        })
    });
    let connection = rpc::over(flaky.layer(channel().await))
        .short_calls(RetryLayer::new(rpc::Retry::new()))
        .connect(without_retries());
    let client = client_of(connection.await.unwrap()).await;
    start(&client, &unique("retry"))
        .await
        .expect("the third attempt gets through");
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

/// Hedges counts of workflows, which change nothing.
#[derive(Clone)]
struct HedgeCounts;

impl HedgePolicy<Call> for HedgeCounts {
    fn clone_request(&self, request: &Call) -> Option<Call> {
        Some(request.clone())
    }

    fn can_retry(&self, request: &Call) -> bool {
        CountWorkflowExecutions::matches(request)
    }
}

#[tokio::test]
async fn hedge_asks_again_while_the_first_attempt_hangs() {
    let attempts = Arc::new(AtomicU32::new(0));
    let in_stack = attempts.clone();
    let channel = channel().await;
    let lazy = service_fn(move |request: Call| {
        let channel = channel.clone();
        let is_count = CountWorkflowExecutions::matches(&request);
        let attempt = in_stack.fetch_add(u32::from(is_count), Ordering::SeqCst);
        async move {
            if is_count && attempt == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(channel.oneshot(rpc::into_tonic(request)).await?)
        }
    });
    let service = ServiceBuilder::new()
        .layer(rpc::unless_long_poll(
            ServiceBuilder::new()
                .buffer::<Call>(16)
                .layer(layer_fn(|inner| {
                    Hedge::new_with_mock_latencies(
                        inner,
                        HedgeCounts,
                        1,
                        0.5,
                        Duration::from_secs(60),
                        &[10, 10, 10, 10],
                    )
                })),
        ))
        .service(lazy);
    let client = client_of(rpc::connect(without_retries(), service).await.unwrap()).await;
    let count = client.count_workflows("", WorkflowCountOptions::default());
    tokio::time::timeout(Duration::from_secs(20), count)
        .await
        .expect("the second attempt answers")
        .unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_timeout_ends_a_call_with_its_own_code() {
    let service = ServiceBuilder::new()
        .layer(rpc::unless_long_poll(TimeoutLayer::new(
            Duration::from_millis(200),
        )))
        .service(hanging(channel().await, Arc::default()));
    let client = client_of(rpc::connect(without_retries(), service).await.unwrap()).await;
    match start(&client, &unique("timeout")).await {
        Err(WorkflowStartError::Rpc(status)) => {
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        }
        other => panic!("the call should have timed out, but {other:?}"),
    }
}

/// A connection on which no start of a workflow is ever answered; it says when one has arrived.
fn hanging(
    channel: tonic::transport::Channel,
    arrived: Arc<Notify>,
) -> impl tower::Service<Call, Response = Response<tonic::body::Body>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Call| {
        let (channel, arrived) = (channel.clone(), arrived.clone());
        async move {
            if StartWorkflowExecution::matches(&request) {
                arrived.notify_one();
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(channel.oneshot(rpc::into_tonic(request)).await?)
        }
    })
}

#[tokio::test]
async fn load_shed_refuses_what_a_limit_has_no_room_for() {
    let arrived = Arc::<Notify>::default();
    let service = ServiceBuilder::new()
        .layer(rpc::unless_long_poll(
            ServiceBuilder::new().load_shed().concurrency_limit(1),
        ))
        .service(hanging(channel().await, arrived.clone()));
    let client = client_of(rpc::connect(without_retries(), service).await.unwrap()).await;
    let id = unique("load-shed");
    let hangs = start(&client, &id);
    let refused = async {
        arrived.notified().await;
        let count = client.count_workflows("", WorkflowCountOptions::default());
        count.await.map(|count| count.count())
    };
    tokio::select! {
        _ = hangs => panic!("this call hangs"),
        refused = refused => match refused {
            Err(ClientError::Rpc(status)) => assert_eq!(status.code(), Code::ResourceExhausted),
            other => panic!("there is no room for this call, but {other:?}"),
        }
    }
}

#[tokio::test]
async fn balance_spreads_calls_over_channels() {
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let mut services = Vec::new();
    for count in &counts {
        let count = count.clone();
        let counted = ServiceBuilder::new()
            .map_request(move |request: Call| {
                count.fetch_add(1, Ordering::SeqCst);
                rpc::into_tonic(request)
            })
            .service(channel().await);
        services.push(PendingRequests::new(counted, CompleteOnResponse::default()));
    }
    let service = ServiceBuilder::new()
        .buffer::<Call>(16)
        .service(Balance::new(ServiceList::new(services)));
    let client = client_of(rpc::connect(without_retries(), service).await.unwrap()).await;
    eventually("both channels are used", async || {
        let count = client.count_workflows("", WorkflowCountOptions::default());
        count.await.unwrap();
        let used = |count: &Arc<AtomicUsize>| count.load(Ordering::SeqCst) > 0;
        counts.iter().all(used).then_some(())
    })
    .await;
    reaches_the_server(&client).await;
}

/// A long poll, from when it was sent to when it ended.
struct PollRecord {
    method: &'static str,
    lasted: Duration,
    /// It was given up before the workflow was done.
    is_dropped: bool,
}

/// Writes down how a poll ends, also if it is dropped.
struct Polling {
    method: &'static str,
    began: Instant,
    is_dropped: bool,
    is_over: Arc<AtomicBool>,
    records: Arc<Mutex<Vec<PollRecord>>>,
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.records.lock().unwrap().push(PollRecord {
            method: self.method,
            lasted: self.began.elapsed(),
            // Some end with the worker: an activity may have come with a workflow's task, not with its poll.
            is_dropped: self.is_dropped && !self.is_over.load(Ordering::SeqCst),
        });
    }
}

#[tokio::test]
async fn a_worker_runs_behind_a_timeout_that_is_shorter_than_its_polls() {
    const NAIVE: Duration = Duration::from_millis(500);
    let records = Arc::<Mutex<Vec<PollRecord>>>::default();
    let is_over = Arc::<AtomicBool>::default();
    let (in_stack, over) = (records.clone(), is_over.clone());
    let channel = channel().await;
    let service = service_fn(move |request: Call| {
        let polled = [
            PollWorkflowTaskQueue::PATH,
            PollActivityTaskQueue::PATH,
            GetWorkflowExecutionHistory::PATH,
        ];
        let method = polled
            .into_iter()
            .find(|path| *path == request.uri().path() && is_long_poll(&request));
        let polling = method.map(|method| Polling {
            method,
            began: Instant::now(),
            is_dropped: true,
            is_over: over.clone(),
            records: in_stack.clone(),
        });
        let channel = channel.clone();
        async move {
            let response = channel.oneshot(rpc::into_tonic(request)).await;
            if let Some(mut polling) = polling {
                polling.is_dropped = false;
            }
            response
        }
    });
    let connection = rpc::over(service)
        .short_calls(ServiceBuilder::new().concurrency_limit(4).timeout(NAIVE))
        .connect(options());
    let client = client_of(connection.await.unwrap()).await;
    let queue = unique("polls");
    let worker = worker(&queue, async |_, input| {
        // As long as three timeouts: the worker and the client wait for it in long polls.
        tokio::time::sleep(3 * NAIVE).await;
        Ok::<_, ActivityError>(input + "!")
    });
    let result = with_worker(&client, worker, async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client.start_workflow(Work::run, "done".to_owned(), options);
        let handle = handle.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        is_over.store(true, Ordering::SeqCst);
        result
    })
    .await;
    assert_eq!(result.unwrap(), "done!");
    let records = records.lock().unwrap();
    for method in [
        PollWorkflowTaskQueue::PATH,
        PollActivityTaskQueue::PATH,
        GetWorkflowExecutionHistory::PATH,
    ] {
        let polls: Vec<_> = records
            .iter()
            .filter(|poll| poll.method == method)
            .collect();
        assert!(!polls.is_empty(), "{method} was not seen as a long poll");
        assert!(
            polls.iter().all(|poll| !poll.is_dropped),
            "{method} was cut"
        );
    }
    let longest = records.iter().map(|poll| poll.lasted).max().unwrap();
    assert!(longest > NAIVE, "no poll outlived the timeout: {longest:?}");
}

#[tokio::test]
async fn what_load_shed_refuses_the_sdk_tries_again() {
    let arrived = Arc::<Notify>::default();
    let connection = rpc::over(hanging(channel().await, arrived.clone()))
        .short_calls(ServiceBuilder::new().load_shed().concurrency_limit(1))
        .connect(options());
    let client = client_of(connection.await.unwrap()).await;
    let id = unique("load-shed");
    let hangs = async {
        let start = start(&client, &id);
        // The permit is held for a while.
        tokio::time::timeout(Duration::from_millis(300), start).await
    };
    let refused = async {
        arrived.notified().await;
        let began = Instant::now();
        let count = client.count_workflows("", WorkflowCountOptions::default());
        (count.await.map(|count| count.count()), began.elapsed())
    };
    let (hangs, (counted, took)) = tokio::join!(hangs, refused);
    assert!(hangs.is_err(), "it hangs");
    counted.expect("there is room at the second attempt");
    // The SDK's back-off after RESOURCE_EXHAUSTED: a second, give or take a fifth.
    assert!(took >= Duration::from_millis(750), "{took:?}");
}
