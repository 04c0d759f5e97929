//! Calls about updates of workflows.

use super::{
    Case, ErrorOf, Given, InputOf, OutputOf,
    workflows::{arrived, exists, second, start, started_with},
};
use crate::fixtures::Basket;
use temporalio_client::{
    Client, HasArgs, RpcOptions, WorkflowExecuteUpdateOptions, WorkflowIdConflictPolicy,
    WorkflowStartUpdateOptions, WorkflowUpdateHandle, WorkflowUpdateWithStartOptions,
};
use temporalio_common::protos::temporal::api::update::v1::outcome::Value;
use tower_temporal::{Target, client};

type Handle = WorkflowUpdateHandle<Client, String>;

pub(super) struct Start {
    given: Given,
}

impl Case for Start {
    type Operation = client::StartWorkflowUpdate;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        start(&given.client, &given.queue, &given.id).await;
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target {
            name: Some("put"),
            update_id: Some("the-update"),
            ..Target::workflow(None, Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<Handle, ErrorOf<Self>> {
        client
            .get_workflow_handle::<Basket>(&self.given.id)
            .start_update(
                Basket::put,
                "apple".to_owned(),
                WorkflowStartUpdateOptions::builder()
                    .update_id("the-update".to_owned())
                    .build(),
            )
            .await
    }

    async fn trace(&self) -> String {
        arrived(&self.given.client, &self.given.id).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let item = input.args_mut::<String>().unwrap();
        assert_eq!(item, "apple");
        *item = "pear".to_owned();
    }

    async fn check_input(&self, answer: Handle) {
        let result = answer.get_result(RpcOptions::default()).await.unwrap();
        assert_eq!(result, "pear of alice");
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.update_id = "another-update".to_owned();
    }

    async fn check_output(&self, answer: Handle) {
        assert_eq!(answer.id(), "another-update");
    }
}

pub(super) struct WithStart {
    given: Given,
}

impl Case for WithStart {
    type Operation = client::UpdateWithStartWorkflow;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target {
            name: Some("put"),
            task_queue: Some(&self.given.queue),
            ..Target::workflow(Some("Basket"), Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<Handle, ErrorOf<Self>> {
        let Given { queue, id, .. } = &self.given;
        let (owner, item) = ("alice".to_owned(), "apple".to_owned());
        let policy = WorkflowIdConflictPolicy::Fail;
        let options = WorkflowUpdateWithStartOptions::new(queue, id, policy).build();
        client
            .start_update_with_start_workflow(Basket::run, owner, Basket::put, item, options)
            .await
    }

    async fn trace(&self) -> String {
        exists(&self.given.client, &self.given.id).await.to_string()
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.update_args_ref::<String>().unwrap(), "apple");
        *input.workflow_args_mut::<String>().unwrap() = "bob".to_owned();
        input.replace_update_args("pear");
    }

    async fn check_input(&self, answer: Handle) {
        let started = started_with(&self.given.client, &self.given.id).await;
        assert_eq!(started, [r#""bob""#]);
        let result = answer.get_result(RpcOptions::default()).await.unwrap();
        assert_eq!(result, "pear of bob");
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.update_id = "another-update".to_owned();
    }

    async fn check_output(&self, answer: Handle) {
        assert_eq!(answer.id(), "another-update");
    }
}

pub(super) struct Poll {
    given: Given,
    update_id: String,
}

impl Case for Poll {
    type Operation = client::PollWorkflowUpdate;
    type Answer = String;
    const NEEDS_WORKER: bool = true;
    const CHANGES: bool = false;

    async fn arrange(given: Given) -> Self {
        let handle = start(&given.client, &given.queue, &given.id).await;
        let update_id = "the-first".to_owned();
        for (id, item) in [(update_id.clone(), "apple"), (second(&update_id), "pear")] {
            let options = WorkflowExecuteUpdateOptions::builder()
                .update_id(id)
                .build();
            let update = handle.execute_update(Basket::put, item.to_owned(), options);
            update.await.unwrap();
        }
        Self { given, update_id }
    }

    fn target(&self) -> Target<'_> {
        Target {
            update_id: Some(&self.update_id),
            ..Target::workflow(None, Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<String, ErrorOf<Self>> {
        client
            .get_workflow_handle::<Basket>(&self.given.id)
            .get_update_handle(Basket::put, &self.update_id)
            .get_result(RpcOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.update_id = second(&input.update_id);
    }

    async fn check_input(&self, answer: String) {
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

    async fn check_output(&self, answer: String) {
        assert_eq!(answer, "plum of a layer");
    }
}
