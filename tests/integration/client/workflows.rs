//! Calls about workflows: to start, find, signal, query and end them.

use super::{Case, ErrorOf, Given, InputOf, OutputOf};
use crate::{
    fixtures::Basket,
    support::{eventually, history, in_history, json},
};
use futures::TryStreamExt;
use temporalio_client::{
    Client, HasArgs, WorkflowCancelOptions, WorkflowCountOptions, WorkflowDescribeOptions,
    WorkflowExecutionCount, WorkflowExecutionDescription, WorkflowFetchHistoryOptions,
    WorkflowHandle, WorkflowListOptions, WorkflowQueryOptions, WorkflowSignalOptions,
    WorkflowStartOptions, WorkflowTerminateOptions, errors::WorkflowInteractionError,
};
use temporalio_common::{
    HasWorkflowDefinition, MemoValues,
    protos::temporal::api::history::v1::{HistoryEvent, history_event::Attributes},
};
use tower_temporal::{Target, client};

/// A workflow's handle.
pub(super) type Handle = WorkflowHandle<Client, <Basket as HasWorkflowDefinition>::Run>;

/// Starts a basket of `alice`'s.
pub(super) async fn start(client: &Client, queue: &str, id: &str) -> Handle {
    let options = WorkflowStartOptions::new(queue, id).build();
    client
        .start_workflow(Basket::run, "alice".to_owned(), options)
        .await
        .unwrap()
}

/// What came to a workflow, as opposed to what a worker made of it.
pub(super) async fn arrived(client: &Client, id: &str) -> String {
    let events = history(client, id).await;
    let events = events.iter().map(|event| event.event_type().as_str_name());
    let events = events.filter(|name| !name.contains("WORKFLOW_TASK"));
    events.collect::<Vec<_>>().join(" ")
}

/// Whether there is such a workflow.
pub(super) async fn exists(client: &Client, id: &str) -> bool {
    let handle = client.get_workflow_handle::<Basket>(id);
    match handle.describe(WorkflowDescribeOptions::default()).await {
        Ok(_) => true,
        Err(WorkflowInteractionError::NotFound(_)) => false,
        Err(error) => panic!("can't tell whether there is `{id}`: {error:?}"),
    }
}

/// The argument that a workflow was started with, as JSON.
pub(super) async fn started_with(client: &Client, id: &str) -> Vec<String> {
    in_history(client, id, "the workflow is started", |event| match event {
        Attributes::WorkflowExecutionStartedEventAttributes(started) => Some(json(&started.input)),
        _ => None,
    })
    .await
}

pub(super) struct Start {
    given: Given,
}

impl Case for Start {
    type Operation = client::StartWorkflow;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;

    async fn arrange(given: Given) -> Self {
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target {
            task_queue: Some(&self.given.queue),
            ..Target::workflow(Some("Basket"), Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<Handle, ErrorOf<Self>> {
        let options = WorkflowStartOptions::new(&self.given.queue, &self.given.id).build();
        client
            .start_workflow(Basket::run, "alice".to_owned(), options)
            .await
    }

    async fn trace(&self) -> String {
        exists(&self.given.client, &self.given.id).await.to_string()
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.args_ref::<String>().unwrap(), "alice");
        input.replace_args("bob");
        let mut memo = MemoValues::new();
        memo.insert("from", "a layer".to_owned());
        input.options.memo = Some(memo);
        input.options.workflow_id.push_str("-changed");
    }

    async fn check_input(&self, answer: Handle) {
        let id = format!("{}-changed", self.given.id);
        assert_eq!(
            answer.info().workflow_id,
            id,
            "the handle is of what was started"
        );
        assert_eq!(started_with(&self.given.client, &id).await, [r#""bob""#]);
        let handle = self.given.client.get_workflow_handle::<Basket>(id);
        let description = handle.describe(Default::default()).await.unwrap();
        let memo = description.memo().get::<String>("from").unwrap();
        assert_eq!(memo.as_deref(), Some("a layer"));
        assert!(
            !exists(&self.given.client, &self.given.id).await,
            "only the changed one"
        );
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.workflow_id = "another-workflow".to_owned();
        output.run_id = "another-run".to_owned();
    }

    async fn check_output(&self, answer: Handle) {
        assert_eq!(answer.info().workflow_id, "another-workflow");
        assert_eq!(answer.run_id(), Some("another-run"));
    }
}

pub(super) struct SignalWithStart {
    given: Given,
}

impl Case for SignalWithStart {
    type Operation = client::SignalWithStartWorkflow;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target {
            name: Some("add"),
            task_queue: Some(&self.given.queue),
            ..Target::workflow(Some("Basket"), Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<Handle, ErrorOf<Self>> {
        let (owner, item) = ("alice".to_owned(), "apple".to_owned());
        let options = WorkflowStartOptions::new(&self.given.queue, &self.given.id).build();
        client
            .signal_with_start_workflow(Basket::run, owner, Basket::add, item, options)
            .await
    }

    async fn trace(&self) -> String {
        exists(&self.given.client, &self.given.id).await.to_string()
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.signal_args_ref::<String>().unwrap(), "apple");
        *input.workflow_args_mut::<String>().unwrap() = "bob".to_owned();
        input.replace_signal_args("pear");
    }

    async fn check_input(&self, _: Handle) {
        let started = started_with(&self.given.client, &self.given.id).await;
        assert_eq!(started, [r#""bob""#]);
        assert_eq!(items(&self.given, "").await, ["pear"]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.run_id = "another-run".to_owned();
    }

    async fn check_output(&self, answer: Handle) {
        assert_eq!(answer.run_id(), Some("another-run"));
    }
}

/// What the workflow says is in the basket.
async fn items(given: &Given, prefix: &str) -> Vec<String> {
    given
        .client
        .get_workflow_handle::<Basket>(&given.id)
        .query(Basket::items, prefix.to_owned(), Default::default())
        .await
        .unwrap()
}

/// Two workflows: one that is called for, and one that a layer calls for instead.
struct Two {
    given: Given,
    first: String,
    second: String,
}

impl Two {
    async fn arrange(given: Given) -> Self {
        let first = format!("{}-first", given.id);
        let second = format!("{}-second", given.id);
        for id in [&first, &second] {
            start(&given.client, &given.queue, id).await;
        }
        Self {
            given,
            first,
            second,
        }
    }

    /// Waits until both can be found.
    async fn visible(self) -> Self {
        for id in [&self.first, &self.second] {
            eventually("the workflow is found", async || {
                let count = self
                    .given
                    .client
                    .count_workflows(with_id(id), Default::default());
                (count.await.unwrap().count() == 1).then_some(())
            })
            .await;
        }
        self
    }
}

/// What a layer makes of the name of the first of two.
pub(super) fn second(first: &str) -> String {
    assert!(first.contains("-first"), "`{first}` is of the first of two");
    first.replace("-first", "-second")
}

fn with_id(id: &str) -> String {
    format!("WorkflowId = '{id}'")
}

pub(super) struct List(Two);

impl Case for List {
    type Operation = client::ListWorkflowsPage;
    type Answer = Vec<String>;
    const CHANGES: bool = false;

    async fn arrange(given: Given) -> Self {
        Self(Two::arrange(given).await.visible().await)
    }

    fn target(&self) -> Target<'_> {
        Target::new()
    }

    async fn call(&self, client: &Client) -> Result<Vec<String>, ErrorOf<Self>> {
        client
            .list_workflows(with_id(&self.0.first), WorkflowListOptions::default())
            .map_ok(|workflow| workflow.id().to_owned())
            .try_collect()
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.query = second(&input.query);
    }

    async fn check_input(&self, answer: Vec<String>) {
        assert_eq!(answer, [self.0.second.as_str()]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        for workflow in &mut output.executions {
            workflow.execution.as_mut().unwrap().workflow_id = "another-workflow".to_owned();
        }
    }

    async fn check_output(&self, answer: Vec<String>) {
        assert_eq!(answer, ["another-workflow"]);
    }
}

pub(super) struct Count(Two);

impl Case for Count {
    type Operation = client::CountWorkflows;
    type Answer = WorkflowExecutionCount;
    const CHANGES: bool = false;

    async fn arrange(given: Given) -> Self {
        Self(Two::arrange(given).await.visible().await)
    }

    fn target(&self) -> Target<'_> {
        Target::new()
    }

    async fn call(&self, client: &Client) -> Result<WorkflowExecutionCount, ErrorOf<Self>> {
        let options = WorkflowCountOptions::default();
        client
            .count_workflows(with_id(&self.0.first), options)
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let other = second(&input.query);
        input.query = format!("{} OR {other}", input.query);
    }

    async fn check_input(&self, answer: WorkflowExecutionCount) {
        assert_eq!(answer.count(), 2);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.response.count += 41;
    }

    async fn check_output(&self, answer: WorkflowExecutionCount) {
        assert_eq!(answer.count(), 42);
    }
}

pub(super) struct Describe(Two);

impl Case for Describe {
    type Operation = client::DescribeWorkflow;
    type Answer = WorkflowExecutionDescription;
    const CHANGES: bool = false;

    async fn arrange(given: Given) -> Self {
        Self(Two::arrange(given).await)
    }

    fn target(&self) -> Target<'_> {
        Target::workflow(None, Some(&self.0.first))
    }

    async fn call(&self, client: &Client) -> Result<WorkflowExecutionDescription, ErrorOf<Self>> {
        client
            .get_workflow_handle::<Basket>(&self.0.first)
            .describe(WorkflowDescribeOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.workflow_id = second(&input.workflow_id);
    }

    async fn check_input(&self, answer: WorkflowExecutionDescription) {
        assert_eq!(answer.id(), self.0.second);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        let info = output.response.workflow_execution_info.as_mut().unwrap();
        info.history_length = 4711;
    }

    async fn check_output(&self, answer: WorkflowExecutionDescription) {
        assert_eq!(answer.id(), self.0.first);
        assert_eq!(answer.history_length(), 4711);
    }
}

pub(super) struct FetchHistory(Two);

impl Case for FetchHistory {
    type Operation = client::FetchWorkflowHistoryPage;
    type Answer = Vec<HistoryEvent>;
    const CHANGES: bool = false;

    async fn arrange(given: Given) -> Self {
        Self(Two::arrange(given).await)
    }

    fn target(&self) -> Target<'_> {
        Target::workflow(None, Some(&self.0.first))
    }

    async fn call(&self, client: &Client) -> Result<Vec<HistoryEvent>, ErrorOf<Self>> {
        client
            .get_workflow_handle::<Basket>(&self.0.first)
            .fetch_history(WorkflowFetchHistoryOptions::default())
            .into_events()
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.workflow_id = second(&input.workflow_id);
    }

    async fn check_input(&self, answer: Vec<HistoryEvent>) {
        let started = answer.iter().find_map(|event| match &event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => Some(started),
            _ => None,
        });
        assert_eq!(started.unwrap().workflow_id, self.0.second);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.events.truncate(1);
        output.events[0].event_id = 4711;
    }

    async fn check_output(&self, answer: Vec<HistoryEvent>) {
        let ids: Vec<_> = answer.iter().map(|event| event.event_id).collect();
        assert_eq!(ids, [4711]);
    }
}

pub(super) struct Signal {
    given: Given,
}

impl Case for Signal {
    type Operation = client::SignalWorkflow;
    type Answer = ();
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    async fn arrange(given: Given) -> Self {
        start(&given.client, &given.queue, &given.id).await;
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target {
            name: Some("add"),
            ..Target::workflow(None, Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        client
            .get_workflow_handle::<Basket>(&self.given.id)
            .signal(
                Basket::add,
                "apple".to_owned(),
                WorkflowSignalOptions::default(),
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

    async fn check_input(&self, (): ()) {
        assert_eq!(items(&self.given, "").await, ["pear"]);
    }
}

pub(super) struct Query {
    given: Given,
}

impl Case for Query {
    type Operation = client::QueryWorkflow;
    type Answer = Vec<String>;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;
    const CHANGES: bool = false;

    async fn arrange(given: Given) -> Self {
        let handle = start(&given.client, &given.queue, &given.id).await;
        for item in ["apple", "pear"] {
            let options = WorkflowSignalOptions::default();
            handle
                .signal(Basket::add, item.to_owned(), options)
                .await
                .unwrap();
        }
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target {
            name: Some("items"),
            ..Target::workflow(None, Some(&self.given.id))
        }
    }

    async fn call(&self, client: &Client) -> Result<Vec<String>, ErrorOf<Self>> {
        client
            .get_workflow_handle::<Basket>(&self.given.id)
            .query(
                Basket::items,
                "a".to_owned(),
                WorkflowQueryOptions::default(),
            )
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.args_ref::<String>().unwrap(), "a");
        input.replace_args("p");
    }

    async fn check_input(&self, answer: Vec<String>) {
        assert_eq!(answer, ["pear"]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        let result = output.response.query_result.as_mut().unwrap();
        result.payloads[0].data = br#"["plum"]"#.to_vec();
    }

    async fn check_output(&self, answer: Vec<String>) {
        assert_eq!(answer, ["plum"]);
    }
}

pub(super) struct Cancel {
    given: Given,
}

impl Case for Cancel {
    type Operation = client::CancelWorkflow;
    type Answer = ();

    async fn arrange(given: Given) -> Self {
        start(&given.client, &given.queue, &given.id).await;
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target::workflow(None, Some(&self.given.id))
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        let options = WorkflowCancelOptions::builder()
            .reason("the caller's")
            .build();
        let handle = client.get_workflow_handle::<Basket>(&self.given.id);
        handle.cancel(options).await
    }

    async fn trace(&self) -> String {
        arrived(&self.given.client, &self.given.id).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.options.reason, "the caller's");
        input.options.reason = "the layer's".to_owned();
    }

    async fn check_input(&self, (): ()) {
        let Given { client, id, .. } = &self.given;
        let reason = in_history(client, id, "the cancellation", |event| match event {
            Attributes::WorkflowExecutionCancelRequestedEventAttributes(requested) => {
                Some(requested.cause.clone())
            }
            _ => None,
        });
        assert_eq!(reason.await, "the layer's");
    }
}

pub(super) struct Terminate {
    given: Given,
}

impl Case for Terminate {
    type Operation = client::TerminateWorkflow;
    type Answer = ();

    async fn arrange(given: Given) -> Self {
        start(&given.client, &given.queue, &given.id).await;
        Self { given }
    }

    fn target(&self) -> Target<'_> {
        Target::workflow(None, Some(&self.given.id))
    }

    async fn call(&self, client: &Client) -> Result<(), ErrorOf<Self>> {
        let options = WorkflowTerminateOptions::builder()
            .reason("the caller's")
            .build();
        let handle = client.get_workflow_handle::<Basket>(&self.given.id);
        handle.terminate(options).await
    }

    async fn trace(&self) -> String {
        arrived(&self.given.client, &self.given.id).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.options.reason, "the caller's");
        input.options.reason = "the layer's".to_owned();
    }

    async fn check_input(&self, (): ()) {
        let Given { client, id, .. } = &self.given;
        let reason = in_history(client, id, "the termination", |event| match event {
            Attributes::WorkflowExecutionTerminatedEventAttributes(terminated) => {
                Some(terminated.reason.clone())
            }
            _ => None,
        });
        assert_eq!(reason.await, "the layer's");
    }
}
