//! Calls about activities that are completed from outside their worker.

use super::{Case, Given, InputOf, Outcome, OutputOf, Subject};
use crate::{
    fixtures::{ACTIVITY_ID, Work},
    support::{eventually, in_history, json},
};
use temporalio_client::{
    ActivityHeartbeatResponse, ActivityIdentifier, AsyncActivityHandle, Client, RpcOptions,
    UntypedWorkflow, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowStartOptions,
};
use temporalio_common::{
    HasWorkflowDefinition,
    error::ApplicationFailure,
    protos::temporal::api::{
        failure::v1::failure::FailureInfo, history::v1::history_event::Attributes,
        workflow::v1::PendingActivityInfo,
    },
};
use tower_temporal::{Target, client};

/// An activity that was started, and waits to be completed from outside.
pub(super) struct Parked {
    client: Client,
    workflow: WorkflowHandle<Client, <Work as HasWorkflowDefinition>::Run>,
    workflow_id: String,
    token: Vec<u8>,
}

impl Subject for Parked {
    async fn arrange(mut given: Given) -> Self {
        let Given {
            client, id, queue, ..
        } = &given;
        let options = WorkflowStartOptions::new(queue, id).build();
        let start = client.start_workflow(Work::run, "in".to_owned(), options);
        let workflow = start.await.unwrap();
        let token = given.started.recv().await;
        Self {
            token: token.expect("the activity was started"),
            client: given.client,
            workflow,
            workflow_id: given.id,
        }
    }

    fn target(&self) -> Target<'_> {
        Target {
            activity_id: Some(ACTIVITY_ID),
            ..Target::workflow(None, Some(&self.workflow_id))
        }
    }

    async fn trace(&self) -> String {
        match self.pending().await {
            Some(activity) => format!(
                "attempt {}, heartbeat: {:?}, failure: {:?}",
                activity.attempt,
                json(&activity.heartbeat_details),
                activity.last_failure,
            ),
            None => "none is pending".to_owned(),
        }
    }
}

impl Parked {
    /// The activity, as `client` has it.
    fn handle(&self, client: &Client) -> AsyncActivityHandle<Client> {
        let id = ActivityIdentifier::by_id_workflow(&self.workflow_id, "", ACTIVITY_ID);
        client.get_async_activity_handle(id)
    }

    /// The activity, as the server has it, while it is pending.
    async fn pending(&self) -> Option<PendingActivityInfo> {
        let handle = self
            .client
            .get_workflow_handle::<UntypedWorkflow>(&self.workflow_id);
        let description = handle
            .describe(WorkflowDescribeOptions::default())
            .await
            .unwrap();
        description.into_raw().pending_activities.pop()
    }

    /// What the activity returned, and its workflow too.
    async fn result(&self) -> String {
        let options = WorkflowGetResultOptions::default();
        self.workflow.get_result(options).await.unwrap()
    }

    async fn in_history<T>(&self, what: &str, pick: impl Fn(&Attributes) -> Option<T>) -> T {
        in_history(&self.client, &self.workflow_id, what, pick).await
    }
}

pub(super) struct Complete;

impl Case for Complete {
    type Operation = client::CompleteAsyncActivity;
    type Subject = Parked;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    async fn call(activity: &Parked, client: &Client) -> Outcome<Self> {
        let (handle, result) = (activity.handle(client), "the caller's".to_owned());
        handle.complete(Some(result), RpcOptions::default()).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.result_ref::<String>().unwrap(), "the caller's");
        input.replace_result(Some("the layer's"));
    }

    async fn check_input(activity: &Parked, (): ()) {
        assert_eq!(activity.result().await, "the layer's");
    }
}

pub(super) struct Fail;

impl Case for Fail {
    type Operation = client::FailAsyncActivity;
    type Subject = Parked;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    async fn call(activity: &Parked, client: &Client) -> Outcome<Self> {
        let failure = ApplicationFailure::new("the caller's");
        activity
            .handle(client)
            .fail(failure, None::<()>, RpcOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.failure.to_string(), "the caller's");
        input.failure = ApplicationFailure::builder("the layer's")
            .type_name("Changed".to_owned())
            .non_retryable(true)
            .build();
    }

    async fn check_input(activity: &Parked, (): ()) {
        let what = "the activity failed";
        let failure = activity.in_history(what, |event| match event {
            Attributes::ActivityTaskFailedEventAttributes(failed) => failed.failure.clone(),
            _ => None,
        });
        let failure = failure.await;
        assert_eq!(failure.message, "the layer's");
        let Some(FailureInfo::ApplicationFailureInfo(info)) = failure.failure_info else {
            panic!("expected an application failure, got {failure:?}");
        };
        assert_eq!(
            (info.r#type.as_str(), info.non_retryable),
            ("Changed", true)
        );
    }
}

pub(super) struct ReportCancellation;

impl Case for ReportCancellation {
    type Operation = client::ReportAsyncActivityCancellation;
    type Subject = Parked;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    /// Requests the cancellation: otherwise the server takes no such report.
    async fn prepare(activity: &Parked) {
        activity
            .workflow
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
        let requested = activity.in_history("the cancellation of the activity", |event| {
            matches!(
                event,
                Attributes::ActivityTaskCancelRequestedEventAttributes(_)
            )
            .then_some(())
        });
        requested.await;
    }

    async fn call(activity: &Parked, client: &Client) -> Outcome<Self> {
        let (handle, details) = (activity.handle(client), "the caller's".to_owned());
        handle
            .report_cancelation(Some(details), RpcOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let details = input.details_mut::<String>().unwrap();
        assert_eq!(details, "the caller's");
        *details = "the layer's".to_owned();
    }

    async fn check_input(activity: &Parked, (): ()) {
        let details = activity.in_history("the activity is cancelled", |event| match event {
            Attributes::ActivityTaskCanceledEventAttributes(canceled) => {
                Some(json(&canceled.details))
            }
            _ => None,
        });
        assert_eq!(details.await, [r#""the layer's""#]);
    }
}

pub(super) struct Heartbeat;

impl Case for Heartbeat {
    type Operation = client::HeartbeatAsyncActivity;
    type Subject = Parked;
    type Answer = ActivityHeartbeatResponse;
    const NEEDS_WORKER: bool = true;

    async fn call(activity: &Parked, client: &Client) -> Outcome<Self> {
        let (handle, details) = (activity.handle(client), "the caller's".to_owned());
        handle.heartbeat(Some(details), RpcOptions::default()).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.details_ref::<String>().unwrap(), "the caller's");
        input.replace_details(Some("the layer's"));
    }

    async fn check_input(activity: &Parked, _: ActivityHeartbeatResponse) {
        let details = eventually("the heartbeat's details", async || {
            let details = json(&activity.pending().await?.heartbeat_details);
            (!details.is_empty()).then_some(details)
        });
        assert_eq!(details.await, [r#""the layer's""#]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        assert!(!output.cancel_requested, "nobody asked for it");
        output.cancel_requested = true;
    }

    async fn check_output(_: &Parked, answer: ActivityHeartbeatResponse) {
        assert!(answer.cancel_requested);
    }
}

/// The same, by the token that the activity itself was given.
pub(super) struct CompleteByToken;

impl Case for CompleteByToken {
    type Operation = client::CompleteAsyncActivity;
    type Subject = Parked;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    /// The token is opaque.
    fn target(_: &Parked) -> Target<'_> {
        Target::new()
    }

    async fn call(activity: &Parked, client: &Client) -> Outcome<Self> {
        let id = ActivityIdentifier::from_task_token(activity.token.clone().into());
        let (handle, result) = (client.get_async_activity_handle(id), "by token".to_owned());
        handle.complete(Some(result), RpcOptions::default()).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.result_ref::<String>().unwrap(), "by token");
        input.replace_result(Some("the layer's"));
    }

    async fn check_input(activity: &Parked, (): ()) {
        assert_eq!(activity.result().await, "the layer's");
    }
}
