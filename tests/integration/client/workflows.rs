//! Calls about workflows: to start, find, signal, query and end them.

use super::{Case, Given, InputOf, Outcome, OutputOf, Subject};
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

/// Whether there is such a workflow.
async fn exists(client: &Client, id: &str) -> bool {
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

/// What the workflow says is in the basket.
async fn items(client: &Client, id: &str) -> Vec<String> {
    client
        .get_workflow_handle::<Basket>(id)
        .query(Basket::items, String::new(), Default::default())
        .await
        .unwrap()
}

fn with_id(id: &str) -> String {
    format!("WorkflowId = '{id}'")
}

/// What a layer makes of the name of the first of two.
pub(super) fn second(first: &str) -> String {
    assert!(first.contains("-first"), "`{first}` is of the first of two");
    first.replace("-first", "-second")
}

/// A workflow that is not there yet.
pub(super) struct Absent {
    pub(super) client: Client,
    pub(super) queue: String,
    pub(super) id: String,
}

impl Subject for Absent {
    async fn arrange(given: Given) -> Self {
        let Given {
            client, id, queue, ..
        } = given;
        Self { client, queue, id }
    }

    fn target(&self) -> Target<'_> {
        Target {
            task_queue: Some(&self.queue),
            ..Target::workflow(Some("Basket"), Some(&self.id))
        }
    }

    async fn trace(&self) -> String {
        exists(&self.client, &self.id).await.to_string()
    }
}

/// A workflow that was started.
pub(super) struct Running {
    pub(super) client: Client,
    pub(super) id: String,
}

impl Subject for Running {
    async fn arrange(given: Given) -> Self {
        let Given {
            client, id, queue, ..
        } = given;
        start(&client, &queue, &id).await;
        Self { client, id }
    }

    fn target(&self) -> Target<'_> {
        Target::workflow(None, Some(&self.id))
    }

    /// What came to the workflow, as opposed to what a worker made of it.
    async fn trace(&self) -> String {
        let events = history(&self.client, &self.id).await;
        let events = events.iter().map(|event| event.event_type().as_str_name());
        let events = events.filter(|name| !name.contains("WORKFLOW_TASK"));
        events.collect::<Vec<_>>().join(" ")
    }
}

impl Running {
    /// The workflow, as `client` has it.
    pub(super) fn handle(&self, client: &Client) -> WorkflowHandle<Client, Basket> {
        client.get_workflow_handle(&self.id)
    }
}

/// Two workflows: one that is called for, and one that a layer calls for instead.
pub(super) struct Two {
    client: Client,
    first: String,
    second: String,
}

impl Subject for Two {
    async fn arrange(given: Given) -> Self {
        let Given {
            client, id, queue, ..
        } = given;
        let (first, second) = (format!("{id}-first"), format!("{id}-second"));
        for id in [&first, &second] {
            start(&client, &queue, id).await;
        }
        Self {
            client,
            first,
            second,
        }
    }

    fn target(&self) -> Target<'_> {
        Target::workflow(None, Some(&self.first))
    }
}

impl Two {
    /// Waits until both can be found.
    async fn visible(&self) {
        for id in [&self.first, &self.second] {
            eventually("the workflow is found", async || {
                let count = self.client.count_workflows(with_id(id), Default::default());
                (count.await.unwrap().count() == 1).then_some(())
            })
            .await;
        }
    }

    /// The first, as `client` has it.
    fn handle(&self, client: &Client) -> WorkflowHandle<Client, Basket> {
        client.get_workflow_handle(&self.first)
    }
}

pub(super) struct Start;

impl Case for Start {
    type Operation = client::StartWorkflow;
    type Subject = Absent;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;

    async fn call(workflow: &Absent, client: &Client) -> Outcome<Self> {
        let options = WorkflowStartOptions::new(&workflow.queue, &workflow.id).build();
        client
            .start_workflow(Basket::run, "alice".to_owned(), options)
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.args_ref::<String>().unwrap(), "alice");
        input.replace_args("bob");
        let mut memo = MemoValues::new();
        memo.insert("from", "a layer".to_owned());
        input.options.memo = Some(memo);
        input.options.workflow_id.push_str("-changed");
    }

    async fn check_input(workflow: &Absent, answer: Handle) {
        let id = format!("{}-changed", workflow.id);
        assert_eq!(
            answer.info().workflow_id,
            id,
            "the handle is of what was started"
        );
        assert_eq!(started_with(&workflow.client, &id).await, [r#""bob""#]);
        let handle = workflow.client.get_workflow_handle::<Basket>(id);
        let description = handle.describe(Default::default()).await.unwrap();
        let memo = description.memo().get::<String>("from").unwrap();
        assert_eq!(memo.as_deref(), Some("a layer"));
        assert!(
            !exists(&workflow.client, &workflow.id).await,
            "only the changed one"
        );
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.workflow_id = "another-workflow".to_owned();
        output.run_id = "another-run".to_owned();
    }

    async fn check_output(_: &Absent, answer: Handle) {
        assert_eq!(answer.info().workflow_id, "another-workflow");
        assert_eq!(answer.run_id(), Some("another-run"));
    }
}

pub(super) struct SignalWithStart;

impl Case for SignalWithStart {
    type Operation = client::SignalWithStartWorkflow;
    type Subject = Absent;
    type Answer = Handle;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    fn target(workflow: &Absent) -> Target<'_> {
        Target {
            name: Some("add"),
            ..workflow.target()
        }
    }

    async fn call(workflow: &Absent, client: &Client) -> Outcome<Self> {
        let (owner, item) = ("alice".to_owned(), "apple".to_owned());
        let options = WorkflowStartOptions::new(&workflow.queue, &workflow.id).build();
        client
            .signal_with_start_workflow(Basket::run, owner, Basket::add, item, options)
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.signal_args_ref::<String>().unwrap(), "apple");
        *input.workflow_args_mut::<String>().unwrap() = "bob".to_owned();
        input.replace_signal_args("pear");
    }

    async fn check_input(workflow: &Absent, _: Handle) {
        let started = started_with(&workflow.client, &workflow.id).await;
        assert_eq!(started, [r#""bob""#]);
        assert_eq!(items(&workflow.client, &workflow.id).await, ["pear"]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.run_id = "another-run".to_owned();
    }

    async fn check_output(_: &Absent, answer: Handle) {
        assert_eq!(answer.run_id(), Some("another-run"));
    }
}

pub(super) struct List;

impl Case for List {
    type Operation = client::ListWorkflowsPage;
    type Subject = Two;
    type Answer = Vec<String>;
    const CHANGES: bool = false;

    async fn prepare(two: &Two) {
        two.visible().await;
    }

    fn target(_: &Two) -> Target<'_> {
        Target::new()
    }

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        client
            .list_workflows(with_id(&two.first), WorkflowListOptions::default())
            .map_ok(|workflow| workflow.id().to_owned())
            .try_collect()
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.query = second(&input.query);
    }

    async fn check_input(two: &Two, answer: Vec<String>) {
        assert_eq!(answer, [two.second.as_str()]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        for workflow in &mut output.executions {
            workflow.execution.as_mut().unwrap().workflow_id = "another-workflow".to_owned();
        }
    }

    async fn check_output(_: &Two, answer: Vec<String>) {
        assert_eq!(answer, ["another-workflow"]);
    }
}

pub(super) struct Count;

impl Case for Count {
    type Operation = client::CountWorkflows;
    type Subject = Two;
    type Answer = WorkflowExecutionCount;
    const CHANGES: bool = false;

    async fn prepare(two: &Two) {
        two.visible().await;
    }

    fn target(_: &Two) -> Target<'_> {
        Target::new()
    }

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        let options = WorkflowCountOptions::default();
        client.count_workflows(with_id(&two.first), options).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let other = second(&input.query);
        input.query = format!("{} OR {other}", input.query);
    }

    async fn check_input(_: &Two, answer: WorkflowExecutionCount) {
        assert_eq!(answer.count(), 2);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.response.count += 41;
    }

    async fn check_output(_: &Two, answer: WorkflowExecutionCount) {
        assert_eq!(answer.count(), 42);
    }
}

pub(super) struct Describe;

impl Case for Describe {
    type Operation = client::DescribeWorkflow;
    type Subject = Two;
    type Answer = WorkflowExecutionDescription;
    const CHANGES: bool = false;

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        two.handle(client)
            .describe(WorkflowDescribeOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.workflow_id = second(&input.workflow_id);
    }

    async fn check_input(two: &Two, answer: WorkflowExecutionDescription) {
        assert_eq!(answer.id(), two.second);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        let info = output.response.workflow_execution_info.as_mut().unwrap();
        info.history_length = 4711;
    }

    async fn check_output(two: &Two, answer: WorkflowExecutionDescription) {
        assert_eq!(answer.id(), two.first);
        assert_eq!(answer.history_length(), 4711);
    }
}

pub(super) struct FetchHistory;

impl Case for FetchHistory {
    type Operation = client::FetchWorkflowHistoryPage;
    type Subject = Two;
    type Answer = Vec<HistoryEvent>;
    const CHANGES: bool = false;

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        two.handle(client)
            .fetch_history(WorkflowFetchHistoryOptions::default())
            .into_events()
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.workflow_id = second(&input.workflow_id);
    }

    async fn check_input(two: &Two, answer: Vec<HistoryEvent>) {
        let started = answer.iter().find_map(|event| match &event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => Some(started),
            _ => None,
        });
        assert_eq!(started.unwrap().workflow_id, two.second);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.events.truncate(1);
        output.events[0].event_id = 4711;
    }

    async fn check_output(_: &Two, answer: Vec<HistoryEvent>) {
        let ids: Vec<_> = answer.iter().map(|event| event.event_id).collect();
        assert_eq!(ids, [4711]);
    }
}

pub(super) struct Signal;

impl Case for Signal {
    type Operation = client::SignalWorkflow;
    type Subject = Running;
    type Answer = ();
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;

    fn target(workflow: &Running) -> Target<'_> {
        Target {
            name: Some("add"),
            ..workflow.target()
        }
    }

    async fn call(workflow: &Running, client: &Client) -> Outcome<Self> {
        workflow
            .handle(client)
            .signal(
                Basket::add,
                "apple".to_owned(),
                WorkflowSignalOptions::default(),
            )
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        let item = input.args_mut::<String>().unwrap();
        assert_eq!(item, "apple");
        *item = "pear".to_owned();
    }

    async fn check_input(workflow: &Running, (): ()) {
        assert_eq!(items(&workflow.client, &workflow.id).await, ["pear"]);
    }
}

pub(super) struct Query;

impl Case for Query {
    type Operation = client::QueryWorkflow;
    type Subject = Running;
    type Answer = Vec<String>;
    const CARRIES_HEADERS: bool = true;
    const NEEDS_WORKER: bool = true;
    const CHANGES: bool = false;

    /// Signals, and waits until they are handled: beside a task, the server has them in no history yet.
    async fn prepare(workflow: &Running) {
        let handle = workflow.handle(&workflow.client);
        for item in ["apple", "pear"] {
            let options = WorkflowSignalOptions::default();
            handle
                .signal(Basket::add, item.to_owned(), options)
                .await
                .unwrap();
        }
        eventually("both signals are handled", async || {
            let items = items(&workflow.client, &workflow.id).await;
            (items == ["apple", "pear"]).then_some(())
        })
        .await;
    }

    fn target(workflow: &Running) -> Target<'_> {
        Target {
            name: Some("items"),
            ..workflow.target()
        }
    }

    async fn call(workflow: &Running, client: &Client) -> Outcome<Self> {
        workflow
            .handle(client)
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

    async fn check_input(_: &Running, answer: Vec<String>) {
        assert_eq!(answer, ["pear"]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        let result = output.response.query_result.as_mut().unwrap();
        result.payloads[0].data = br#"["plum"]"#.to_vec();
    }

    async fn check_output(_: &Running, answer: Vec<String>) {
        assert_eq!(answer, ["plum"]);
    }
}

pub(super) struct Cancel;

impl Case for Cancel {
    type Operation = client::CancelWorkflow;
    type Subject = Running;
    type Answer = ();

    async fn call(workflow: &Running, client: &Client) -> Outcome<Self> {
        let options = WorkflowCancelOptions::builder()
            .reason("the caller's")
            .build();
        workflow.handle(client).cancel(options).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.options.reason, "the caller's");
        input.options.reason = "the layer's".to_owned();
    }

    async fn check_input(workflow: &Running, (): ()) {
        let Running { client, id } = workflow;
        let reason = in_history(client, id, "the cancellation", |event| match event {
            Attributes::WorkflowExecutionCancelRequestedEventAttributes(requested) => {
                Some(requested.cause.clone())
            }
            _ => None,
        });
        assert_eq!(reason.await, "the layer's");
    }
}

pub(super) struct Terminate;

impl Case for Terminate {
    type Operation = client::TerminateWorkflow;
    type Subject = Running;
    type Answer = ();

    async fn call(workflow: &Running, client: &Client) -> Outcome<Self> {
        let options = WorkflowTerminateOptions::builder()
            .reason("the caller's")
            .build();
        workflow.handle(client).terminate(options).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.options.reason, "the caller's");
        input.options.reason = "the layer's".to_owned();
    }

    async fn check_input(workflow: &Running, (): ()) {
        let Running { client, id } = workflow;
        let reason = in_history(client, id, "the termination", |event| match event {
            Attributes::WorkflowExecutionTerminatedEventAttributes(terminated) => {
                Some(terminated.reason.clone())
            }
            _ => None,
        });
        assert_eq!(reason.await, "the layer's");
    }
}
