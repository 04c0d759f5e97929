//! An HTTP API in front of Temporal: see [`examples::http_api`].
//!
//! `cargo run --bin http_api` starts a Temporal dev server, a payment service, a worker and the API, and serves until Ctrl-C.
//! `API_ADDRESS` is where; `127.0.0.1:3000` otherwise.

use examples::http_api::{
    Limits, Temporal, client_options, fake_payments, interceptors, router, worker,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use temporalio_client::Client;
use temporalio_sdk::{Runtime, Worker};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tower_temporal_test::DevServer;
use tracing_subscriber::EnvFilter;

const TASK_QUEUE: &str = "orders";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,tower_http=debug".into());
    tracing_subscriber::fmt().with_env_filter(filter).init();

    let server = DevServer::start().await?;
    // Without an exporter spans go nowhere, and yet are where they belong: see what the payment service prints.
    let spans = SdkTracerProvider::builder().build();
    let tracer = spans.tracer("http_api");
    let options = client_options(server.namespace(), interceptors(tracer.clone()));
    let client = Client::new(server.connect().await?, options.clone())?;

    let payments = TcpListener::bind("127.0.0.1:0").await?;
    let payments_url = format!("http://{}", payments.local_addr()?);
    let payments = axum::serve(payments, fake_payments());

    let runtime = Runtime::from_current_tokio(Default::default())?;
    let worker = worker(TASK_QUEUE, &payments_url)?;
    let mut worker = Worker::new(&runtime, client, worker)?;

    let address = std::env::var("API_ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let api = TcpListener::bind(&address).await?;
    let channel = Endpoint::from_shared(server.address().to_owned())?.connect_lazy();
    let temporal = Temporal::connect(channel, options, TASK_QUEUE, Limits::default()).await;
    let temporal = temporal.map_err(anyhow::Error::from_boxed)?;
    print_help(&api.local_addr()?.to_string());
    let api = axum::serve(api, router(temporal, tracer));

    tokio::select! {
        ended = worker.run() => ended?,
        ended = api.into_future() => ended?,
        ended = payments.into_future() => ended?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

fn print_help(address: &str) {
    println!(
        r#"The API is at http://{address}. Order something:

  curl -i http://{address}/orders --json '{{"id": "1", "cents": 250}}' -H 'x-request-id: my-request'
  curl -X PUT http://{address}/orders/1/address --json '"12 Main Street"'
  curl http://{address}/orders/1
  curl -X POST http://{address}/orders/1/approval
  curl http://{address}/orders/1/receipt
"#
    );
}
