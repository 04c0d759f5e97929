//! Calls about updates of workflows.

use super::{
    Case, InputOf, Outcome, OutputOf, Subject,
    workflows::{Absent, Running, second, started_with},
};
use crate::fixtures::Basket;
use temporalio_client::{
    Client, HasArgs, RpcOptions, WorkflowExecuteUpdateOptions, WorkflowIdConflictPolicy,
    WorkflowStartUpdateOptions, WorkflowUpdateHandle, WorkflowUpdateWithStartOptions,
};
use temporalio_common::protos::temporal::api::update::v1::outcome::Value;
use tower_temporal::{Target, client};

type Handle = WorkflowUpdateHandle<Client, String>;

pub(super) struct Start;

impl Case for Start {
    type Operation = client::StartWorkflowUpdate;
    type Subject = Running;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    fn target(workflow: &Running) -> Target<'_> {
        Target {
            name: Some("put"),
            update_id: Some("the-update"),
            ..workflow.target()
        }
    }

    async fn call(workflow: &Running, client: &Client) -> Outcome<Self> {
        workflow
            .handle(client)
            .start_update(
                Basket::put,
                "apple".to_owned(),
                WorkflowStartUpdateOptions::builder()
                    .update_id("the-update".to_owned())
                    .build(),
            )
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let item = input.args_mut::<String>().unwrap();
        assert_eq!(item, "apple");
        *item = "pear".to_owned();
    }

    async fn check_input(_: &Running, answer: Handle) {
        let result = answer.get_result(RpcOptions::default()).await.unwrap();
        assert_eq!(result, "pear of alice");
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.update_id = "another-update".to_owned();
    }

    async fn check_output(_: &Running, answer: Handle) {
        assert_eq!(answer.id(), "another-update");
    }
}

pub(super) struct WithStart;

impl Case for WithStart {
    type Operation = client::UpdateWithStartWorkflow;
    type Subject = Absent;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    fn target(workflow: &Absent) -> Target<'_> {
        Target {
            name: Some("put"),
            ..workflow.target()
        }
    }

    async fn call(workflow: &Absent, client: &Client) -> Outcome<Self> {
        let Absent { queue, id, .. } = workflow;
        let (owner, item) = ("alice".to_owned(), "apple".to_owned());
        let policy = WorkflowIdConflictPolicy::Fail;
        let options = WorkflowUpdateWithStartOptions::new(queue, id, policy).build();
        client
            .start_update_with_start_workflow(Basket::run, owner, Basket::put, item, options)
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.update_args_ref::<String>().unwrap(), "apple");
        *input.workflow_args_mut::<String>().unwrap() = "bob".to_owned();
        input.replace_update_args("pear");
    }

    async fn check_input(workflow: &Absent, answer: Handle) {
        let started = started_with(&workflow.client, &workflow.id).await;
        assert_eq!(started, [r#""bob""#]);
        let result = answer.get_result(RpcOptions::default()).await.unwrap();
        assert_eq!(result, "pear of bob");
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.update_id = "another-update".to_owned();
    }

    async fn check_output(_: &Absent, answer: Handle) {
        assert_eq!(answer.id(), "another-update");
    }
}

pub(super) struct Poll;

impl Poll {
    /// The update that is called for. There is a second one too.
    const UPDATE: &str = "the-first";
}

impl Case for Poll {
    type Operation = client::PollWorkflowUpdate;
    type Subject = Running;
    type Answer = String;
    const NEEDS_WORKER: bool = true;
    const CHANGES: bool = false;

    async fn prepare(workflow: &Running) {
        let handle = workflow.handle(&workflow.client);
        let (first, second) = (Self::UPDATE.to_owned(), second(Self::UPDATE));
        for (id, item) in [(first, "apple"), (second, "pear")] {
            let options = WorkflowExecuteUpdateOptions::builder()
                .update_id(id)
                .build();
            let update = handle.execute_update(Basket::put, item.to_owned(), options);
            update.await.unwrap();
        }
    }

    fn target(workflow: &Running) -> Target<'_> {
        Target {
            update_id: Some(Self::UPDATE),
            ..workflow.target()
        }
    }

    async fn call(workflow: &Running, client: &Client) -> Outcome<Self> {
        workflow
            .handle(client)
            .get_update_handle(Basket::put, Self::UPDATE)
            .get_result(RpcOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.update_id = second(&input.update_id);
    }

    async fn check_input(_: &Running, answer: String) {
        assert_eq!(answer, "pear of alice");
    }

    fn change_output(output: &mut OutputOf<Self>) {
        let Some(Value::Success(result)) = &mut output.outcome.value else {
            panic!(
                "the update succeeded, but its outcome is {:?}",
                output.outcome
            );
        };
        result.payloads[0].data = br#""plum of a layer""#.to_vec();
    }

    async fn check_output(_: &Running, answer: String) {
        assert_eq!(answer, "plum of a layer");
    }
}
