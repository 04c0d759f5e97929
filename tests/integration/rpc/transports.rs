//! What carries a connection: TCP, a Unix socket, memory.

use super::{channel, client_of, endpoint, options, reaches_the_server};
use crate::{
    fixtures::{Work, worker},
    support::{unique, with_worker},
};
use futures::future::ready;
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex};
use temporalio_client::{
    Client, HttpConnectProxyOptions, WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_sdk::activities::ActivityError;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tonic::transport::Channel;
use tower::service_fn;
use tower_temporal::rpc;
use tower_temporal_test::DevServer;

/// Says that clients and workers of a connection work.
pub(super) async fn works(client: &Client) {
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
pub(super) async fn forward(mut connection: impl AsyncRead + AsyncWrite + Unpin) {
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
async fn several_channels_balanced() {
    let endpoints = [endpoint().await, endpoint().await];
    let channel = Channel::balance_list(endpoints.into_iter());
    let connection = rpc::over(channel).connect(options()).await.unwrap();
    works(&client_of(connection).await).await;
}

#[tokio::test]
async fn an_http_connect_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let in_proxy = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let asked = in_proxy.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(connection.read_u8().await.unwrap());
                }
                asked
                    .lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
                connection.write_all(answer).await.unwrap();
                forward(connection).await;
            });
        }
    });
    let proxy = HttpConnectProxyOptions::new(address.to_string()).build();
    let channel = proxy.connect_endpoint(&endpoint().await).await.unwrap();
    let connection = rpc::over(channel).connect(options()).await.unwrap();
    works(&client_of(connection).await).await;
    let asked = asked.lock().unwrap();
    assert!(
        asked.iter().all(|request| request.starts_with("CONNECT ")) && !asked.is_empty(),
        "{asked:?}"
    );
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
