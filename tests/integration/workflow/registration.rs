//! The ways to put stacks into a client and its workers.

use super::{
    Bench, UserId,
    layers::{Log, Way, record},
    patiently, result,
    subject::{Step, TEXT},
    worker_options,
};
use crate::support::{client, client_with, unique, with_worker};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use temporalio_client::{Client, ClientOptions, WorkflowStartOptions};
use temporalio_sdk::WorkerOptions;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_temporal::{
    Interceptors, Request, activity,
    activity::ExecuteActivity,
    client::StartWorkflow,
    on,
    propagation::{ContextKey, PropagationLayer},
    workflow,
};
use tower_temporal_test::DevServer;

/// Layers of all categories that record under `name`: workflow calls in a log, the others by counting.
#[derive(Clone, Default)]
struct Witness {
    log: Log,
    order: Arc<std::sync::Mutex<Vec<&'static str>>>,
}

impl Witness {
    fn interceptors(&self, name: &'static str) -> Interceptors {
        let (started, executed) = (self.order.clone(), self.order.clone());
        Interceptors::builder()
            .client(on::<StartWorkflow, _>(MapRequestLayer::new(
                move |request: Request<StartWorkflow>| {
                    started.lock().unwrap().push(name);
                    request
                },
            )))
            .workflow_inbound(record(name, &self.log))
            .workflow_outbound(record(name, &self.log))
            .activity_inbound(on::<ExecuteActivity, _>(MapRequestLayer::new(
                move |request: Request<ExecuteActivity>| {
                    executed.lock().unwrap().push(name);
                    request
                },
            )))
            .build()
    }
}

/// Runs a workflow with one activity on a worker of `client`.
async fn run(client: &Client, configure: impl FnOnce(&mut WorkerOptions)) -> Vec<String> {
    let bench = Bench {
        client: client.clone(),
        queue: unique("registration"),
        log: Log::default(),
    };
    let mut options = worker_options(&bench.queue);
    configure(&mut options);
    let test = async {
        let handle = bench.start(vec![Step::Activity]).await;
        result(&handle).await.expect("the workflow completes")
    };
    with_worker(
        client,
        options,
        patiently("see the last workflow on the server", test),
    )
    .await
}

#[tokio::test]
async fn one_registration_serves_a_client_and_all_its_workers() {
    let witness = Witness::default();
    let client = client(witness.interceptors("only")).await;
    for _ in 0..2 {
        assert_eq!(run(&client, |_| {}).await, [TEXT]);
    }
    assert_eq!(
        *witness.order.lock().unwrap(),
        ["only"; 4],
        "one start and one activity for each of the two workers"
    );
    for operation in ["execute", "schedule_activity"] {
        assert_eq!(
            witness.log.way(operation),
            [("only", Way::In), ("only", Way::Out)].repeat(2),
            "`{operation}`, for each of the two workers"
        );
    }
}

/// The order is the SDK's: the first registered is the outermost, and the innermost for a workflow's outbound calls.
#[tokio::test]
async fn several_interceptors_chain() {
    let witness = Witness::default();
    let client = client_with(|options| {
        options
            .plugin(witness.interceptors("first"))
            .plugin(witness.interceptors("second"))
    })
    .await;
    assert_eq!(run(&client, |_| {}).await, [TEXT]);
    assert_eq!(
        *witness.order.lock().unwrap(),
        ["first", "second", "first", "second"],
        "the start, and then the activity"
    );
    let (first, second) = ("first", "second");
    assert_eq!(
        witness.log.way("execute"),
        [
            (first, Way::In),
            (second, Way::In),
            (second, Way::Out),
            (first, Way::Out)
        ]
    );
    assert_eq!(
        witness.log.way("schedule_activity"),
        [
            (second, Way::In),
            (first, Way::In),
            (first, Way::Out),
            (second, Way::Out)
        ]
    );
}

#[tokio::test]
async fn a_worker_takes_interceptors_that_its_client_does_not_have() {
    let witness = Witness::default();
    let client = crate::support::plain_client().await;
    let queue = unique("registration");
    let bench = Bench {
        client: client.clone(),
        queue: queue.clone(),
        log: witness.log.clone(),
    };
    let options = super::worker_options_builder(&queue)
        .worker_plugin(witness.interceptors("worker"))
        .build();
    let test = async {
        let handle = bench.start(vec![Step::Activity]).await;
        result(&handle).await.expect("the workflow completes")
    };
    assert_eq!(
        with_worker(
            &client,
            options,
            patiently("see the last workflow on the server", test)
        )
        .await,
        [TEXT]
    );
    assert_eq!(
        *witness.order.lock().unwrap(),
        ["worker"],
        "the activity, but not the start"
    );
    assert_eq!(witness.log.calls("worker", "schedule_activity").len(), 1);
}

/// With the options of the SDK that are stable, and no plugin.
#[tokio::test]
async fn stacks_can_be_installed_by_hand() {
    let witness = Witness::default();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let propagation = PropagationLayer::<UserId>::new();
    let client_stack = tower_temporal::client::Interceptor::new(propagation.clone());
    let server = DevServer::shared().await;
    let options = ClientOptions::new(server.namespace())
        .client_interceptors(vec![Arc::new(client_stack)])
        .build();
    let connection = server.connect().await.expect("the dev server is there");
    let client = Client::new(connection, options).expect("the options are valid");
    let queue = unique("by-hand");
    let stack = ServiceBuilder::new()
        .layer(record("by hand", &witness.log))
        .layer(propagation.clone());
    let options = super::worker_options_builder(&queue)
        .workflow_interceptor(workflow::interceptor(stack.clone(), stack))
        .activity_inbound_interceptor(activity::Interceptor::new(
            ServiceBuilder::new()
                .layer(propagation)
                .layer(on::<ExecuteActivity, _>(MapRequestLayer::new(
                    move |request: Request<ExecuteActivity>| {
                        let user = UserId::current();
                        assert_eq!(user.as_deref().map(String::as_str), Some("alice"));
                        counted.fetch_add(1, Ordering::Relaxed);
                        request
                    },
                ))),
        ))
        .build();
    let test = async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let start = client.start_workflow(super::Subject::run, vec![Step::Activity], options);
        let handle = UserId::scope("alice".to_owned(), start)
            .await
            .expect("the workflow can be started");
        result(&handle).await.expect("the workflow completes")
    };
    assert_eq!(
        with_worker(
            &client,
            options,
            patiently("see the last workflow on the server", test)
        )
        .await,
        [TEXT]
    );
    assert_eq!(
        calls.load(Ordering::Relaxed),
        1,
        "the activity should have seen the user id of the client"
    );
    assert_eq!(
        witness.log.way("schedule_activity"),
        [("by hand", Way::In), ("by hand", Way::Out)]
    );
}
