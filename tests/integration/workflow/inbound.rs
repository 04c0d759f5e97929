//! Calls into workflows.

use super::{
    Attributes, Bench, Handle, application_failure, ask, assert_no_task_failed, attributes, bench,
    history,
    layers::{Case, Plan, Way},
    outbound::{CHANGED_INPUT, CHANGED_OUTPUT},
    result,
    subject::{Created, Step, Subject, TEXT},
    tell,
};
use crate::support::eventually;
use temporalio_client::{WorkflowStartOptions, WorkflowTerminateOptions};
use temporalio_sdk::workflow_interceptors::{
    ExecuteWorkflowInput, HandleQueryInput, HandleSignalInput, HandleUpdateInput,
    InitializeWorkflowInput, ValidateUpdateInput, WorkflowOutputValue,
};
use tower_temporal::{
    Category,
    workflow::{
        ExecuteWorkflow, HandleQuery, HandleSignal, HandleUpdate, InitializeWorkflow,
        ValidateUpdate,
    },
};

fn change_text(text: Option<&mut String>) {
    *text.expect("the input is a text") = CHANGED_INPUT.to_owned();
}

impl Case for InitializeWorkflow {
    fn change_input(input: &mut InitializeWorkflowInput) {
        change_text(input.input_mut());
    }
}

impl Case for ExecuteWorkflow {
    fn change_input(input: &mut ExecuteWorkflowInput) {
        let steps: &mut Vec<Step> = input.input_mut().expect("the input is the workflow's");
        *steps = vec![Step::Say(CHANGED_INPUT.to_owned())];
    }

    fn change_output(_: Box<dyn WorkflowOutputValue>) -> Box<dyn WorkflowOutputValue> {
        Box::new(vec![CHANGED_OUTPUT.to_owned()])
    }
}

impl Case for HandleSignal {
    fn change_input(input: &mut HandleSignalInput) {
        change_text(input.input_mut());
    }
}

impl Case for HandleQuery {
    fn change_input(input: &mut HandleQueryInput) {
        change_text(input.input_mut());
    }

    fn change_output(_: Box<dyn WorkflowOutputValue>) -> Box<dyn WorkflowOutputValue> {
        Box::new(CHANGED_OUTPUT.to_owned())
    }
}

impl Case for HandleUpdate {
    fn change_input(input: &mut HandleUpdateInput) {
        change_text(input.input_mut());
    }

    fn change_output(_: Box<dyn WorkflowOutputValue>) -> Box<dyn WorkflowOutputValue> {
        Box::new(CHANGED_OUTPUT.to_owned())
    }
}

impl Case for ValidateUpdate {
    fn change_input(input: &mut ValidateUpdateInput) {
        let text: &mut String = input.input_mut().expect("the input is a text");
        *text = format!("invalid: {CHANGED_INPUT}");
    }
}

/// What a caller hears: a result, or the error's text and the application failure's type.
type Heard = Result<String, String>;

fn ok(text: &str) -> Heard {
    Ok(text.to_owned())
}

/// Sees that `operation` was seen once, with what surrounds it, and passed both recording layers.
async fn assert_seen(bench: &Bench, operation: &str, workflow: &str, name: Option<&str>) {
    let calls = bench.log.calls("outer", operation);
    let [seen] = &*calls else {
        panic!("`{operation}` should have been seen once, not {calls:?}")
    };
    let (id, run) = (&bench.queue, bench.run_id().await);
    let name = name.map_or(String::new(), |name| format!(" name={name}"));
    assert_eq!(seen.category, Category::WorkflowInbound, "{operation}");
    assert_eq!(
        seen.target,
        format!("workflow_type={workflow} workflow_id={id} run_id={run}{name}"),
        "{operation}"
    );
    assert_eq!(
        seen.place,
        [workflow.to_owned(), id.clone(), run],
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
}

/// Sees that the refused call never got to the inner layer.
fn assert_refused(bench: &Bench, operation: &str) {
    let mut way = bench.log.way(operation);
    way.dedup();
    assert_eq!(
        way,
        [("outer", Way::In), ("outer", Way::Failed)],
        "`{operation}` was refused but went on inward"
    );
}

/// What a workflow fails with that was refused.
fn denied() -> (Option<String>, String) {
    let type_name = "PermissionDenied".to_owned();
    (Some(type_name), "denied: not today".to_owned())
}

/// What a workflow that waits answers to a query or an update, under `plan`.
async fn answers(
    plan: Plan,
    call: impl AsyncFnOnce(&Handle<Subject>) -> Heard,
    then: impl AsyncFnOnce(&Bench),
) -> Heard {
    bench(plan, async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        let heard = call(&handle).await;
        then(bench).await;
        bench.poke(&handle, TEXT).await;
        let said = result(&handle).await.expect("the workflow goes on");
        assert_eq!(said, [TEXT], "the workflow itself should be untouched");
        assert_no_task_failed(&history(&handle).await);
        heard
    })
    .await
}

#[tokio::test]
async fn a_query_is_seen_changed_and_refused() {
    let seen = async |bench: &Bench| {
        assert_seen(bench, "handle_query", "Subject", Some("ask")).await;
    };
    let nothing = async |_: &Bench| {};
    let refused = async |bench: &Bench| assert_refused(bench, "handle_query");
    assert_eq!(answers(Plan::Watch, ask, seen).await, ok(TEXT));
    let input = answers(Plan::Input("handle_query"), ask, nothing).await;
    assert_eq!(input, ok(CHANGED_INPUT));
    let output = answers(Plan::Output("handle_query"), ask, nothing).await;
    assert_eq!(output, ok(CHANGED_OUTPUT));
    let undone = answers(Plan::DenyResult("handle_query"), ask, nothing).await;
    assert_eq!(undone, Err("denied: not today".to_owned()), "the result");
    let denied = answers(Plan::Deny("handle_query"), ask, refused).await;
    assert_eq!(denied, Err("denied: not today".to_owned()));
}

#[tokio::test]
async fn an_update_is_seen_changed_and_refused() {
    let seen = async |bench: &Bench| {
        assert_seen(bench, "handle_update", "Subject", Some("tell")).await;
    };
    let nothing = async |_: &Bench| {};
    let refused = async |bench: &Bench| assert_refused(bench, "handle_update");
    assert_eq!(answers(Plan::Watch, tell, seen).await, ok(TEXT));
    let input = answers(Plan::Input("handle_update"), tell, nothing).await;
    assert_eq!(input, ok(CHANGED_INPUT));
    let output = answers(Plan::Output("handle_update"), tell, nothing).await;
    assert_eq!(output, ok(CHANGED_OUTPUT));
    let undone = answers(Plan::DenyResult("handle_update"), tell, nothing).await;
    assert_eq!(undone, Err("denied: not today".to_owned()), "the result");
    let denied = answers(Plan::Deny("handle_update"), tell, refused).await;
    assert_eq!(denied, Err("denied: not today".to_owned()));
}

#[tokio::test]
async fn an_update_s_validation_is_seen_changed_and_refused() {
    let seen = async |bench: &Bench| {
        assert_seen(bench, "validate_update", "Subject", Some("tell")).await;
    };
    let nothing = async |_: &Bench| {};
    let refused = async |bench: &Bench| {
        assert_refused(bench, "validate_update");
        let handled = bench.log.calls("outer", "handle_update");
        assert!(handled.is_empty(), "rejected but handled: {handled:?}");
    };
    assert_eq!(answers(Plan::Watch, tell, seen).await, ok(TEXT));
    let input = answers(Plan::Input("validate_update"), tell, nothing).await;
    let expected = format!("the validator saw `invalid: {CHANGED_INPUT}`");
    assert_eq!(input, Err(expected));
    let undone = answers(Plan::DenyResult("validate_update"), tell, nothing).await;
    assert_eq!(undone, Err("denied: not today".to_owned()), "the result");
    let denied = answers(Plan::Deny("validate_update"), tell, refused).await;
    assert_eq!(denied, Err("denied: not today".to_owned()));
}

#[tokio::test]
async fn a_layer_that_waits_in_a_query_fails_the_query() {
    let nothing = async |_: &Bench| {};
    let heard = answers(Plan::Pending("handle_query"), ask, nothing).await;
    let error = heard.expect_err("a layer waits");
    assert!(
        error.contains("`handle_query` is synchronous"),
        "the error should say what is wrong: {error}"
    );
}

#[tokio::test]
async fn a_layer_that_waits_in_a_validation_rejects_the_update() {
    let nothing = async |_: &Bench| {};
    let heard = answers(Plan::Pending("validate_update"), tell, nothing).await;
    let error = heard.expect_err("a layer waits");
    assert!(
        error.contains("`validate_update` is synchronous"),
        "the error should say what is wrong: {error}"
    );
}

#[tokio::test]
async fn execution_is_seen_changed_and_refused() {
    let steps = || vec![Step::Say(TEXT.to_owned())];
    bench(Plan::Watch, async |bench| {
        let handle = bench.start(steps()).await;
        assert_eq!(result(&handle).await.expect("it completes"), [TEXT]);
        assert_seen(bench, "execute", "Subject", None).await;
    })
    .await;
    for (plan, expected) in [
        (Plan::Input("execute"), CHANGED_INPUT),
        (Plan::Output("execute"), CHANGED_OUTPUT),
    ] {
        bench(plan, async |bench| {
            let handle = bench.start(steps()).await;
            let said = result(&handle).await.expect("it completes");
            assert_eq!(said, [expected], "{plan:?}");
        })
        .await;
    }
    for plan in [Plan::Deny("execute"), Plan::DenyResult("execute")] {
        bench(plan, async |bench| {
            let handle = bench.start(steps()).await;
            let error = result(&handle).await.expect_err("it was refused");
            assert_eq!(application_failure(error), denied(), "{plan:?}");
            if plan == Plan::Deny("execute") {
                assert_refused(bench, "execute");
            }
            assert_no_task_failed(&history(&handle).await);
        })
        .await;
    }
}

#[tokio::test]
async fn a_signal_is_seen_changed_and_refused() {
    bench(Plan::Watch, async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        bench.poke(&handle, TEXT).await;
        assert_eq!(result(&handle).await.expect("it completes"), [TEXT]);
        assert_seen(bench, "handle_signal", "Subject", Some("poke")).await;
    })
    .await;
    bench(Plan::Input("handle_signal"), async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        bench.poke(&handle, TEXT).await;
        let said = result(&handle).await.expect("it completes");
        assert_eq!(said, [CHANGED_INPUT]);
    })
    .await;
    bench(Plan::Deny("handle_signal"), async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        bench.poke(&handle, TEXT).await;
        eventually("the signal is refused", async || {
            (bench.log.way("handle_signal").len() > 1).then_some(())
        })
        .await;
        assert_refused(bench, "handle_signal");
        // Nobody can be told. The signal is dropped, and the workflow goes on.
        assert_no_task_failed(&history(&handle).await);
        handle
            .terminate(WorkflowTerminateOptions::default())
            .await
            .expect("the workflow still runs");
    })
    .await;
}

async fn create(bench: &Bench) -> Handle<Created> {
    let options = WorkflowStartOptions::new(&bench.queue, &bench.queue).build();
    bench
        .client
        .start_workflow(Created::run, TEXT.to_owned(), options)
        .await
        .expect("the workflow can be started")
}

#[tokio::test]
async fn initialization_is_seen_and_changed() {
    bench(Plan::Watch, async |bench| {
        let handle = create(bench).await;
        assert_eq!(result(&handle).await.expect("it completes"), TEXT);
        assert_seen(bench, "initialize_workflow", "Created", None).await;
    })
    .await;
    bench(Plan::Input("initialize_workflow"), async |bench| {
        let handle = create(bench).await;
        let said = result(&handle).await.expect("it completes");
        assert_eq!(said, CHANGED_INPUT);
    })
    .await;
}

/// Initialization has no way to fail in the SDK: the workflow's task fails, with the error's text in the history.
#[tokio::test]
async fn a_layer_that_fails_or_waits_in_initialization_fails_the_workflow_task() {
    for (plan, text) in [
        (Plan::Deny("initialize_workflow"), "denied: not today"),
        (
            Plan::Pending("initialize_workflow"),
            "`initialize_workflow` is synchronous",
        ),
    ] {
        bench(plan, async |bench| {
            let handle = create(bench).await;
            let failure = bench
                .wait_for(&handle, |history| {
                    attributes(history, |attributes| match attributes {
                        Attributes::WorkflowTaskFailedEventAttributes(failed) => {
                            failed.failure.clone()
                        }
                        _ => None,
                    })
                })
                .await;
            assert!(
                failure.message.contains(text),
                "{plan:?} should be in the history's text: {failure:?}"
            );
            for operation in ["initialize_workflow", "execute"] {
                let inner = bench.log.calls("inner", operation);
                assert!(inner.is_empty(), "{plan:?} went on inward: {inner:?}");
            }
            handle
                .terminate(WorkflowTerminateOptions::default())
                .await
                .expect("it is still running");

            // A workflow that has no `#[init]`, on the same worker.
            let options = WorkflowStartOptions::new(&bench.queue, format!("{}-2", bench.queue));
            let other = bench.client.start_workflow(
                Subject::run,
                vec![Step::Say(TEXT.to_owned())],
                options.build(),
            );
            let other = other.await.expect("the workflow can be started");
            let said = result(&other).await.expect("the worker goes on");
            assert_eq!(said, [TEXT]);
        })
        .await;
    }
}
