//! The example of an HTTP API in front of Temporal, over real HTTP from one end to the other.

use crate::support::{in_history, unique, with_worker};
use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use examples::http_api::{
    Charge, Limits, REQUEST_ID, Receipt, TRACE, Temporal, client_options, http_client,
    interceptors, router, worker,
};
use http::Request;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{BoxError, Service, ServiceExt, service_fn};
use tower_temporal::client::rpc::{
    Rpc,
    workflow_service::{GetWorkflowExecutionHistory, StartWorkflowExecution},
};
use tower_temporal_test::DevServer;

/// What the payment service was asked for.
type Asked = mpsc::UnboundedReceiver<(HeaderMap, Charge)>;

/// Serves `router` on a port of its own for as long as `test` runs.
async fn serving<T>(router: Router, test: impl AsyncFnOnce(String) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::select! {
        ended = axum::serve(listener, router).into_future() => panic!("the server ended: {ended:?}"),
        output = test(url) => output,
    }
}

/// A payment service that fails the first time, and then refuses what costs nothing.
fn payments() -> (Router, Asked) {
    let (sender, asked) = mpsc::unbounded_channel();
    let charge = async move |headers: HeaderMap, Json(charge): Json<Charge>| {
        let is_first = headers["x-attempt"] == "1";
        sender.send((headers, charge.clone())).unwrap();
        match charge.cents {
            0 => Err(StatusCode::PAYMENT_REQUIRED),
            _ if is_first => Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => Ok(Json(Receipt {
                number: format!("receipt-of-{}", charge.order_id),
            })),
        }
    };
    (Router::new().route("/charges", post(charge)), asked)
}

/// The API, as its callers see it.
struct Api {
    http: Client,
    url: String,
    /// What Temporal knows.
    temporal: temporalio_client::Client,
    spans: InMemorySpanExporter,
}

impl Api {
    fn url(&self, path: &str) -> String {
        format!("{}/orders{path}", self.url)
    }

    async fn start(&self, id: &str, cents: u32) -> Response {
        let order = self
            .http
            .post(self.url(""))
            .json(&json!({ "id": id, "cents": cents }));
        order.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    async fn approve(&self, id: &str) -> Response {
        let approval = self.http.post(self.url(&format!("/{id}/approval")));
        approval.send().await.unwrap()
    }

    /// The span that has ended and that `is_it`.
    fn span(&self, is_it: impl Fn(&SpanData) -> bool) -> SpanData {
        let spans = self.spans.get_finished_spans().unwrap();
        let names: Vec<_> = spans.iter().map(|span| span.name.to_string()).collect();
        let found = spans.into_iter().find(is_it);
        found.unwrap_or_else(|| panic!("there is no such span among {names:?}"))
    }

    async fn set_address(&self, id: &str, address: &str) -> Response {
        let put = self.http.put(self.url(&format!("/{id}/address")));
        put.json(&address).send().await.unwrap()
    }
}

async fn channel() -> Channel {
    let server = DevServer::shared().await;
    let endpoint = Endpoint::from_shared(server.address().to_owned());
    endpoint.unwrap().connect_lazy()
}

/// Runs the API with these limits, a worker and a payment service.
async fn with_api<F: Future>(
    limits: Limits,
    test: impl FnOnce(Api, Asked, String) -> F,
) -> F::Output {
    with_api_through(channel().await, limits, test).await
}

/// The same, with a channel to Temporal of the test's own.
async fn with_api_through<S, F: Future>(
    channel: S,
    limits: Limits,
    test: impl FnOnce(Api, Asked, String) -> F,
) -> F::Output
where
    S: Service<Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let server = DevServer::shared().await;
    let queue = unique("orders");
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    let tracer = provider.tracer("http_api");
    let options = client_options(server.namespace(), interceptors(tracer.clone()));
    let connection = server.connect().await.unwrap();
    let client = temporalio_client::Client::new(connection, options.clone()).unwrap();
    let temporal = Temporal::connect(channel, options, &queue, limits);
    let temporal = temporal.await.unwrap();
    let (payments, asked) = payments();
    serving(payments, async |payments_url| {
        let worker = worker(&queue, &payments_url).unwrap();
        let test = serving(router(temporal, tracer), async |url| {
            let api = Api {
                http: http_client(),
                url,
                temporal: client.clone(),
                spans,
            };
            test(api, asked, queue.clone()).await
        });
        with_worker(&client, worker, test).await
    })
    .await
}

/// The parts of a `traceparent`: the trace, and the span.
fn trace_parent(header: &str) -> (&str, &str) {
    let parts: Vec<_> = header.split('-').collect();
    match parts[..] {
        ["00", trace, span, "01"] => (trace, span),
        _ => panic!("no traceparent: {header}"),
    }
}

async fn json(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    (StatusCode::from_u16(status.as_u16()).unwrap(), json)
}

#[tokio::test]
async fn an_order_is_started_queried_updated_approved_and_charged_in_the_context_of_its_request() {
    const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN_ID: &str = "b7ad6b7169203331";
    with_api(Limits::default(), async |api, mut asked, id| {
        let order = api
            .http
            .post(api.url(""))
            .json(&json!({ "id": id, "cents": 250 }));
        let order = order
            .header(REQUEST_ID, "request-1")
            .header(TRACE[0], format!("00-{TRACE_ID}-{SPAN_ID}-01"));
        let response = order.send().await.unwrap();
        assert_eq!(response.headers()[REQUEST_ID], "request-1");
        let (status, started) = json(response).await;
        assert_eq!(status, StatusCode::CREATED);
        assert_eq!(started["id"], json!(id));
        assert!(started["run_id"].is_string(), "{started}");

        let (status, answer) = json(api.get(&format!("/{id}")).await).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            answer,
            json!({ "cents": 250, "address": null, "is_approved": false })
        );

        let (status, answer) = json(api.set_address(&id, "12 Main Street").await).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["address"], "12 Main Street");

        let approval = api.approve(&id).await;
        assert_eq!(approval.status().as_u16(), 202);
        assert!(
            approval.headers().contains_key(REQUEST_ID),
            "it was given one"
        );

        let (status, answer) = json(api.get(&format!("/{id}/receipt")).await).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer, json!({ "receipt": format!("receipt-of-{id}") }));

        // Both attempts were made in the context of the request that started the order: each in a span of its own.
        let mut parents = HashSet::from([SPAN_ID.to_owned()]);
        for attempt in ["1", "2"] {
            let (headers, charge) = asked.recv().await.unwrap();
            assert_eq!((charge.order_id.as_str(), charge.cents), (id.as_str(), 250));
            assert_eq!(headers["x-attempt"], attempt);
            assert_eq!(headers["idempotency-key"], id.as_str());
            assert_eq!(headers[REQUEST_ID], "request-1");
            let (trace, parent) = trace_parent(headers[TRACE[0]].to_str().unwrap());
            assert_eq!(trace, TRACE_ID);
            assert!(parents.insert(parent.to_owned()), "{parent} in {parents:?}");
            let attempt = api.span(|span| span.span_context.span_id().to_string() == parent);
            assert_eq!(attempt.name, "RunActivity:charge");
        }
        assert!(asked.try_recv().is_err(), "it was charged once");
        let request = api.span(|span| span.name == "POST /orders");
        assert_eq!(request.parent_span_id.to_string(), SPAN_ID);
        let start = api.span(|span| span.name == "StartWorkflow:OrderWorkflow");
        assert_eq!(start.parent_span_id, request.span_context.span_id());
    })
    .await;
}

#[tokio::test]
async fn a_request_without_a_context_is_given_one_that_goes_as_far() {
    with_api(Limits::default(), async |api, mut asked, id| {
        let started = api.start(&id, 250).await;
        assert_eq!(started.status().as_u16(), 201);
        let request_id = started.headers()[REQUEST_ID].to_str().unwrap();
        api.set_address(&id, "12 Main Street").await;
        api.approve(&id).await;
        assert_eq!(api.get(&format!("/{id}/receipt")).await.status(), 200);

        let (headers, _) = asked.recv().await.unwrap();
        assert_eq!(headers[REQUEST_ID], request_id);
        let (trace, _) = trace_parent(headers[TRACE[0]].to_str().unwrap());
        let request = api.span(|span| span.name == "POST /orders");
        assert_eq!(request.span_context.trace_id().to_string(), trace);
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_start_is_not_answered_is_started_once_and_is_its_client_s() {
    let channel = channel().await;
    let starts = Arc::new(AtomicUsize::new(0));
    let seen = starts.clone();
    let losing = service_fn(move |request: Request<Body>| {
        let is_start = request.uri().path() == StartWorkflowExecution::PATH;
        let loses = is_start && seen.fetch_add(1, Ordering::SeqCst) == 0;
        let call = channel.clone().oneshot(request);
        async move {
            let answer = call.await?;
            if loses {
                let lost = tonic::Status::unavailable("the answer is lost");
                return Ok(lost.into_http());
            }
            Ok::<_, tonic::transport::Error>(answer)
        }
    });
    with_api_through(losing, Limits::default(), async |api, _, id| {
        let (status, started) = json(api.start(&id, 250).await).await;
        assert_eq!(status, StatusCode::CREATED, "{started}");
        assert_eq!(starts.load(Ordering::SeqCst), 2, "the second is answered");
        let run_id = in_history(&api.temporal, &id, "it was started", |event| match event {
            Attributes::WorkflowExecutionStartedEventAttributes(started) => {
                Some(started.original_execution_run_id.clone())
            }
            _ => None,
        })
        .await;
        assert_eq!(started["run_id"], json!(run_id));

        // Another start of the same order is not.
        let (status, again) = json(api.start(&id, 250).await).await;
        assert_eq!(status, StatusCode::CONFLICT, "{again}");
    })
    .await;
}

#[tokio::test]
async fn what_temporal_answers_is_an_http_status() {
    with_api(Limits::default(), async |api, mut asked, id| {
        assert_eq!(api.start(&id, 0).await.status().as_u16(), 201);
        let (status, again) = json(api.start(&id, 0).await).await;
        assert_eq!(status, StatusCode::CONFLICT, "{again}");
        let (status, absent) = json(api.get("/no-such-order").await).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{absent}");
        let (status, refused) = json(api.set_address(&id, "").await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let text = refused["error"].as_str().unwrap();
        assert!(text.contains("an address can't be empty"), "{text}");

        // The payment service refuses the charge: once, and for good.
        api.set_address(&id, "12 Main Street").await;
        api.approve(&id).await;
        let (status, failed) = json(api.get(&format!("/{id}/receipt")).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{failed}");
        asked.recv().await.unwrap();
        assert!(asked.try_recv().is_err(), "a refusal is not retried");
    })
    .await;
}

#[tokio::test]
async fn too_much_is_shed_and_there_is_room_again() {
    let (sender, mut waits) = mpsc::unbounded_channel();
    let channel = channel().await;
    let telling = service_fn(move |request: Request<Body>| {
        if request.uri().path() == GetWorkflowExecutionHistory::PATH {
            sender.send(()).ok();
        }
        channel.clone().oneshot(request)
    });
    let one = Limits {
        waits: 1,
        ..Limits::default()
    };
    with_api_through(telling, one, async |api, _, id| {
        assert_eq!(api.start(&id, 250).await.status().as_u16(), 201);
        // An update is a wait, that ends.
        assert_eq!(api.set_address(&id, "12 Main Street").await.status(), 200);
        let path = format!("/{id}/receipt");
        let waiting = async { json(api.get(&path).await).await };
        let meanwhile = async {
            waits.recv().await.expect("the wait has begun");
            let (status, shed) = json(api.get(&path).await).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{shed}");
            // What does not wait has room all the while.
            assert_eq!(api.get(&format!("/{id}")).await.status(), 200);
            assert_eq!(api.approve(&id).await.status(), 202);
        };
        let ((status, receipt), ()) = tokio::join!(waiting, meanwhile);
        assert_eq!(status, StatusCode::OK, "{receipt}");
        assert_eq!(api.get(&path).await.status(), 200, "there is room again");
    })
    .await;
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let quick = Limits {
        timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    with_api(quick, async |api, _, id| {
        assert_eq!(api.start(&id, 1).await.status().as_u16(), 201);
        let (status, slow) = json(api.get(&format!("/{id}/receipt")).await).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{slow}");
    })
    .await;
}
