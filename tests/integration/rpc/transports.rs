//! What carries a connection: TCP, a Unix socket, memory.

use super::{channel, client_of, endpoint, options, reaches_the_server};
use crate::{
    fixtures::{Work, worker},
    support::{unique, with_worker},
};
use futures::future::ready;
use hyper_util::rt::TokioIo;
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_sdk::activities::ActivityError;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpStream, UnixListener, UnixStream},
};
use tower::service_fn;
use tower_temporal::rpc;
use tower_temporal_test::DevServer;

/// Says that clients and workers of a connection work.
async fn works(client: &Client) {
    reaches_the_server(client).await;
    let queue = unique("transport");
    let worker = worker(&queue, |_, input| {
        ready(Ok::<_, ActivityError>(input + "!"))
    });
    let result = with_worker(client, worker, async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client.start_workflow(Work::run, "a".repeat(300_000), options);
        let handle = handle.await.unwrap();
        handle.get_result(WorkflowGetResultOptions::default()).await
    })
    .await
    .unwrap();
    // Larger than an HTTP/2 frame and its flow control window: it comes in many pieces.
    assert_eq!(result.len(), 300_001);
}

/// Carries bytes between a connection and the shared server.
async fn forward(mut connection: impl AsyncRead + AsyncWrite + Unpin) {
    let address = DevServer::shared().await.address();
    let address = address.trim_start_matches("http://");
    let mut server = TcpStream::connect(address)
        .await
        .expect("the server is there");
    // Either side may end it.
    let _ = copy_bidirectional(&mut connection, &mut server).await;
}

#[tokio::test]
async fn tcp() {
    let connection = rpc::connect(options(), channel().await).await.unwrap();
    works(&client_of(connection).await).await;
}

#[tokio::test]
async fn a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("temporal.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(forward(connection));
        }
    });
    let connector = service_fn(move |_| {
        let connecting = UnixStream::connect(path.clone());
        async move { connecting.await.map(TokioIo::new) }
    });
    let channel = endpoint()
        .await
        .connect_with_connector(connector)
        .await
        .unwrap();
    let connection = rpc::connect(options(), channel).await.unwrap();
    works(&client_of(connection).await).await;
}

#[tokio::test]
async fn memory() {
    let connector = service_fn(|_| {
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(forward(server));
        ready(Ok::<_, std::io::Error>(TokioIo::new(client)))
    });
    let channel = endpoint()
        .await
        .connect_with_connector(connector)
        .await
        .unwrap();
    let connection = rpc::connect(options(), channel).await.unwrap();
    works(&client_of(connection).await).await;
}
