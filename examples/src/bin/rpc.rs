//! Below the operations: a client and a worker whose every gRPC call goes through a stack.
//!
//! `cargo run --bin rpc`

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, Url, WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tonic::transport::Endpoint;
use tower::{ServiceBuilder, timeout::TimeoutLayer, util::MapRequestLayer};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_temporal::{
    Next, Request, from_fn,
    rpc::{
        self, Body, is_long_poll,
        workflow_service::{RecordActivityTaskHeartbeat, StartWorkflowExecution},
    },
};
use tower_temporal_test::DevServer;

struct Activities;

#[activities]
impl Activities {
    /// Heartbeats as the SDK does it, with no outbound stack.
    #[activity]
    async fn greet(ctx: ActivityContext) -> Result<String, ActivityError> {
        ctx.record_heartbeat("half way".to_owned()).await?;
        Ok("Hello!".to_owned())
    }
}

#[workflow]
#[derive(Default)]
struct Greeting;

#[workflow_methods]
impl Greeting {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Activities::greet, (), options).await?)
    }
}

type Start = tonic::Request<<StartWorkflowExecution as tower_temporal::Operation>::Input>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = DevServer::start().await?;
    let endpoint = Endpoint::from_shared(server.address().to_owned())?;
    let channel = endpoint.connect().await?;

    let calls = Arc::new(Mutex::new(BTreeMap::<(bool, String), u32>::new()));
    let counts = calls.clone();
    let options = ConnectionOptions::new(Url::parse(server.address())?)
        .identity("rpc example")
        .build();
    let connection = rpc::over(channel)
        .every_call(
            ServiceBuilder::new()
                // Every call, as bytes.
                .map_request(move |request: http::Request<Body>| {
                    let method = request.uri().path().rsplit('/').next().unwrap_or_default();
                    let call = (is_long_poll(&request), method.to_owned());
                    *counts
                        .lock()
                        .expect("counting does not panic")
                        .entry(call)
                        .or_default() += 1;
                    request
                })
                // tower-http's middleware.
                .layer(SetRequestHeaderLayer::overriding(
                    http::HeaderName::from_static("x-team"),
                    http::HeaderValue::from_static("greetings"),
                ))
                // One method, with its messages.
                .layer(rpc::on::<StartWorkflowExecution, _>(MapRequestLayer::new(
                    |request: Start| {
                        println!("starting {:?}", request.get_ref().workflow_id);
                        request
                    },
                )))
                // A call that no interceptor of the SDK sees, as an operation.
                .layer(rpc::operations(from_fn(
                    async |request: Request<RecordActivityTaskHeartbeat>,
                           next: Next<RecordActivityTaskHeartbeat>| {
                        println!("a heartbeat of {:?}", request.identity);
                        next.run(request).await
                    },
                ))),
        )
        // Shorter than a worker's polls, from which it is kept.
        .short_calls(TimeoutLayer::new(Duration::from_secs(5)))
        .connect(options)
        .await?;
    let client = Client::new(connection, ClientOptions::new(server.namespace()).build())?;

    let runtime = Runtime::from_current_tokio(Default::default())?;
    let options = WorkerOptions::new("greetings")
        .register_workflow::<Greeting>()?
        .register_activities(Activities)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let shut_down = worker.shutdown_handle();

    let (ran, greeting) = tokio::join!(worker.run(), async {
        let options = WorkflowStartOptions::new("greetings", "greeting").build();
        let greeting = client.start_workflow(Greeting::run, (), options).await?;
        let greeting = greeting
            .get_result(WorkflowGetResultOptions::default())
            .await;
        shut_down();
        anyhow::Ok(greeting?)
    });
    ran?;
    println!("{}\n", greeting?);
    for ((is_long_poll, method), count) in &*calls.lock().expect("counting does not panic") {
        let kind = if *is_long_poll { "long poll" } else { "" };
        println!("{count:3} {method:32} {kind}");
    }
    Ok(())
}
