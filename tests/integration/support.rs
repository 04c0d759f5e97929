//! What every test needs: a client, a worker, and names of its own.

use std::{
    future::Future,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use temporalio_client::{
    Client, ClientOptions, ClientOptionsBuilder, UntypedWorkflow, WorkflowFetchHistoryOptions,
    client_options_builder::IsComplete,
};
use temporalio_common::protos::temporal::api::{
    common::v1::Payloads,
    history::v1::{HistoryEvent, history_event::Attributes},
};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tower_layer::Layer;
use tower_temporal::{Interceptors, Terminal, client::ClientOutboundService};
use tower_temporal_test::DevServer;

/// A client of the shared server, with `interceptors`.
pub(crate) async fn client(interceptors: Interceptors) -> Client {
    client_with(|options| options.plugin(interceptors)).await
}

/// A client of the shared server, with this one stack.
pub(crate) async fn client_of<L>(layer: L) -> Client
where
    L: Layer<Terminal, Service: ClientOutboundService> + 'static,
{
    client(Interceptors::builder().client(layer).build()).await
}

/// A client of the shared server without any interceptor.
pub(crate) async fn plain_client() -> Client {
    client_with(|options| options).await
}

/// A client of the shared server, with options of the test's own.
pub(crate) async fn client_with<S: IsComplete>(
    configure: impl FnOnce(ClientOptionsBuilder) -> ClientOptionsBuilder<S>,
) -> Client {
    let server = DevServer::shared().await;
    let connection = server.connect().await.expect("the dev server is there");
    let options = configure(ClientOptions::new(server.namespace())).build();
    Client::new(connection, options).expect("the client's options are valid")
}

/// A name that no other test has, of this run or another: for task queues and workflow ids.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_nanos();
    format!("{name}-{now:x}-{count}")
}

/// Runs `test` beside a worker, and shuts the worker down when it is done.
///
/// With `UNCACHED_WORKFLOWS` in the environment the worker forgets a workflow after each of its tasks, so that every task
/// begins with a replay. What workflows come to must be the same then; tests of what recording layers wrote are not made for
/// it, since those are silent in replay.
pub(crate) async fn with_worker<T>(
    client: &Client,
    options: WorkerOptions,
    test: impl Future<Output = T>,
) -> T {
    let runtime =
        Runtime::from_current_tokio(Default::default()).expect("a test has a tokio runtime");
    with_worker_on(&runtime, client, options, test).await
}

/// As [`with_worker`], on a runtime of the test's own.
pub(crate) async fn with_worker_on<T>(
    runtime: &Runtime,
    client: &Client,
    mut options: WorkerOptions,
    test: impl Future<Output = T>,
) -> T {
    if std::env::var_os("UNCACHED_WORKFLOWS").is_some() {
        options.max_cached_workflows = 0;
    }
    let mut worker =
        Worker::new(runtime, client.clone(), options).expect("the worker's options are valid");
    let shut_down = worker.shutdown_handle();
    let test = async {
        let output = test.await;
        shut_down();
        output
    };
    // In a box: unoptimised, what a test awaits is large, and it would be on the stack once for each move.
    let both = Box::pin(async { tokio::join!(worker.run(), test) });
    let (ran, output) = tokio::time::timeout(3 * PATIENCE, both)
        .await
        .expect("the test and its worker should not hang");
    ran.expect("the worker ran until it was shut down");
    output
}

/// How long something may take before it is said to hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Fails a test that hangs.
pub(crate) async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, Box::pin(wait))
        .await
        .unwrap_or_else(|_| panic!("this hangs: {what}"))
}

/// Asks again and again until there is an answer: for what the server shows only after a while.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited {PATIENCE:?} in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A workflow's history, as it is now.
pub(crate) async fn history(client: &Client, workflow_id: &str) -> Vec<HistoryEvent> {
    client
        .get_workflow_handle::<UntypedWorkflow>(workflow_id)
        .fetch_history(WorkflowFetchHistoryOptions::default())
        .into_events()
        .await
        .unwrap_or_else(|error| panic!("no history of `{workflow_id}`: {error:?}"))
}

/// What `pick` finds in the last event of a workflow's history that it finds something in, once there is one.
pub(crate) async fn in_history<T>(
    client: &Client,
    workflow_id: &str,
    what: &str,
    pick: impl Fn(&Attributes) -> Option<T>,
) -> T {
    eventually(what, async || {
        let events = history(client, workflow_id).await;
        let mut attributes = events
            .iter()
            .rev()
            .filter_map(|event| event.attributes.as_ref());
        attributes.find_map(&pick)
    })
    .await
}

/// Payloads as the texts they are: JSON.
pub(crate) fn json(payloads: &Option<Payloads>) -> Vec<String> {
    let payloads = payloads.iter().flat_map(|payloads| &payloads.payloads);
    payloads
        .map(|payload| String::from_utf8_lossy(&payload.data).into_owned())
        .collect()
}
