//! Headers that a client's layer writes.

use crate::{
    fixtures::{Basket, worker},
    support::{client_with, plain_client, unique, with_worker},
};
use futures::future::pending;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use temporalio_client::{
    WorkflowExecuteUpdateOptions, WorkflowIdConflictPolicy, WorkflowQueryOptions,
    WorkflowSignalOptions, WorkflowStartOptions, WorkflowUpdateWithStartOptions,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tower_service::Service;
use tower_temporal::{Interceptors, Operation, Request, assert_replay_safe};

const HEADER: &str = "called-by";

/// Writes the operation's name into the header, where there is one.
#[derive(Clone)]
struct Write<S>(S);

impl<O: Operation, S: Service<Request<O>>> Service<Request<O>> for Write<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<O>) -> S::Future {
        let payload = Payload {
            data: O::NAME.into(),
            ..Default::default()
        };
        request.headers_mut().insert(HEADER, payload).unwrap();
        self.0.call(request)
    }
}

/// Which workflow operations came with which header.
type Read = Arc<Mutex<BTreeSet<(&'static str, String)>>>;

#[derive(Clone)]
struct Reading<S> {
    read: Read,
    inner: S,
}

impl<O: Operation, S: Service<Request<O>>> Service<Request<O>> for Reading<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> S::Future {
        if let Some(payload) = request.headers().get(HEADER) {
            let header = String::from_utf8_lossy(&payload.data).into_owned();
            self.read.lock().unwrap().insert((O::NAME, header));
        }
        self.inner.call(request)
    }
}

#[tokio::test]
async fn that_a_layer_writes_arrive_in_the_workflow() {
    let read = Read::default();
    let reading = {
        let read = read.clone();
        tower::layer::layer_fn(move |inner| Reading {
            read: read.clone(),
            inner,
        })
    };
    // The workflow reads what the client writes: two clients, so that the worker's own calls write nothing.
    let inbound = Interceptors::builder()
        .workflow_inbound(assert_replay_safe(reading))
        .build();
    let worker_client = client_with(|options| options.plugin(inbound)).await;
    let client = super::client_of(tower::layer::layer_fn(Write)).await;
    let queue = unique("headers");
    let body = |_, _| pending();

    with_worker(&worker_client, worker(&queue, body), async {
        let text = |text: &str| text.to_owned();
        let options =
            |name: &str| WorkflowStartOptions::new(&queue, format!("{queue}-{name}")).build();
        let started = client
            .start_workflow(Basket::run, text("alice"), options("started"))
            .await
            .unwrap();
        started
            .signal(Basket::add, text("apple"), WorkflowSignalOptions::default())
            .await
            .unwrap();
        started
            .execute_update(
                Basket::put,
                text("pear"),
                WorkflowExecuteUpdateOptions::default(),
            )
            .await
            .unwrap();
        started
            .query(Basket::items, text(""), WorkflowQueryOptions::default())
            .await
            .unwrap();

        let options = options("signalled");
        let signalled = client
            .signal_with_start_workflow(
                Basket::run,
                text("bob"),
                Basket::add,
                text("plum"),
                options,
            )
            .await
            .unwrap();
        let id = format!("{queue}-updated");
        let policy = WorkflowIdConflictPolicy::Fail;
        let options = WorkflowUpdateWithStartOptions::new(&queue, id, policy).build();
        client
            .execute_update_with_start_workflow(
                Basket::run,
                text("eve"),
                Basket::put,
                text("fig"),
                options,
            )
            .await
            .unwrap();
        // A query is answered when everything before has been handled, and asked without a header.
        let id = &signalled.info().workflow_id;
        let handle = plain_client().await.get_workflow_handle::<Basket>(id);
        let items = handle.query(Basket::items, text(""), WorkflowQueryOptions::default());
        assert_eq!(items.await.unwrap(), ["plum"]);
    })
    .await;

    let expected = [
        ("execute", "signal_with_start_workflow"),
        ("execute", "start_workflow"),
        ("execute", "update_with_start_workflow"),
        ("handle_query", "query_workflow"),
        ("handle_signal", "signal_with_start_workflow"),
        ("handle_signal", "signal_workflow"),
        ("handle_update", "start_workflow_update"),
        ("handle_update", "update_with_start_workflow"),
        ("initialize_workflow", "signal_with_start_workflow"),
        ("initialize_workflow", "start_workflow"),
        ("initialize_workflow", "update_with_start_workflow"),
        ("validate_update", "start_workflow_update"),
        ("validate_update", "update_with_start_workflow"),
    ];
    let read = read.lock().unwrap();
    let read: Vec<_> = read
        .iter()
        .map(|(operation, header)| (*operation, header.as_str()))
        .collect();
    assert_eq!(
        read, expected,
        "which operation of the workflow came with which header"
    );
}
