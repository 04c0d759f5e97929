//! The cancellation of calls that workflows make, through a stack.

use super::{
    Bench, Handle, assert_no_task_failed, bench, count, history,
    layers::{Plan, Way},
    result,
    subject::{Activities, Child, payload},
};
use futures::future::{Either, select};
use serde::{Deserialize, Serialize};
use std::{pin::pin, time::Duration};
use temporalio_client::{WorkflowCancelOptions, WorkflowSignalOptions, WorkflowStartOptions};
use temporalio_common::protos::{
    coresdk::nexus::nexus_operation_result::Status, temporal::api::enums::v1::EventType,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, CancellableFuture, ChildWorkflowOptions,
    LocalActivityOptions, NexusOperationOptions, SyncWorkflowContext, TimerResult,
    WaitConditionOptions, WorkflowCancellationToken, WorkflowContext, WorkflowResult,
};

/// What a [`Canceller`] calls, none of which ends by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    Timer,
    Activity,
    LocalActivity,
    Child,
    Nexus { endpoint: String },
}

/// When it cancels what it has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum When {
    AtOnce,
    /// When it is signalled.
    Later,
}

/// How long a layer waits.
const SHORT: Duration = Duration::from_millis(50);
const FOREVER: Duration = Duration::from_secs(1000);

/// Calls something, cancels it, and says what became of it.
#[workflow]
#[derive(Default)]
pub(crate) struct Canceller {
    is_later: bool,
}

#[workflow_methods]
impl Canceller {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        (what, when): (What, When),
    ) -> WorkflowResult<String> {
        let said = |result: Result<(), ActivityExecutionError>| match result {
            Err(ActivityExecutionError::Cancelled(_)) => "cancelled".to_owned(),
            other => format!("{other:?}"),
        };
        Ok(match what {
            What::Timer => {
                let timer = ctx.timer(FOREVER);
                match cancel(ctx, timer, when).await {
                    TimerResult::Cancelled => "cancelled".to_owned(),
                    TimerResult::Fired => "fired".to_owned(),
                }
            }
            What::Activity => {
                let options = ActivityOptions::with_start_to_close_timeout(FOREVER)
                    .task_queue(format!("{}-without-worker", ctx.task_queue()))
                    .build();
                let activity = ctx.execute_activity(Activities::hang, (), options);
                said(cancel(ctx, activity, when).await)
            }
            What::LocalActivity => {
                let options = LocalActivityOptions::builder()
                    .start_to_close_timeout(FOREVER)
                    .build();
                let activity = ctx.execute_local_activity(Activities::hang, (), options);
                said(cancel(ctx, activity, when).await)
            }
            What::Child => {
                let options =
                    ChildWorkflowOptions::workflow_id(format!("{}-child", ctx.workflow_id()));
                let child = ctx.start_child_workflow(Child::run, "wait".to_owned(), options);
                let started = match when {
                    When::AtOnce => cancel(ctx, child, when).await,
                    When::Later => child.await,
                };
                match started {
                    Ok(child) => cancel(ctx, child.result(), when).await?,
                    Err(error) => error.to_string(),
                }
            }
            What::Nexus { endpoint } => {
                let options = NexusOperationOptions::builder()
                    .endpoint(endpoint)
                    .service("greetings")
                    .operation("wait")
                    .input(payload(&"text"))
                    .build();
                let operation = ctx.start_nexus_operation(options);
                let started = match when {
                    When::AtOnce => cancel(ctx, operation, when).await,
                    When::Later => operation.await,
                };
                match started {
                    Ok(operation) => {
                        later(ctx).await;
                        operation.cancel();
                        match operation.result().await.status {
                            Some(Status::Cancelled(_)) => "cancelled".to_owned(),
                            other => format!("{other:?}"),
                        }
                    }
                    Err(failure) => format!("not started: {}", failure.message),
                }
            }
        })
    }

    #[signal]
    pub(crate) fn go(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.is_later = true;
    }
}

/// Cancels `call`, and returns what became of it. Until then it is polled, as a layer that waits needs it to be.
async fn cancel<F>(ctx: &WorkflowContext<Canceller>, call: F, when: When) -> F::Output
where
    F: CancellableFuture + Unpin,
{
    let call = match when {
        When::AtOnce => call,
        When::Later => match select(call, pin!(later(ctx))).await {
            Either::Left((output, _)) => return output,
            Either::Right(((), call)) => call,
        },
    };
    call.cancel();
    call.await
}

/// Until [`Canceller::go`], even if the workflow is cancelled.
async fn later(ctx: &WorkflowContext<Canceller>) {
    let options = WaitConditionOptions::builder()
        .cancellation_token(WorkflowCancellationToken::new())
        .build();
    let went = ctx.wait_condition_with_options(|canceller| canceller.is_later, options);
    went.await.expect("nobody cancels its token");
}

pub(super) async fn start(bench: &Bench, what: What, when: When) -> Handle<Canceller> {
    let options = WorkflowStartOptions::new(&bench.queue, &bench.queue)
        // A local activity keeps a workflow task until most of this has passed.
        .task_timeout(Duration::from_secs(2))
        .build();
    bench
        .client
        .start_workflow(Canceller::run, (what, when), options)
        .await
        .expect("the workflow can be started")
}

/// A call that has reached the server is cancelled there: `requested` is the event that says so.
pub(super) async fn check_after(
    operation: &'static str,
    what: What,
    said: &str,
    requested: EventType,
) {
    // With a layer that goes on at once, and with one that waits first.
    for plan in [Plan::Watch, Plan::Delay(operation, SHORT)] {
        bench(plan, async |bench| {
            let handle = start(bench, what.clone(), When::Later).await;
            // The timer that the layer waits for is seen as well.
            let pauses = usize::from(plan != Plan::Watch && operation == "start_timer");
            bench.log.reached("inner", operation, 1 + pauses).await;
            handle
                .signal(Canceller::go, (), WorkflowSignalOptions::default())
                .await
                .expect("the workflow runs");
            let result = result(&handle).await.expect("the workflow completes");
            assert_eq!(result, said, "`{operation}` with {plan:?}");
            let history = history(&handle).await;
            assert_no_task_failed(&history);
            assert_eq!(
                count(&history, requested),
                1,
                "the cancellation of `{operation}` should have reached the server, with {plan:?}"
            );
        })
        .await;
    }
}

/// A call that is cancelled before the server knows of it never gets there: `started` is the event that must not be.
///
/// The layer goes on at once and has reached the SDK when the call is cancelled, or it still waits.
pub(super) async fn check_before(
    operation: &'static str,
    what: What,
    said: &str,
    started: Option<EventType>,
) {
    for plan in [Plan::Watch, Plan::Delay(operation, SHORT)] {
        bench(plan, async |bench| {
            let handle = start(bench, what.clone(), When::AtOnce).await;
            let result = result(&handle).await.expect("the workflow completes");
            assert_eq!(
                result, said,
                "the cancellation of `{operation}` was lost, with {plan:?}"
            );
            let history = history(&handle).await;
            assert_no_task_failed(&history);
            let pauses = usize::from(plan != Plan::Watch && operation == "start_timer");
            if let Some(started) = started {
                assert_eq!(
                    count(&history, started),
                    pauses,
                    "`{operation}` should not have reached the server, with {plan:?}"
                );
            }
            assert_eq!(
                bench.log.calls("inner", operation).len(),
                1 + pauses,
                "the layer goes on inward in the end, with {plan:?}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn a_timer_is_cancelled_through_a_stack() {
    check_after(
        "start_timer",
        What::Timer,
        "cancelled",
        EventType::TimerCanceled,
    )
    .await;
}

#[tokio::test]
async fn a_timer_that_is_cancelled_at_once_never_reaches_the_server() {
    check_before(
        "start_timer",
        What::Timer,
        "cancelled",
        Some(EventType::TimerStarted),
    )
    .await;
}

#[tokio::test]
async fn an_activity_is_cancelled_through_a_stack() {
    check_after(
        "schedule_activity",
        What::Activity,
        "cancelled",
        EventType::ActivityTaskCancelRequested,
    )
    .await;
}

#[tokio::test]
async fn an_activity_that_is_cancelled_at_once_never_reaches_the_server() {
    check_before(
        "schedule_activity",
        What::Activity,
        "cancelled",
        Some(EventType::ActivityTaskScheduled),
    )
    .await;
}

#[tokio::test]
async fn a_local_activity_is_cancelled_through_a_stack() {
    check_after(
        "schedule_local_activity",
        What::LocalActivity,
        "cancelled",
        EventType::MarkerRecorded,
    )
    .await;
}

#[tokio::test]
async fn a_local_activity_that_is_cancelled_at_once_is_cancelled_through_a_stack() {
    check_before(
        "schedule_local_activity",
        What::LocalActivity,
        "cancelled",
        // The server is told of the outcome of a local activity, whatever it is.
        None,
    )
    .await;
}

#[tokio::test]
async fn a_child_workflow_is_cancelled_through_a_stack() {
    check_after(
        "start_child_workflow",
        What::Child,
        "cancelled: ",
        EventType::RequestCancelExternalWorkflowExecutionInitiated,
    )
    .await;
}

#[tokio::test]
async fn a_child_workflow_that_is_cancelled_at_once_never_starts() {
    check_before(
        "start_child_workflow",
        What::Child,
        "Child workflow start cancelled: Child Workflow Execution cancelled before scheduled: ",
        Some(EventType::StartChildWorkflowExecutionInitiated),
    )
    .await;
}

#[tokio::test]
async fn a_cancelled_workflow_cancels_a_call_that_a_layer_holds_back() {
    let operation = "schedule_activity";
    let plan = Plan::Delay(operation, Duration::from_secs(3));
    bench(plan, async |bench| {
        let handle = start(bench, What::Activity, When::Later).await;
        bench
            .wait_for(&handle, |history| {
                (count(history, EventType::TimerStarted) > 0).then_some(())
            })
            .await;
        assert_eq!(
            bench.log.way(operation),
            [("outer", Way::In)],
            "the layer should still hold the call back"
        );
        handle
            .cancel(WorkflowCancelOptions::default())
            .await
            .expect("the workflow runs");
        let said = result(&handle)
            .await
            .expect("the workflow's code ends well");
        assert_eq!(said, "cancelled");
        let history = history(&handle).await;
        assert_no_task_failed(&history);
        assert_eq!(
            count(&history, EventType::ActivityTaskScheduled),
            0,
            "the workflow was cancelled before the activity was scheduled"
        );
        assert_eq!(
            bench.log.way(operation),
            [
                ("outer", Way::In),
                ("inner", Way::In),
                ("inner", Way::Failed),
                ("outer", Way::Failed)
            ],
            "the call should go on inward, and come back cancelled"
        );
    })
    .await;
}
