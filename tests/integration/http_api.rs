//! The example of an HTTP API in front of Temporal, over real HTTP from one end to the other.

use crate::support::{client, unique, with_worker};
use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use examples::http_api::{
    Charge, Limits, REQUEST_ID, Receipt, TRACEPARENT, Temporal, http_client, interceptors, router,
    worker,
};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::{future::Future, time::Duration};
use tokio::{net::TcpListener, sync::mpsc};

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

    async fn set_address(&self, id: &str, address: &str) -> Response {
        let put = self.http.put(self.url(&format!("/{id}/address")));
        put.json(&address).send().await.unwrap()
    }
}

/// Runs the API with these limits, a worker and a payment service.
async fn with_api<F: Future>(
    limits: Limits,
    test: impl FnOnce(Api, Asked, String) -> F,
) -> F::Output {
    let queue = unique("orders");
    let client = client(interceptors()).await;
    let temporal = Temporal::new(client.clone(), &queue, limits);
    let (payments, asked) = payments();
    serving(payments, async |payments_url| {
        let worker = worker(&queue, &payments_url).unwrap();
        let test = serving(router(temporal), async |url| {
            let http = http_client();
            test(Api { http, url }, asked, queue.clone()).await
        });
        with_worker(&client, worker, test).await
    })
    .await
}

async fn json(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    (StatusCode::from_u16(status.as_u16()).unwrap(), json)
}

#[tokio::test]
async fn an_order_is_started_queried_updated_approved_and_charged_in_the_context_of_its_request() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    with_api(Limits::default(), async |api, mut asked, id| {
        let order = api
            .http
            .post(api.url(""))
            .json(&json!({ "id": id, "cents": 250 }));
        let order = order
            .header(REQUEST_ID, "request-1")
            .header(TRACEPARENT, PARENT);
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

        let approval = api.http.post(api.url(&format!("/{id}/approval")));
        let approval = approval.send().await.unwrap();
        assert_eq!(approval.status().as_u16(), 202);
        assert!(
            approval.headers().contains_key(REQUEST_ID),
            "it was given one"
        );

        let (status, answer) = json(api.get(&format!("/{id}/receipt")).await).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer, json!({ "receipt": format!("receipt-of-{id}") }));

        // Both attempts were made in the context of the request that started the order.
        for attempt in ["1", "2"] {
            let (headers, charge) = asked.recv().await.unwrap();
            assert_eq!((charge.order_id.as_str(), charge.cents), (id.as_str(), 250));
            assert_eq!(headers["x-attempt"], attempt);
            assert_eq!(headers["idempotency-key"], id.as_str());
            assert_eq!(headers[REQUEST_ID], "request-1");
            assert_eq!(headers[TRACEPARENT], PARENT);
        }
        assert!(asked.try_recv().is_err(), "it was charged once");
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
        let approval = api.http.post(api.url(&format!("/{id}/approval")));
        approval.send().await.unwrap();
        let (status, failed) = json(api.get(&format!("/{id}/receipt")).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{failed}");
        asked.recv().await.unwrap();
        assert!(asked.try_recv().is_err(), "a refusal is not retried");
    })
    .await;
}

#[tokio::test]
async fn too_much_is_shed_and_too_slow_is_given_up() {
    let none = Limits {
        concurrency: 0,
        ..Limits::default()
    };
    with_api(none, async |api, _, id| {
        let (status, shed) = json(api.start(&id, 1).await).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{shed}");
    })
    .await;

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
