//! Calls whose time is over while a channel waits for a server that says nothing.
//!
//! The server is told the time of a call, and tonic's channel counts it too: which timer ends the call is a race, and once is no
//! proof.

use super::{
    client_of,
    proxy::{Fault, Proxy},
    without_retries,
};
use futures::future::join_all;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use temporalio_client::{
    Client, ClientOptions, Connection, Url, WorkflowCountOptions, errors::ClientError,
};
use tonic::{Code, transport::Endpoint};
use tower::{ServiceBuilder, retry::RetryLayer};
use tower_temporal::{
    Interceptors,
    client::service::{ClientService, ClientServiceExt, CountWorkflows, IdempotentRetry},
    rpc,
    timeout::TimeoutLayer,
};
use tower_temporal_test::DevServer;

const TIMEOUT: Duration = Duration::from_millis(100);

/// A proxy that harms nothing yet.
async fn proxy() -> Proxy {
    Proxy::start(DevServer::shared().await.address()).await
}

/// A client whose connection is the SDK's own.
async fn client_through(proxy: &Proxy, interceptors: Interceptors) -> Client {
    let mut options = without_retries();
    options.target = Url::parse(&proxy.url()).unwrap();
    let connection = Connection::connect(options).await.unwrap();
    let options = ClientOptions::new(DevServer::shared().await.namespace());
    Client::new(connection, options.plugin(interceptors).build()).unwrap()
}

fn with_timeout() -> WorkflowCountOptions {
    let mut options = WorkflowCountOptions::default();
    options.rpc_options.timeout = Some(TIMEOUT);
    options
}

/// How calls end for which nobody answers.
async fn unanswered(client: &Client, options: &WorkflowCountOptions) -> Vec<Code> {
    let calls = (0..20).map(
        async |_| match client.count_workflows("", options.clone()).await {
            Err(ClientError::Rpc(status)) => status.code(),
            other => panic!("there is no answer: {:?}", other.map(drop)),
        },
    );
    join_all(calls).await
}

#[tokio::test]
async fn a_call_s_own_timeout_over_a_channel_is_an_exceeded_deadline() {
    let proxy = proxy().await;
    let channel = Endpoint::from_shared(proxy.url()).unwrap().connect().await;
    let connection = rpc::over(channel.unwrap()).connect(without_retries()).await;
    let client = client_of(connection.unwrap()).await;
    proxy.set(Fault::BlackHole);
    let codes = unanswered(&client, &with_timeout()).await;
    assert_eq!(codes, [Code::DeadlineExceeded; 20]);
    assert!(proxy.swallowed() > 0);
}

#[tokio::test]
async fn the_timeout_layer_s_over_the_sdk_s_own_connection_is_an_exceeded_deadline() {
    let proxy = proxy().await;
    let layer = TimeoutLayer::new(TIMEOUT);
    let interceptors = Interceptors::builder().client(layer).build();
    let client = client_through(&proxy, interceptors).await;
    proxy.set(Fault::BlackHole);
    let codes = unanswered(&client, &WorkflowCountOptions::default()).await;
    assert_eq!(codes, [Code::DeadlineExceeded; 20]);
    assert!(proxy.swallowed() > 0);
}

#[tokio::test]
async fn what_the_sdk_s_own_connection_calls_cancelled_is_tried_again() {
    let proxy = proxy().await;
    let client = client_through(&proxy, Interceptors::builder().build()).await;
    proxy.set(Fault::BlackHole);
    let proxy = Arc::new(proxy);
    let failed = Arc::<Mutex<Vec<Code>>>::default();
    let in_stack = failed.clone();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(IdempotentRetry::new()))
        .map_err(move |error: ClientError| {
            if let ClientError::Rpc(status) = &error {
                in_stack.lock().unwrap().push(status.code());
            }
            proxy.set(Fault::None);
            proxy.reset();
            error
        });
    let service = service.service(ClientService::new(client));
    let mut count = CountWorkflows::new("", WorkflowCountOptions::default());
    count.options.rpc_options.timeout = Some(TIMEOUT);
    service.send(count).await.expect("the way is free again");
    // Nobody but the channel has said anything.
    assert_eq!(failed.lock().unwrap()[0], Code::Cancelled);
}
