//! Calls that workflows make.

use super::{
    Bench, application_failure, assert_no_task_failed, bench, count, history,
    layers::{Case, Plan, Way},
    result,
    subject::{Step, Subject, TEXT, payload},
};
use std::time::Duration;
use temporalio_client::{
    WorkflowExecuteUpdateOptions, WorkflowSignalOptions, errors::WorkflowUpdateError,
};
use temporalio_common::protos::{
    coresdk::workflow_commands::ContinueAsNewWorkflowExecution, temporal::api::enums::v1::EventType,
};
use temporalio_sdk::{
    StartChildWorkflowOutput, StartedNexusOperation, TimerResult,
    workflow_interceptors::{
        CancelExternalWorkflowInput, ContinueAsNewInput, ScheduleActivityInput,
        ScheduleLocalActivityInput, SignalWorkflowInput, StartChildWorkflowInput,
        StartNexusOperationInput, StartTimerInput, WorkflowOutboundValue,
    },
};
use tower_temporal::{
    Category,
    workflow::{
        CancelExternalWorkflow, ContinueAsNew, ScheduleActivity, ScheduleLocalActivity,
        SignalChildWorkflow, SignalExternalWorkflow, StartChildWorkflow, StartNexusOperation,
        StartTimer,
    },
};

/// What a changed input makes of a text, and a changed output.
pub(super) const CHANGED_INPUT: &str = "changed input";
pub(super) const CHANGED_OUTPUT: &str = "changed output";

/// What a refusal looks like to the workflow's code, after what the SDK's error says itself.
const DENIED: &str = "denied: not today [PermissionDenied]";

fn change_text(text: Option<&mut String>) {
    *text.expect("the input is a text") = CHANGED_INPUT.to_owned();
}

fn changed_output() -> Box<dyn WorkflowOutboundValue> {
    Box::new(CHANGED_OUTPUT.to_owned())
}

impl Case for StartTimer {
    fn change_input(input: &mut StartTimerInput) {
        let options = input.options_mut();
        options.duration = Duration::from_millis(42);
        options.summary = Some(CHANGED_INPUT.to_owned());
    }

    fn change_output(_: TimerResult) -> TimerResult {
        TimerResult::Cancelled
    }
}

impl Case for ScheduleActivity {
    fn change_input(input: &mut ScheduleActivityInput) {
        change_text(input.input_mut());
    }

    fn change_output(_: Box<dyn WorkflowOutboundValue>) -> Box<dyn WorkflowOutboundValue> {
        changed_output()
    }
}

impl Case for ScheduleLocalActivity {
    fn change_input(input: &mut ScheduleLocalActivityInput) {
        change_text(input.input_mut());
    }

    fn change_output(_: Box<dyn WorkflowOutboundValue>) -> Box<dyn WorkflowOutboundValue> {
        changed_output()
    }
}

impl Case for StartChildWorkflow {
    fn change_input(input: &mut StartChildWorkflowInput) {
        change_text(input.input_mut());
    }

    fn change_output(output: StartChildWorkflowOutput) -> StartChildWorkflowOutput {
        output.map_result(|result| result.map(|result| result.map(|_| changed_output())))
    }
}

impl Case for SignalChildWorkflow {
    fn change_input(input: &mut SignalWorkflowInput) {
        change_text(input.input_mut());
    }
}

impl Case for SignalExternalWorkflow {
    fn change_input(input: &mut SignalWorkflowInput) {
        change_text(input.input_mut());
    }
}

impl Case for CancelExternalWorkflow {
    fn change_input(input: &mut CancelExternalWorkflowInput) {
        change_text(input.reason.as_mut());
    }
}

impl Case for ContinueAsNew {
    fn change_input(input: &mut ContinueAsNewInput) {
        let steps: &mut Vec<Step> = input.input_mut().expect("the input is the workflow's");
        *steps = vec![Step::Say(CHANGED_INPUT.to_owned())];
    }

    fn change_output(
        mut command: Box<ContinueAsNewWorkflowExecution>,
    ) -> Box<ContinueAsNewWorkflowExecution> {
        command.arguments = vec![payload(&vec![Step::Say(CHANGED_OUTPUT.to_owned())])];
        command
    }
}

impl Case for StartNexusOperation {
    fn change_input(input: &mut StartNexusOperationInput) {
        input.options_mut().input = Some(payload(&CHANGED_INPUT));
    }

    fn change_output(mut output: StartedNexusOperation) -> StartedNexusOperation {
        output.operation_token = Some(CHANGED_OUTPUT.to_owned());
        output
    }
}

/// What is expected of an operation, and what its code says in each case.
pub(super) struct Expected<'a> {
    pub(super) operation: &'static str,
    /// The step that makes the call.
    pub(super) step: Step,
    /// What the call is aimed at, where `{id}` is the workflow's id and task queue.
    pub(super) target: &'a str,
    /// What the step says of a call that passes.
    pub(super) plain: &'a str,
    /// What it says when the input was changed.
    pub(super) input: &'a str,
    /// What it says when the output was changed, where it can be.
    pub(super) output: Option<&'a str>,
    /// What it says when the call was refused.
    pub(super) denied: &'a str,
    /// What the call leaves in the workflow's history.
    pub(super) event: EventType,
}

/// Runs a workflow that takes `step`, and returns what it said of it.
async fn say(bench: &Bench, step: Step) -> String {
    let handle = bench.start(vec![step]).await;
    let said = result(&handle).await.expect("the workflow completes");
    assert_no_task_failed(&history(&handle).await);
    said.join(", ")
}

/// Runs the operation's step plainly, and with its input changed, its output changed, and the call refused.
pub(super) async fn check(expected: Expected<'_>) {
    let Expected {
        operation, step, ..
    } = &expected;
    bench(Plan::Watch, async |bench| {
        let said = say(bench, step.clone()).await;
        assert_eq!(said, expected.plain, "`{operation}` went wrong undisturbed");
        let mut calls = bench.log.calls("outer", operation);
        calls.retain(|seen| seen.place[0] == "Subject");
        let [seen] = &*calls else {
            panic!("`{operation}` should have been seen once, not {calls:?}")
        };
        let run = bench.run_id().await;
        assert_eq!(seen.category, Category::WorkflowOutbound, "{operation}");
        assert_eq!(
            seen.target,
            expected.target.replace("{id}", &bench.queue),
            "{operation}"
        );
        assert_eq!(
            seen.place,
            ["Subject".to_owned(), bench.queue.clone(), run],
            "the context of `{operation}`"
        );
        assert_eq!(
            bench.log.way(operation),
            [
                ("outer", Way::In),
                ("inner", Way::In),
                ("inner", Way::Out),
                ("outer", Way::Out)
            ],
            "the way of `{operation}`"
        );
    })
    .await;
    bench(Plan::Input(operation), async |bench| {
        let said = say(bench, step.clone()).await;
        assert_eq!(
            said, expected.input,
            "a changed input of `{operation}` did not arrive"
        );
    })
    .await;
    if let Some(output) = expected.output {
        bench(Plan::Output(operation), async |bench| {
            let said = say(bench, step.clone()).await;
            assert_eq!(
                said, output,
                "a changed output of `{operation}` did not arrive"
            );
        })
        .await;
    }
    let said_or_failed = async |bench: &Bench| {
        let handle = bench.start(vec![step.clone()]).await;
        let said = match result(&handle).await {
            Ok(said) => said.join(", "),
            Err(error) => {
                let (type_name, message) = application_failure(error);
                let type_name = type_name.unwrap_or_default();
                format!("the workflow failed: {message} [{type_name}]")
            }
        };
        let history = history(&handle).await;
        assert_no_task_failed(&history);
        (said, count(&history, expected.event))
    };
    bench(Plan::Deny(operation), async |bench| {
        let (said, happened) = said_or_failed(bench).await;
        assert_eq!(said, expected.denied, "`{operation}` was refused");
        assert_eq!(happened, 0, "`{operation}` was refused but happened");
        assert_eq!(
            bench.log.way(operation),
            [("outer", Way::In), ("outer", Way::Failed)],
            "`{operation}` was refused but went on inward"
        );
    })
    .await;
    bench(Plan::DenyResult(operation), async |bench| {
        let (said, _) = said_or_failed(bench).await;
        assert_eq!(
            said, expected.denied,
            "the result of `{operation}` was refused"
        );
        assert_eq!(
            bench.log.way(operation),
            [
                ("outer", Way::In),
                ("inner", Way::In),
                ("inner", Way::Out),
                ("outer", Way::Failed)
            ],
            "the result of `{operation}` was refused"
        );
    })
    .await;
}

#[tokio::test]
async fn a_timer_is_seen_changed_and_refused() {
    check(Expected {
        operation: "start_timer",
        step: Step::Timer,
        target: "name=wait a little",
        plain: "fired",
        input: "fired",
        output: Some("cancelled"),
        denied: &format!("the workflow failed: {DENIED}"),
        event: EventType::TimerStarted,
    })
    .await;
}

#[tokio::test]
async fn an_activity_is_seen_changed_and_refused() {
    check(Expected {
        operation: "schedule_activity",
        step: Step::Activity,
        target: "activity_type=Activities::echo task_queue={id}",
        plain: TEXT,
        input: CHANGED_INPUT,
        output: Some(CHANGED_OUTPUT),
        denied: &format!("Activity failed: {DENIED}"),
        event: EventType::ActivityTaskScheduled,
    })
    .await;
}

#[tokio::test]
async fn a_local_activity_is_seen_changed_and_refused() {
    check(Expected {
        operation: "schedule_local_activity",
        step: Step::LocalActivity,
        target: "activity_type=Activities::echo task_queue={id}",
        plain: TEXT,
        input: CHANGED_INPUT,
        output: Some(CHANGED_OUTPUT),
        denied: &format!("Activity failed: {DENIED}"),
        event: EventType::MarkerRecorded,
    })
    .await;
}

#[tokio::test]
async fn a_child_workflow_is_seen_changed_and_refused() {
    check(Expected {
        operation: "start_child_workflow",
        step: Step::Child,
        target: "workflow_type=Child workflow_id={id}-child task_queue={id}",
        plain: TEXT,
        input: CHANGED_INPUT,
        output: Some(CHANGED_OUTPUT),
        denied: &format!("Child workflow start cancelled: {DENIED}"),
        event: EventType::StartChildWorkflowExecutionInitiated,
    })
    .await;
}

#[tokio::test]
async fn a_signal_to_a_child_is_seen_changed_and_refused() {
    check(Expected {
        operation: "signal_child_workflow",
        step: Step::SignalChild,
        target: "workflow_id={id}-child name=poke",
        plain: TEXT,
        input: CHANGED_INPUT,
        output: None,
        denied: &format!("Child workflow signal failed: {DENIED}"),
        event: EventType::SignalExternalWorkflowExecutionInitiated,
    })
    .await;
}

#[tokio::test]
async fn a_signal_to_another_workflow_is_seen_changed_and_refused() {
    check(Expected {
        operation: "signal_external_workflow",
        step: Step::SignalExternal,
        target: "workflow_id={id}-child name=poke",
        plain: TEXT,
        input: CHANGED_INPUT,
        output: None,
        denied: &format!("Child workflow signal failed: {DENIED}"),
        event: EventType::SignalExternalWorkflowExecutionInitiated,
    })
    .await;
}

#[tokio::test]
async fn the_cancellation_of_another_workflow_is_seen_changed_and_refused() {
    check(Expected {
        operation: "cancel_external_workflow",
        step: Step::CancelExternal,
        target: "workflow_id={id}-child",
        plain: &format!("cancelled: {TEXT}"),
        input: &format!("cancelled: {CHANGED_INPUT}"),
        output: None,
        denied: &format!("External workflow cancellation request failed: {DENIED}"),
        event: EventType::RequestCancelExternalWorkflowExecutionInitiated,
    })
    .await;
}

#[tokio::test]
async fn continuing_as_new_is_seen_changed_and_refused() {
    check(Expected {
        operation: "continue_as_new",
        step: Step::ContinueAsNew(vec![Step::Say(TEXT.to_owned())]),
        target: "workflow_type=Subject workflow_id={id} task_queue={id}",
        plain: TEXT,
        input: CHANGED_INPUT,
        output: Some(CHANGED_OUTPUT),
        denied: &format!("the workflow failed: {DENIED}"),
        event: EventType::WorkflowExecutionContinuedAsNew,
    })
    .await;
}

#[tokio::test]
async fn a_changed_timer_is_in_the_server_s_history() {
    bench(Plan::Input("start_timer"), async |bench| {
        let handle = bench.start(vec![Step::Timer]).await;
        result(&handle).await.expect("the workflow completes");
        let started = super::attributes(&history(&handle).await, |attributes| match attributes {
            super::Attributes::TimerStartedEventAttributes(started) => {
                started.start_to_fire_timeout
            }
            _ => None,
        });
        assert_eq!(started.expect("a timer was started").nanos, 42_000_000);
    })
    .await;
}

#[tokio::test]
async fn a_refused_timer_fails_the_update_that_started_it_and_not_the_workflow() {
    bench(Plan::Deny("start_timer"), async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        let updated = handle
            .execute_update(
                Subject::take,
                Step::Timer,
                WorkflowExecuteUpdateOptions::default(),
            )
            .await;
        match updated {
            Err(WorkflowUpdateError::Failed(failure)) => {
                assert_eq!(failure.message, "denied: not today");
            }
            other => panic!("the update should have failed, but {other:?}"),
        }
        bench.poke(&handle, TEXT).await;
        assert_eq!(result(&handle).await.expect("it goes on"), [TEXT]);
        assert_no_task_failed(&history(&handle).await);
    })
    .await;
}

#[tokio::test]
async fn a_refused_timer_fails_the_workflow_whose_signal_handler_started_it() {
    bench(Plan::Deny("start_timer"), async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        let options = WorkflowSignalOptions::default();
        handle
            .signal(Subject::take_at_a_signal, Step::Timer, options)
            .await
            .expect("the workflow can be signalled");
        let error = result(&handle).await.expect_err("the timer was refused");
        let (type_name, message) = application_failure(error);
        assert_eq!(message, "denied: not today");
        assert_eq!(type_name.as_deref(), Some("PermissionDenied"));
        assert_no_task_failed(&history(&handle).await);
    })
    .await;
}

#[tokio::test]
async fn a_layer_that_waits_when_continuing_as_new_fails_the_workflow() {
    bench(Plan::Pending("continue_as_new"), async |bench| {
        let handle = bench.start(vec![Step::ContinueAsNew(vec![])]).await;
        let error = result(&handle).await.expect_err("a layer waits");
        let (type_name, message) = application_failure(error);
        assert_eq!(type_name.as_deref(), Some("Internal"), "{message}");
        assert!(
            message.contains("`continue_as_new` is synchronous"),
            "{message}"
        );
    })
    .await;
}
