//! tower's own middleware, in the stacks of real clients and workers.

use crate::{
    activity::with_activity,
    fixtures::{Basket, Work, worker},
    layers::{Lines, Record, trace},
    support::{client, client_of, eventually, history, plain_client, unique, with_worker},
};
use futures::future::{pending, ready};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use temporalio_client::{
    Client, WorkflowCountOptions, WorkflowDescribeOptions, WorkflowExecutionStatus,
    WorkflowFetchHistoryOptions, WorkflowGetResultOptions, WorkflowSignalOptions,
    WorkflowStartOptions, WorkflowTerminateOptions,
    errors::{ClientError, WorkflowGetResultError, WorkflowInteractionError, WorkflowStartError},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, PendingActivityState},
    history::v1::history_event::Attributes,
};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use tower::{
    ServiceBuilder,
    filter::{FilterLayer, Predicate},
    util::{BoxCloneServiceLayer, MapRequestLayer},
};
use tower_layer::Layer;
use tower_temporal::{
    BoxError, Denied, Interceptors, Operation, Request, Terminal,
    client::{ClientOutboundService, SignalWorkflow, StartWorkflow},
    on,
};

/// Starts a workflow that nobody runs.
pub(crate) async fn start(client: &Client, id: &str) -> Result<(), WorkflowStartError> {
    let options = WorkflowStartOptions::new(id, id).build();
    let start = client.start_workflow(Basket::run, "alice".to_owned(), options);
    start.await.map(drop)
}

/// Waits for the result of a workflow that nobody runs: a call that the server does not answer.
pub(crate) async fn wait_in_vain(
    client: &Client,
    id: &str,
) -> Result<Vec<String>, WorkflowGetResultError> {
    let handle = client.get_workflow_handle::<Basket>(id);
    let result = handle.get_result(WorkflowGetResultOptions::default());
    let patience = tokio::time::timeout(Duration::from_secs(30), result).await;
    patience.expect("a layer should have ended the call, or the test given it up")
}

pub(crate) async fn count(client: &Client) -> Result<usize, ClientError> {
    let count = client.count_workflows("", WorkflowCountOptions::default());
    Ok(count.await?.count())
}

fn source_of<E: std::error::Error + 'static>(status: &Status) -> Option<&E> {
    std::error::Error::source(status)?.downcast_ref()
}

#[tokio::test]
async fn timeout_ends_a_clients_call_that_takes_too_long() {
    let id = unique("timeout");
    start(&plain_client().await, &id).await.unwrap();
    let client = client_of(ServiceBuilder::new().timeout(Duration::from_millis(500))).await;
    match wait_in_vain(&client, &id).await {
        Err(WorkflowGetResultError::Rpc(status)) => {
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
            let elapsed = source_of::<tower::timeout::error::Elapsed>(&status);
            assert!(
                elapsed.is_some(),
                "the source is the timeout's own: {status:?}"
            );
        }
        other => panic!("expected the timeout, got {other:?}"),
    }
    count(&client).await.expect("a call in time passes");
}

#[tokio::test]
async fn timeout_fails_an_activity_that_takes_too_long() {
    let dropped = Arc::new(());
    let body = {
        let dropped = dropped.clone();
        move |_: ActivityContext, _| {
            let held = dropped.clone();
            async move {
                pending::<()>().await;
                drop(held);
                Ok(String::new())
            }
        }
    };
    let layer = ServiceBuilder::new().timeout(Duration::from_millis(50));
    with_activity(layer, body, async |running| {
        let (message, info) = running.failure().await;
        assert_eq!(info.r#type, "DeadlineExceeded", "{message}");
        assert!(!info.non_retryable, "it may be in time the next time");
        let attempts = history(&running.client, &running.id).await;
        let mut attempts = attempts.iter().filter_map(|event| match &event.attributes {
            Some(Attributes::ActivityTaskStartedEventAttributes(started)) => Some(started.attempt),
            _ => None,
        });
        assert_eq!(
            attempts.next_back(),
            Some(3),
            "it was retried as often as the workflow says"
        );
    })
    .await;
    assert_eq!(Arc::strong_count(&dropped), 1, "the bodies were dropped");
}

/// How many activities run, and how many ever ran at once.
#[derive(Default)]
struct Running {
    now: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

impl Running {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits until this many have begun.
    async fn begun(&self, count: usize) {
        let what = format!("{count} activities have begun");
        eventually(&what, async || {
            (self.begun.load(Ordering::SeqCst) == count).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn concurrency_limit_bounds_how_many_activities_run_at_once() {
    const ALL: usize = 5;
    const LIMIT: usize = 2;
    let (running, permits) = (Arc::new(Running::default()), Arc::new(Semaphore::new(0)));
    let body = {
        let (running, permits) = (running.clone(), permits.clone());
        move |_: ActivityContext, input| {
            let (running, permits) = (running.clone(), permits.clone());
            async move {
                running.enter();
                permits.acquire().await.unwrap().forget();
                running.leave();
                Ok(input)
            }
        }
    };
    let limit = ServiceBuilder::new().concurrency_limit(LIMIT);
    let client = client(Interceptors::builder().activity_inbound(limit).build()).await;
    let queue = unique("concurrency-limit");
    with_worker(&client, worker(&queue, body), async {
        let mut handles = Vec::new();
        for count in 0..ALL {
            let options = WorkflowStartOptions::new(&queue, format!("{queue}-{count}")).build();
            let start = client.start_workflow(Work::run, "in".to_owned(), options);
            handles.push(start.await.unwrap());
        }
        // The worker has taken all of them from the server.
        for handle in &handles {
            eventually("the activity is with the worker", async || {
                let description = handle.describe(WorkflowDescribeOptions::default());
                let activity = description
                    .await
                    .unwrap()
                    .into_raw()
                    .pending_activities
                    .pop()?;
                (activity.state() == PendingActivityState::Started).then_some(())
            })
            .await;
        }
        running.begun(LIMIT).await;
        permits.add_permits(1);
        running.begun(LIMIT + 1).await;
        permits.add_permits(ALL);
        for handle in &handles {
            let result = handle.get_result(WorkflowGetResultOptions::default());
            assert_eq!(result.await.unwrap(), "in");
        }
    })
    .await;
    assert_eq!(running.begun.load(Ordering::SeqCst), ALL, "each ran once");
    assert_eq!(
        running.most.load(Ordering::SeqCst),
        LIMIT,
        "so many ran at once"
    );
}

#[tokio::test]
async fn load_shed_refuses_a_clients_call_over_the_limit() {
    let id = unique("load-shed");
    start(&plain_client().await, &id).await.unwrap();
    let inside = Record::default();
    let stack = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .layer(inside.clone());
    let client = client_of(stack).await;
    let refused = async {
        eventually("the first call is under way", async || {
            (!inside.seen().is_empty()).then_some(())
        })
        .await;
        count(&client).await
    };
    // The second call ends while the first is under way, which is then given up.
    let result = tokio::select! {
        result = refused => result,
        result = wait_in_vain(&client, &id) => panic!("nobody runs the workflow, but: {result:?}"),
    };
    match result {
        Err(ClientError::Rpc(status)) => {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            let overloaded = source_of::<tower::load_shed::error::Overloaded>(&status);
            assert!(
                overloaded.is_some(),
                "the source is load shed's own: {status:?}"
            );
        }
        other => panic!("expected a call over the limit to be refused, got {other:?}"),
    }
    assert_eq!(inside.operations(), ["fetch_workflow_history_page"]);
    count(&client)
        .await
        .expect("the first call has given its permit back");
}

#[tokio::test]
async fn load_shed_fails_an_activity_over_the_limit_until_there_is_room() {
    let release = Arc::new(Semaphore::new(0));
    let inside = Record::default();
    let body = {
        let release = release.clone();
        move |_: ActivityContext, input| {
            let release = release.clone();
            async move {
                release.acquire().await.unwrap().forget();
                Ok(input)
            }
        }
    };
    let stack = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .layer(inside.clone());
    with_activity(stack, body, async |running| {
        eventually("the first activity runs", async || {
            (!inside.seen().is_empty()).then_some(())
        })
        .await;
        let id = format!("{}-second", running.id);
        let options = WorkflowStartOptions::new(&running.id, &id).build();
        let start = running
            .client
            .start_workflow(Work::run, "in".to_owned(), options);
        let second = super::activity::Running {
            client: running.client.clone(),
            handle: start.await.unwrap(),
            id,
        };
        let (message, info) = second.failure().await;
        assert_eq!(info.r#type, "ResourceExhausted", "{message}");
        assert!(!info.non_retryable, "there may be room the next time");
        release.add_permits(1);
        assert_eq!(running.result().await.unwrap(), "in");
    })
    .await;
    assert_eq!(inside.seen().len(), 1, "activities inside of the limit");
}

#[tokio::test]
async fn buffer_and_rate_limit_slow_the_one_operation_they_are_for() {
    const PER: Duration = Duration::from_millis(300);
    let id = unique("rate-limit");
    start(&plain_client().await, &id).await.unwrap();
    let limit = ServiceBuilder::new().buffer(8).rate_limit(1, PER);
    let client = client_of(on::<SignalWorkflow, _>(limit)).await;
    let handle = client.get_workflow_handle::<Basket>(&id);
    let begun = Instant::now();
    let signals = ["a", "b", "c"].map(|item| {
        handle.signal(
            Basket::add,
            item.to_owned(),
            WorkflowSignalOptions::default(),
        )
    });
    let results = futures::future::join_all(signals).await;
    let elapsed = begun.elapsed();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(
        elapsed >= 2 * PER,
        "three signals at one per {PER:?} took {elapsed:?}"
    );
    let arrived = history(&client, &id).await;
    let arrived = arrived
        .iter()
        .filter(|event| event.event_type() == EventType::WorkflowExecutionSignaled);
    assert_eq!(arrived.count(), 3, "signals in the history");
}

#[tokio::test]
async fn operations_beside_a_rate_limit_are_not_limited() {
    let limit = ServiceBuilder::new()
        .buffer(8)
        .rate_limit(1, Duration::from_secs(3600));
    let client = client_of(on::<SignalWorkflow, _>(limit)).await;
    for _ in 0..3 {
        let count = tokio::time::timeout(Duration::from_secs(30), count(&client));
        count.await.expect("it is not limited").unwrap();
    }
}

/// Refuses to end workflows, whatever the stack.
#[derive(Clone)]
struct NoTermination;

impl<O: Operation> Predicate<Request<O>> for NoTermination {
    type Request = Request<O>;

    fn check(&mut self, request: Request<O>) -> Result<Request<O>, BoxError> {
        match O::NAME {
            "terminate_workflow" => Err(Denied::new("workflows live for ever").into()),
            _ => Ok(request),
        }
    }
}

#[tokio::test]
async fn filter_with_a_predicate_of_every_operation() {
    let id = unique("filter");
    let client = client_of(FilterLayer::new(NoTermination)).await;
    start(&client, &id).await.expect("starting is allowed");
    let handle = client.get_workflow_handle::<Basket>(&id);
    match handle.terminate(WorkflowTerminateOptions::default()).await {
        Err(WorkflowInteractionError::Rpc(status)) => {
            assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
            assert!(source_of::<Denied>(&status).is_some(), "{status:?}");
        }
        other => panic!("expected the filter's refusal, got {other:?}"),
    }
    let description = handle
        .describe(WorkflowDescribeOptions::default())
        .await
        .unwrap();
    assert_eq!(description.status(), WorkflowExecutionStatus::Running);
}

#[tokio::test]
async fn filter_with_a_closure_for_one_operation() {
    let (good, bad) = (unique("good"), unique("bad"));
    let filter = FilterLayer::new(|request: Request<StartWorkflow>| {
        if request.options.workflow_id.starts_with("bad") {
            return Err(BoxError::from(Denied::new("bad")));
        }
        Ok(request)
    });
    let client = client_of(on::<StartWorkflow, _>(filter)).await;
    start(&client, &good).await.expect("the good one passes");
    match start(&client, &bad).await {
        Err(WorkflowStartError::Rpc(status)) => {
            assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        }
        other => panic!("expected the filter's refusal, got {other:?}"),
    }
    let handle = client.get_workflow_handle::<Basket>(&bad);
    let options = WorkflowFetchHistoryOptions::default();
    let history = handle.fetch_history(options).into_events().await;
    assert!(
        matches!(history, Err(WorkflowInteractionError::NotFound(_))),
        "the bad one was started: {history:?}"
    );
}

/// Has the workflow started under another id.
fn rename(mut request: Request<StartWorkflow>) -> Request<StartWorkflow> {
    request.options.workflow_id.push_str("-renamed");
    request
}

async fn assert_renames<L>(layer: L)
where
    L: Layer<Terminal, Service: ClientOutboundService> + 'static,
{
    let id = unique("rename");
    let client = client_of(layer).await;
    start(&client, &id).await.unwrap();
    let renamed = client.get_workflow_handle::<Basket>(format!("{id}-renamed"));
    let description = renamed.describe(WorkflowDescribeOptions::default()).await;
    let description = description.expect("the workflow was started with the changed id");
    assert_eq!(description.task_queue(), id);
}

#[tokio::test]
async fn map_request_changes_the_request_of_one_operation() {
    assert_renames(on::<StartWorkflow, _>(MapRequestLayer::new(rename))).await;
}

#[tokio::test]
async fn a_boxed_stack_serves_one_operation() {
    let stack = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(MapRequestLayer::new(rename));
    assert_renames(on::<StartWorkflow, _>(BoxCloneServiceLayer::new(stack))).await;
}

/// Three layers that write down when a call passes, in order.
fn three(lines: &Lines) -> impl Layer<Terminal, Service: ClientOutboundService> + use<> {
    ServiceBuilder::new()
        .layer(trace("a", lines))
        .layer(trace("b", lines))
        .layer(trace("c", lines))
}

#[tokio::test]
async fn a_clients_layers_are_passed_in_order_and_back() {
    let lines = Lines::default();
    let client = client_of(three(&lines)).await;
    count(&client).await.unwrap();
    let expected = [
        "into a", "into b", "into c", "out of c", "out of b", "out of a",
    ];
    let expected = expected.map(|way| format!("count_workflows {way}"));
    assert_eq!(*lines.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_activitys_layers_are_passed_in_order_and_back() {
    let lines = Lines::default();
    let stack = ServiceBuilder::new()
        .layer(trace("a", &lines))
        .layer(trace("b", &lines))
        .layer(trace("c", &lines));
    let body = {
        let lines = lines.clone();
        move |_: ActivityContext, input| {
            lines.lock().unwrap().push("the activity".to_owned());
            ready(Ok::<_, ActivityError>(input))
        }
    };
    with_activity(stack, body, async |running| {
        running.result().await.unwrap();
    })
    .await;
    let way = |way: &str| format!("execute_activity {way}");
    let expected = [
        way("into a"),
        way("into b"),
        way("into c"),
        "the activity".to_owned(),
        way("out of c"),
        way("out of b"),
        way("out of a"),
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}
