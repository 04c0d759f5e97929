//! The gRPC level: tower services as the connection of real clients and workers.

mod faults;
mod long_polls;
mod operations;
mod proxy;
mod stacks;
mod timeouts;
mod tls;
mod transports;
mod typed;

use crate::support::unique;
use std::time::Duration;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, RetryOptions, UntypedWorkflow, Url,
    WorkflowStartOptions, errors::WorkflowStartError,
};
use temporalio_common::data_converters::RawValue;
use tonic::transport::{Channel, Endpoint};
use tower_temporal_test::DevServer;

/// The shared server, for a channel of the test's own.
async fn endpoint() -> Endpoint {
    let server = DevServer::shared().await;
    Endpoint::from_shared(server.address().to_owned()).expect("the server's address is a URI")
}

async fn channel() -> Channel {
    endpoint()
        .await
        .connect()
        .await
        .expect("the server is there")
}

/// Options of a connection that is made through a service.
fn options() -> ConnectionOptions {
    let url = Url::parse("http://not-looked-at").unwrap();
    ConnectionOptions::new(url).identity("rpc-test").build()
}

/// As [`options`], for tests that want to see each failure.
fn without_retries() -> ConnectionOptions {
    let mut options = options();
    options.retry_options = RetryOptions::no_retries();
    options
}

async fn client_of(connection: Connection) -> Client {
    let server = DevServer::shared().await;
    Client::new(connection, ClientOptions::new(server.namespace()).build()).unwrap()
}

/// Starts a workflow that nobody runs.
async fn start(client: &Client, id: &str) -> Result<(), WorkflowStartError> {
    let options = WorkflowStartOptions::new(id, id)
        .execution_timeout(Duration::from_secs(60))
        .build();
    client
        .start_workflow(UntypedWorkflow::new("Nobody"), RawValue::empty(), options)
        .await
        .map(drop)
}

/// Says that a client reaches the server: it starts a workflow, and what it is told comes from there.
async fn reaches_the_server(client: &Client) {
    let id = unique("rpc");
    start(client, &id).await.expect("the workflow starts");
    let error = start(client, &id)
        .await
        .expect_err("it was started already");
    assert!(
        matches!(error, WorkflowStartError::AlreadyStarted { .. }),
        "this is read from the status' details: {error:?}"
    );
}
