//! Calls about activities that are completed from outside their worker.

use super::{Case, ErrorOf, Given, InputOf, OutputOf};
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
struct Parked {
    client: Client,
    workflow: WorkflowHandle<Client, <Work as HasWorkflowDefinition>::Run>,
    workflow_id: String,
    token: Vec<u8>,
}

impl Parked {
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

    async fn in_history<T>(&self, what: &str, pick: impl Fn(&Attributes) -> Option<T>) -> T {
        in_history(&self.client, &self.workflow_id, what, pick).await
    }
}

pub(super) struct Complete(Parked);

impl Case for Complete {
    type Operation = client::CompleteAsyncActivity;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        Self(Parked::arrange(given).await)
    }

    fn target(&self) -> Target<'_> {
        self.0.target()
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        let (handle, result) = (self.0.handle(client), "the caller's".to_owned());
        handle.complete(Some(result), RpcOptions::default()).await
    }

    async fn trace(&self) -> String {
        self.0.trace().await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.result_ref::<String>().unwrap(), "the caller's");
        input.replace_result(Some("the layer's"));
    }

    async fn check_input(&self, (): ()) {
        let result = self
            .0
            .workflow
            .get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), "the layer's");
    }
}

pub(super) struct Fail(Parked);

impl Case for Fail {
    type Operation = client::FailAsyncActivity;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        Self(Parked::arrange(given).await)
    }

    fn target(&self) -> Target<'_> {
        self.0.target()
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        let failure = ApplicationFailure::new("the caller's");
        let handle = self.0.handle(client);
        handle
            .fail(failure, None::<()>, RpcOptions::default())
            .await
    }

    async fn trace(&self) -> String {
        self.0.trace().await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.failure.to_string(), "the caller's");
        input.failure = ApplicationFailure::builder("the layer's")
            .type_name("Changed".to_owned())
            .non_retryable(true)
            .build();
    }

    async fn check_input(&self, (): ()) {
        let what = "the activity failed";
        let failure = self.0.in_history(what, |event| match event {
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

/// The cancellation has been requested: otherwise the server takes no such report.
pub(super) struct ReportCancellation(Parked);

impl Case for ReportCancellation {
    type Operation = client::ReportAsyncActivityCancellation;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        let parked = Parked::arrange(given).await;
        parked
            .workflow
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
        let requested = parked.in_history("the cancellation of the activity", |event| {
            matches!(
                event,
                Attributes::ActivityTaskCancelRequestedEventAttributes(_)
            )
            .then_some(())
        });
        requested.await;
        Self(parked)
    }

    fn target(&self) -> Target<'_> {
        self.0.target()
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        let (handle, details) = (self.0.handle(client), "the caller's".to_owned());
        handle
            .report_cancelation(Some(details), RpcOptions::default())
            .await
    }

    async fn trace(&self) -> String {
        self.0.trace().await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let details = input.details_mut::<String>().unwrap();
        assert_eq!(details, "the caller's");
        *details = "the layer's".to_owned();
    }

    async fn check_input(&self, (): ()) {
        let details = self
            .0
            .in_history("the activity is cancelled", |event| match event {
                Attributes::ActivityTaskCanceledEventAttributes(canceled) => {
                    Some(json(&canceled.details))
                }
                _ => None,
            });
        assert_eq!(details.await, [r#""the layer's""#]);
    }
}

pub(super) struct Heartbeat(Parked);

impl Case for Heartbeat {
    type Operation = client::HeartbeatAsyncActivity;
    type Answer = ActivityHeartbeatResponse;
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        Self(Parked::arrange(given).await)
    }

    fn target(&self) -> Target<'_> {
        self.0.target()
    }

    async fn call(&self, client: &Client) -> Result<ActivityHeartbeatResponse, ErrorOf<Self>> {
        let (handle, details) = (self.0.handle(client), "the caller's".to_owned());
        handle.heartbeat(Some(details), RpcOptions::default()).await
    }

    async fn trace(&self) -> String {
        self.0.trace().await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.details_ref::<String>().unwrap(), "the caller's");
        input.replace_details(Some("the layer's"));
    }

    async fn check_input(&self, _: ActivityHeartbeatResponse) {
        let details = eventually("the heartbeat's details", async || {
            let details = json(&self.0.pending().await?.heartbeat_details);
            (!details.is_empty()).then_some(details)
        });
        assert_eq!(details.await, [r#""the layer's""#]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        assert!(!output.cancel_requested, "nobody asked for it");
        output.cancel_requested = true;
    }

    async fn check_output(&self, answer: ActivityHeartbeatResponse) {
        assert!(answer.cancel_requested);
    }
}

/// The same, by the token that the activity itself was given.
pub(super) struct CompleteByToken(Parked);

impl Case for CompleteByToken {
    type Operation = client::CompleteAsyncActivity;
    type Answer = ();
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        Self(Parked::arrange(given).await)
    }

    /// The token is opaque.
    fn target(&self) -> Target<'_> {
        Target::new()
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        let id = ActivityIdentifier::from_task_token(self.0.token.clone().into());
        let (handle, result) = (client.get_async_activity_handle(id), "by token".to_owned());
        handle.complete(Some(result), RpcOptions::default()).await
    }

    async fn trace(&self) -> String {
        self.0.trace().await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.replace_result(Some("the layer's"));
    }

    async fn check_input(&self, (): ()) {
        let result = self
            .0
            .workflow
            .get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), "the layer's");
    }
}
