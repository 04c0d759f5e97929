//! Deadlines in workflows, kept by workflow timers.

use crate::{
    fixtures::until_cancelled,
    replay::replay,
    support::{client, patiently, unique, with_worker},
};
use std::time::Duration;
use temporalio_client::{
    UntypedWorkflow, WorkflowCancelOptions, WorkflowExecuteUpdateOptions,
    WorkflowFetchHistoryOptions, WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_common::protos::temporal::api::{enums::v1::EventType, history::v1::History};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCancellationType, ActivityOptions, ChildWorkflowOptions, SyncWorkflowContext,
    WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower_temporal::{
    Interceptors, on,
    workflow::{ExecuteWorkflow, HandleUpdate, ScheduleActivity, TimeoutLayer},
};

const SHORT: Duration = Duration::from_millis(500);

struct Activities;

#[activities]
impl Activities {
    /// Runs until it is cancelled.
    #[activity]
    async fn forever(ctx: ActivityContext) -> Result<String, ActivityError> {
        until_cancelled(&ctx).await;
        Err(ActivityError::cancelled())
    }

    #[activity]
    async fn at_once(_: ActivityContext) -> Result<String, ActivityError> {
        Ok("in time".to_owned())
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct Waits {
    done: bool,
}

#[workflow_methods]
impl Waits {
    /// Runs the activity `name`, and says what came of it.
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        name: String,
    ) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
            .heartbeat_timeout(Duration::from_secs(1))
            .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
            .build();
        let result = match name.as_str() {
            "forever" => ctx.execute_activity(Activities::forever, (), options).await,
            "at once" => ctx.execute_activity(Activities::at_once, (), options).await,
            _ => {
                ctx.wait_condition(|this| this.done).await?;
                return Ok("done".to_owned());
            }
        };
        Ok(result.unwrap_or_else(|error| error.to_string()))
    }

    #[update]
    async fn wait(
        ctx: &mut WorkflowContext<Self>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(ctx.wait_condition(|this| this.done).await?)
    }

    #[update]
    fn finish(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.done = true;
    }
}

/// Starts something that lasts, and waits for what becomes of it, or for its own cancellation.
#[workflow]
#[derive(Default)]
pub(crate) struct Leaves;

#[workflow_methods]
impl Leaves {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, what: String) -> WorkflowResult<()> {
        if what == "child" {
            let options = ChildWorkflowOptions::workflow_id(format!("{}-child", ctx.workflow_id()));
            let child = ctx.start_child_workflow(Waits::run, "wait".to_owned(), options);
            child.await?.result().await?;
            return Ok(());
        }
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
            .heartbeat_timeout(Duration::from_secs(1))
            .cancellation_type(ActivityCancellationType::TryCancel)
            .build();
        let mut activity = Box::pin(ctx.execute_activity(Activities::forever, (), options));
        assert!(futures::poll!(&mut activity).is_pending());
        drop(activity);
        Ok(ctx.wait_condition(|_| false).await?)
    }
}

fn worker_options(queue: &str) -> WorkerOptions {
    WorkerOptions::new(queue)
        .register_workflow::<Waits>()
        .unwrap()
        .register_workflow::<Leaves>()
        .unwrap()
        .register_activities(Activities)
        .build()
}

/// Runs the workflow, and gives its result and its history.
pub(crate) async fn run(
    interceptors: Interceptors,
    activity: &str,
) -> (Result<String, String>, History) {
    run_cached(interceptors, activity, 100).await
}

/// Does so on a worker that keeps at most so many workflows in memory.
async fn run_cached(
    interceptors: Interceptors,
    activity: &str,
    max_cached_workflows: usize,
) -> (Result<String, String>, History) {
    let client = client(interceptors).await;
    let queue = unique("workflow-timeout");
    let mut options = worker_options(&queue);
    options.max_cached_workflows = max_cached_workflows;
    with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client
            .start_workflow(Waits::run, activity.to_owned(), options)
            .await
            .unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        let history = client
            .get_workflow_handle::<UntypedWorkflow>(&queue)
            .fetch_history(WorkflowFetchHistoryOptions::default())
            .into_events()
            .await
            .unwrap();
        let history = History { events: history };
        (result.map_err(|error| error.to_string()), history)
    })
    .await
}

fn has(history: &History, event_type: EventType) -> bool {
    history
        .events
        .iter()
        .any(|event| event.event_type() == event_type)
}

async fn assert_replays(interceptors: Interceptors, history: History) {
    replay(history.into(), interceptors)
        .await
        .expect("the history replays");
}

/// Gives activities half a second.
pub(crate) fn activity_timeout(waits: bool) -> Interceptors {
    let timeout = TimeoutLayer::new(SHORT).wait_for_cancellation(waits);
    Interceptors::builder()
        .workflow_outbound(on::<ScheduleActivity, _>(timeout))
        .build()
}

/// Gives every call a minute.
pub(crate) fn long_timeout() -> Interceptors {
    let timeout = TimeoutLayer::new(Duration::from_secs(60));
    Interceptors::builder().workflow_outbound(timeout).build()
}

/// Gives the workflow half a second.
pub(crate) fn workflow_timeout() -> Interceptors {
    let timeout = on::<ExecuteWorkflow, _>(TimeoutLayer::new(SHORT));
    Interceptors::builder().workflow_inbound(timeout).build()
}

const TIMED_OUT: &str = "Activity failed: `schedule_activity` has timed out after 500ms";

#[tokio::test]
async fn an_activity_that_takes_too_long_is_cancelled_and_not_waited_for() {
    let (result, history) = run(activity_timeout(false), "forever").await;
    assert_eq!(result.as_deref(), Ok(TIMED_OUT));
    assert!(has(&history, EventType::TimerFired));
    assert!(has(&history, EventType::ActivityTaskCancelRequested));
    assert!(
        !has(&history, EventType::ActivityTaskCanceled),
        "it was waited for"
    );
    assert_replays(activity_timeout(false), history).await;
}

#[tokio::test]
async fn an_activity_that_takes_too_long_is_waited_for_if_asked() {
    let (result, history) = run(activity_timeout(true), "forever").await;
    assert_eq!(result.as_deref(), Ok(TIMED_OUT));
    assert!(
        has(&history, EventType::ActivityTaskCanceled),
        "it was not waited for"
    );
    assert_replays(activity_timeout(true), history).await;
}

#[tokio::test]
async fn an_activity_in_time_leaves_no_timer_behind() {
    let (result, history) = run(long_timeout(), "at once").await;
    assert_eq!(result.as_deref(), Ok("in time"));
    assert!(!has(&history, EventType::TimerFired));
    assert_replays(long_timeout(), history).await;
}

/// Cancels a workflow that has left `what` running, once it is, and gives its history to the end.
async fn cancelled(what: &str, is_running: EventType) -> History {
    let client = client(long_timeout()).await;
    let queue = unique("workflow-timeout");
    with_worker(&client, worker_options(&queue), async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client
            .start_workflow(Leaves::run, what.to_owned(), options)
            .await
            .unwrap();
        let untyped = client.get_workflow_handle::<UntypedWorkflow>(&queue);
        let history = async || {
            let events = untyped.fetch_history(WorkflowFetchHistoryOptions::default());
            History {
                events: events.into_events().await.unwrap(),
            }
        };
        let started = async {
            while !has(&history().await, is_running) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        patiently("the start", started).await;
        handle
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
        let end = handle.get_result(WorkflowGetResultOptions::default());
        patiently("the cancelled workflow", end).await.unwrap_err();
        history().await
    })
    .await
}

#[tokio::test]
async fn a_child_workflow_that_has_started_in_time_is_cancelled_with_its_parent() {
    let history = cancelled("child", EventType::ChildWorkflowExecutionStarted).await;
    assert!(has(&history, EventType::ChildWorkflowExecutionCanceled));
    assert!(has(&history, EventType::WorkflowExecutionCanceled));
    assert_replays(long_timeout(), history).await;
}

#[tokio::test]
async fn an_activity_that_nobody_awaits_is_cancelled_with_its_workflow() {
    let history = cancelled("activity", EventType::ActivityTaskScheduled).await;
    assert!(has(&history, EventType::ActivityTaskCancelRequested));
    assert!(has(&history, EventType::WorkflowExecutionCanceled));
    assert_replays(long_timeout(), history).await;
}

#[tokio::test]
async fn an_update_that_takes_too_long_is_rejected_and_the_workflow_goes_on() {
    let timeout = on::<HandleUpdate, _>(TimeoutLayer::new(SHORT));
    let client = client(Interceptors::builder().workflow_inbound(timeout).build()).await;
    let queue = unique("workflow-timeout");
    with_worker(&client, worker_options(&queue), async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client
            .start_workflow(Waits::run, "wait".to_owned(), options)
            .await
            .unwrap();
        let update = handle
            .execute_update(Waits::wait, (), WorkflowExecuteUpdateOptions::default())
            .await;
        let error = format!("{:?}", update.unwrap_err());
        assert!(
            error.contains("`handle_update` has timed out after 500ms"),
            "{error}"
        );
        handle
            .execute_update(Waits::finish, (), WorkflowExecuteUpdateOptions::default())
            .await
            .unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        assert_eq!(result.unwrap(), "done");
    })
    .await;
}

#[tokio::test]
async fn a_workflow_that_takes_too_long_fails() {
    let (result, history) = run(workflow_timeout(), "wait").await;
    let error = result.unwrap_err();
    assert!(
        error.contains("`execute` has timed out after 500ms"),
        "{error}"
    );
    assert!(has(&history, EventType::WorkflowExecutionFailed));
    assert_replays(workflow_timeout(), history).await;
}

#[tokio::test]
async fn a_workflow_that_is_rebuilt_for_every_task_ends_the_same() {
    for (interceptors, activity) in [
        (activity_timeout as fn(bool) -> Interceptors, "forever"),
        (|_| long_timeout(), "at once"),
        (|_| workflow_timeout(), "wait"),
    ] {
        for waits in [false, true] {
            let (warm, _) = run(interceptors(waits), activity).await;
            let (rebuilt, history) = run_cached(interceptors(waits), activity, 0).await;
            assert_eq!(rebuilt, warm, "`{activity}`");
            assert!(
                !has(&history, EventType::WorkflowTaskFailed),
                "`{activity}`: a workflow task failed: {history:?}"
            );
        }
    }
}
