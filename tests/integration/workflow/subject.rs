//! The workflows and activities that are intercepted.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use temporalio_common::{
    error::IncomingError,
    protos::{
        coresdk::nexus::nexus_operation_result::Status,
        temporal::api::{
            common::v1::Payload,
            failure::v1::{Failure, failure::FailureInfo},
        },
    },
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    NexusOperationOptions, SignalWorkflowOptions, StartedChildWorkflow, SyncWorkflowContext,
    TimerOptions, TimerResult, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use temporalio_workflow::workflows::WorkflowImplementation;

pub(crate) struct Activities;

#[activities]
impl Activities {
    #[activity]
    pub(crate) async fn echo(_: ActivityContext, text: String) -> Result<String, ActivityError> {
        Ok(text)
    }

    /// Runs until it is cancelled.
    #[activity]
    pub(crate) async fn hang(ctx: ActivityContext) -> Result<(), ActivityError> {
        ctx.cancelled().await;
        Err(ActivityError::cancelled())
    }
}

/// What a [`Subject`] can be asked to do: each makes one kind of outbound call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    Say(String),
    /// Waits for a poke, and says what it was.
    Wait,
    Timer,
    Activity,
    LocalActivity,
    Child,
    SignalChild,
    SignalExternal,
    CancelExternal,
    ContinueAsNew(Vec<Step>),
    Nexus {
        endpoint: String,
        operation: String,
        timeout: Duration,
    },
}

/// What all texts are before a layer changes them.
pub(crate) const TEXT: &str = "text";

/// Takes steps, and returns what its code saw of each.
#[workflow]
#[derive(Default)]
pub(crate) struct Subject {
    poked: Vec<String>,
    said: Vec<String>,
}

#[workflow_methods]
impl Subject {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        steps: Vec<Step>,
    ) -> WorkflowResult<Vec<String>> {
        for step in steps {
            let said = take(ctx, step).await?;
            ctx.state_mut(|subject| subject.said.push(said));
        }
        Ok(ctx.state(|subject| subject.said.clone()))
    }

    #[signal]
    pub(crate) fn poke(&mut self, _: &mut SyncWorkflowContext<Self>, text: String) {
        self.poked.push(text);
    }

    #[query]
    pub(crate) fn ask(&self, _: &WorkflowContextView, text: String) -> String {
        text
    }

    #[query]
    pub(crate) fn said(&self, _: &WorkflowContextView) -> Vec<String> {
        self.said.clone()
    }

    #[update_validator(tell)]
    fn validate_tell(
        &self,
        _: &WorkflowContextView,
        text: &str,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match text.strip_prefix("invalid") {
            Some(_) => Err(format!("the validator saw `{text}`").into()),
            None => Ok(()),
        }
    }

    #[update]
    pub(crate) fn tell(&mut self, _: &mut SyncWorkflowContext<Self>, text: String) -> String {
        text
    }

    /// Takes a step when it is signalled.
    #[signal]
    pub(crate) async fn take_at_a_signal(ctx: &mut WorkflowContext<Self>, step: Step) {
        // What it said would have to go somewhere; nobody asks for it.
        let _ = take(ctx, step).await;
    }

    /// Takes a step in an update.
    #[update]
    pub(crate) async fn take(
        ctx: &mut WorkflowContext<Self>,
        step: Step,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok(take(ctx, step).await?)
    }
}

/// Takes one step, and says what the code that takes it sees.
async fn take(ctx: &WorkflowContext<Subject>, step: Step) -> WorkflowResult<String> {
    let text = TEXT.to_owned();
    Ok(match step {
        Step::Say(text) => text,
        Step::Wait => {
            ctx.wait_condition(|subject| !subject.poked.is_empty())
                .await?;
            ctx.state(|subject| subject.poked.join(", "))
        }
        Step::Timer => {
            let timer = TimerOptions::builder(Duration::from_millis(10))
                .summary("wait a little".to_owned())
                .build();
            match ctx.timer(timer).await {
                TimerResult::Fired => "fired".to_owned(),
                TimerResult::Cancelled => "cancelled".to_owned(),
            }
        }
        Step::Activity => {
            let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(20));
            match ctx.execute_activity(Activities::echo, text, options).await {
                Ok(text) => text,
                Err(error) => told(&error, error.cause()),
            }
        }
        Step::LocalActivity => {
            let options = LocalActivityOptions::builder()
                .start_to_close_timeout(Duration::from_secs(20))
                .build();
            match ctx
                .execute_local_activity(Activities::echo, text, options)
                .await
            {
                Ok(text) => text,
                Err(error) => told(&error, error.cause()),
            }
        }
        Step::Child => match ctx
            .start_child_workflow(Child::run, text, child_options(ctx))
            .await
        {
            Ok(child) => child.result().await?,
            Err(error) => told(&error, error.cause()),
        },
        Step::SignalChild => {
            let child = start_child(ctx).await?;
            let options = SignalWorkflowOptions::default();
            match child.signal(Child::poke, text, options).await {
                Ok(()) => child.result().await?,
                Err(error) => told(&error, error.reason()),
            }
        }
        Step::SignalExternal => {
            let child = start_child(ctx).await?;
            let external = ctx.external_workflow(child_id(ctx), None);
            let options = SignalWorkflowOptions::default();
            match external.signal(Child::poke, text, options).await {
                Ok(()) => child.result().await?,
                Err(error) => told(&error, error.reason()),
            }
        }
        Step::CancelExternal => {
            let child = start_child(ctx).await?;
            let external = ctx.external_workflow(child_id(ctx), None);
            match external.cancel(Some(text)).await {
                Ok(()) => child.result().await?,
                Err(error) => told(&error, error.reason()),
            }
        }
        Step::ContinueAsNew(steps) => {
            match ctx.continue_as_new(steps, ContinueAsNewOptions::default())? {}
        }
        Step::Nexus {
            endpoint,
            operation,
            timeout,
        } => {
            let options = NexusOperationOptions::builder()
                .endpoint(endpoint)
                .service("greetings")
                .operation(operation)
                .input(payload(&text))
                .schedule_to_close_timeout(timeout)
                .build();
            match ctx.start_nexus_operation(options).await {
                Ok(operation) => {
                    let status = operation.result().await.status;
                    let token = operation.operation_token.unwrap_or_default();
                    let result = match status.expect("a result says how it went") {
                        Status::Completed(payload) => {
                            String::from_utf8(payload.data).expect("it is JSON")
                        }
                        Status::Failed(failure)
                        | Status::Cancelled(failure)
                        | Status::TimedOut(failure) => failed(&failure),
                    };
                    format!("{token} {result}")
                }
                Err(failure) => failed(&failure),
            }
        }
    })
}

/// The id of the child of a [`Subject`].
fn child_id(ctx: &WorkflowContext<Subject>) -> String {
    format!("{}-child", ctx.workflow_id())
}

fn child_options(ctx: &WorkflowContext<Subject>) -> ChildWorkflowOptions {
    ChildWorkflowOptions::workflow_id(child_id(ctx))
}

async fn start_child(
    ctx: &WorkflowContext<Subject>,
) -> WorkflowResult<StartedChildWorkflow<<Child as WorkflowImplementation>::Run>> {
    Ok(ctx
        .start_child_workflow(Child::run, "wait".to_owned(), child_options(ctx))
        .await?)
}

/// An error as workflow code sees it, and the type of the application failure that caused it.
fn told(error: &dyn std::error::Error, cause: Option<&IncomingError>) -> String {
    match cause {
        Some(IncomingError::Application(failure)) => {
            format!("{error} [{}]", failure.type_name().unwrap_or("-"))
        }
        Some(other) => format!("{error} [{other:?}]"),
        None => error.to_string(),
    }
}

/// A Nexus failure: its message, the type of the application failure if it is one, and its cause.
fn failed(failure: &Failure) -> String {
    let type_name = match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => format!(" [{}]", info.r#type),
        _ => String::new(),
    };
    let cause = failure
        .cause
        .as_deref()
        .map(|cause| format!(": {}", failed(cause)));
    format!(
        "{}{type_name}{}",
        failure.message,
        cause.unwrap_or_default()
    )
}

/// A value as the SDK encodes it by default.
pub(crate) fn payload(value: &impl Serialize) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: serde_json::to_vec(value).expect("it is JSON"),
        ..Payload::default()
    }
}

/// Returns its input; with the input `wait` it returns what it is poked with, or why it was cancelled.
#[workflow]
#[derive(Default)]
pub(crate) struct Child {
    poked: Option<String>,
}

#[workflow_methods]
impl Child {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        text: String,
    ) -> WorkflowResult<String> {
        if text != "wait" {
            return Ok(text);
        }
        Ok(
            match ctx.wait_condition(|child| child.poked.is_some()).await {
                Ok(()) => ctx.state(|child| child.poked.clone()).expect("it is there"),
                Err(_) => {
                    // The server puts words of its own before the reason that a workflow gives.
                    let reason = ctx.cancellation_token().reason().unwrap_or_default();
                    let reason = reason.rsplit("with reason: ").next().unwrap_or_default();
                    format!("cancelled: {reason}")
                }
            },
        )
    }

    #[signal]
    pub(crate) fn poke(&mut self, _: &mut SyncWorkflowContext<Self>, text: String) {
        self.poked = Some(text);
    }
}

/// Returns what it was created with.
#[workflow]
pub(crate) struct Created {
    with: String,
}

#[workflow_methods]
impl Created {
    #[init]
    fn new(_: &WorkflowContextView, text: String) -> Self {
        Self { with: text }
    }

    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        Ok(ctx.state(|created| created.with.clone()))
    }
}
