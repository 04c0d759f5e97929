//! `cargo bench --bench rpc`: the time of a call over loopback, on the SDK's own channel, through `rpc::connect`, and through `rpc::over`
//! with stacks of 0, 1 and 4 layers, over a tonic channel.
//!
//! The connections take turns, and what counts is the ratio within a turn.

use anyhow::Result;
use benches::{directory, quantile};
use http::{Request, Response};
use serde::Serialize;
use std::{
    convert::Infallible,
    env, fs,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Instant,
};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, UntypedWorkflow, Url,
    WorkflowCancelOptions, WorkflowHandle,
};
use tokio::net::TcpListener;
use tonic::{
    body::Body,
    server::NamedService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::util::MapRequestLayer;
use tower_service::Service;
use tower_temporal::rpc;

/// Calls in a turn.
const CALLS: u32 = 200;

#[derive(Serialize)]
struct Row {
    connection: &'static str,
    microseconds: f64,
    ratio: f64,
    ratio_quartiles: (f64, f64),
}

fn main() -> Result<()> {
    let quick = env::args().any(|argument| argument == "--quick");
    let turns = if quick { 50 } else { 400 };
    let runtime = tokio::runtime::Runtime::new()?;
    let rows = runtime.block_on(measure(turns))?;

    println!("| connection | µs per call | ratio (quartiles) |");
    println!("|---|---:|---:|");
    for row in &rows {
        println!(
            "| {} | {:.1} | {:.3} ({:.3} … {:.3}) |",
            row.connection,
            row.microseconds,
            row.ratio,
            row.ratio_quartiles.0,
            row.ratio_quartiles.1
        );
    }
    let directory = directory(env!("CARGO_BIN_EXE_count-allocations"));
    fs::create_dir_all(&directory)?;
    fs::write(
        directory.join("rpc.json"),
        serde_json::to_string_pretty(&rows)?,
    )?;
    Ok(())
}

async fn measure(turns: usize) -> Result<Vec<Row>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(
        Server::builder()
            .add_service(EmptyAnswers)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))),
    );

    let clients = clients(&url).await?;
    for (_, workflow) in &clients {
        per_call(workflow).await?;
    }
    let mut samples: Vec<Vec<f64>> = clients.iter().map(|_| Vec::new()).collect();
    for turn in 0..turns {
        // Nobody is always the first of a turn.
        for i in 0..clients.len() {
            let client = (turn + i) % clients.len();
            samples[client].push(per_call(&clients[client].1).await?);
        }
    }

    let base = samples[0].clone();
    Ok(clients
        .iter()
        .zip(&mut samples)
        .map(|((connection, _), samples)| {
            let mut ratios: Vec<_> = samples
                .iter()
                .zip(&base)
                .map(|(own, base)| own / base)
                .collect();
            Row {
                connection,
                microseconds: quantile(samples, 0.5),
                ratio: quantile(&mut ratios, 0.5),
                ratio_quartiles: (quantile(&mut ratios, 0.25), quantile(&mut ratios, 0.75)),
            }
        })
        .collect())
}

type Workflow = WorkflowHandle<Client, UntypedWorkflow>;

/// The first is what the others are compared with.
async fn clients(url: &str) -> Result<Vec<(&'static str, Workflow)>> {
    let options = || anyhow::Ok(ConnectionOptions::new(Url::parse(url)?));
    let channel = async || Endpoint::from_shared(url.to_owned())?.connect().await;
    let pass = || MapRequestLayer::new(|request: Request<rpc::Body>| request);

    let sdk = options()?.dns_load_balancing(None).build();
    let sdk = Connection::connect(sdk).await?;
    let raw = rpc::connect(options()?.build(), channel().await?).await?;
    let none = rpc::over(channel().await?)
        .connect(options()?.build())
        .await?;
    let one = rpc::over(channel().await?)
        .every_call(pass())
        .connect(options()?.build())
        .await?;
    let four = rpc::over(channel().await?)
        .every_call((pass(), pass(), pass(), pass()))
        .connect(options()?.build())
        .await?;

    [
        ("the SDK's", sdk),
        ("rpc::connect", raw),
        ("rpc::over, 0 layers", none),
        ("rpc::over, 1 layer", one),
        ("rpc::over, 4 layers", four),
    ]
    .into_iter()
    .map(|(name, connection)| {
        let client = Client::new(connection, ClientOptions::new("default").build())?;
        Ok((name, client.get_workflow_handle("order-1")))
    })
    .collect()
}

/// In microseconds.
async fn per_call(workflow: &Workflow) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..CALLS {
        workflow.cancel(WorkflowCancelOptions::default()).await?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS))
}

/// A server that answers every call with an empty message.
#[derive(Clone)]
struct EmptyAnswers;

impl NamedService for EmptyAnswers {
    const NAME: &'static str = "temporal.api.workflowservice.v1.WorkflowService";
}

impl Service<Request<Body>> for EmptyAnswers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let answer = rpc::encode_response(Ok(tonic::Response::new(())));
        ready(Ok(answer.map(Body::new)))
    }
}
