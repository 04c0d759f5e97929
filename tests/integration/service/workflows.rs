//! Calls about workflows.

use super::Api;
use crate::{
    fixtures::{self, Basket},
    support::{eventually, unique, with_worker},
};
use futures::TryStreamExt;
use temporalio_client::{
    WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowInteractionError, WorkflowStartError},
};
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use tower_temporal::client::service::{
    CancelWorkflow, CountWorkflows, DescribeWorkflow, Execution, FetchWorkflowHistory,
    GetWorkflowResult, ListWorkflows, QueryWorkflow, SignalWithStartWorkflow, SignalWorkflow,
    StartWorkflow, TerminateWorkflow,
};

pub(super) const CALLS: &[&str] = &[
    "start_workflow",
    "signal_with_start_workflow",
    "signal_workflow",
    "query_workflow",
    "cancel_workflow",
    "terminate_workflow",
    "describe_workflow",
    "get_workflow_result",
    "fetch_workflow_history",
    "list_workflows",
    "count_workflows",
];

#[tokio::test]
async fn every_call_about_workflows() {
    let api = Api::new().await;
    let id = unique("service");
    let queue = id.clone();
    let options = || WorkflowStartOptions::new(&queue, &id).build();
    let worker = fixtures::worker(&id, async |_, input| Ok(input));
    with_worker(api.client(), worker, async {
        let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options());
        let handle = api.call(start.clone()).await.unwrap();
        assert_eq!(handle.info().workflow_id, id);
        match api.call(start).await.map(|_| ()) {
            Err(WorkflowStartError::AlreadyStarted { run_id, .. }) => {
                assert_eq!(run_id.as_deref(), handle.run_id());
            }
            other => panic!("it runs already: {other:?}"),
        }

        // By handle, and by id.
        let add = |item: &str| {
            SignalWorkflow::new(&handle, Basket::add, item.to_owned(), Default::default())
        };
        let apple = add("apple");
        api.call(apple.clone()).await.unwrap();
        // The clone is the same signal to the server.
        api.call(apple).await.unwrap();
        api.call(add("pear")).await.unwrap();

        let mut and_start = options();
        and_start.id_conflict_policy = WorkflowIdConflictPolicy::UseExisting;
        let plum = SignalWithStartWorkflow::new(
            Basket::run,
            "bob".to_owned(),
            Basket::add,
            "plum".to_owned(),
            and_start,
        );
        assert_eq!(api.call(plum).await.unwrap().run_id(), handle.run_id());
        // Where none runs, one is started.
        let new = format!("{id}-signalled");
        let fig = SignalWithStartWorkflow::new(
            Basket::run,
            "bob".to_owned(),
            Basket::add,
            "fig".to_owned(),
            WorkflowStartOptions::new(&queue, &new).build(),
        );
        assert_eq!(api.call(fig).await.unwrap().info().workflow_id, new);
        let items = QueryWorkflow::new(&new, Basket::items, String::new(), Default::default());
        assert_eq!(api.call(items).await.unwrap(), ["fig"]);

        let query = |prefix: &str| {
            QueryWorkflow::new(
                id.as_str(),
                Basket::items,
                prefix.to_owned(),
                Default::default(),
            )
        };
        assert_eq!(
            api.call(query("")).await.unwrap(),
            ["apple", "pear", "plum"]
        );
        assert_eq!(api.call(query("p")).await.unwrap(), ["pear", "plum"]);

        let describe = || DescribeWorkflow::new(&handle, Default::default());
        let described = api.call(describe()).await.unwrap();
        assert_eq!(described.workflow_type(), "Basket");
        assert_eq!(described.status(), WorkflowExecutionStatus::Running);

        let close = SignalWorkflow::new(&id, Basket::close, (), Default::default());
        api.call(close).await.unwrap();
        let result = GetWorkflowResult::new(&handle, Basket::run, Default::default());
        assert_eq!(api.call(result).await.unwrap(), ["apple", "pear", "plum"]);

        let history = FetchWorkflowHistory::new(&handle, Default::default());
        let events: Vec<_> = api
            .call(history)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let last = events.last().map(|event| event.event_type());
        assert_eq!(last, Some(EventType::WorkflowExecutionCompleted));

        eventually("the workflow is found", async || {
            let query = format!("WorkflowId = '{id}' AND ExecutionStatus = 'Completed'");
            let count = CountWorkflows::new(&query, Default::default());
            let count = api.call(count).await.unwrap();
            let list = ListWorkflows::new(&query, Default::default());
            let listed = api.call(list).await.unwrap();
            let listed: Vec<_> = listed.try_collect().await.unwrap();
            let ids: Vec<_> = listed.iter().map(|workflow| workflow.id()).collect();
            (count.count() == 1 && ids == [id.as_str()]).then_some(())
        })
        .await;

        let start_as = |name: &str| {
            let id = format!("{id}-{name}");
            let options = WorkflowStartOptions::new(&queue, id).build();
            StartWorkflow::new(Basket::run, "alice".to_owned(), options)
        };
        let handle = api.call(start_as("cancelled")).await.unwrap();
        let cancel = CancelWorkflow::new(&handle, Default::default());
        api.call(cancel).await.unwrap();
        let result = GetWorkflowResult::new(&handle, Basket::run, Default::default());
        match api.call(result).await {
            Err(WorkflowGetResultError::Cancelled { .. }) => {}
            other => panic!("it was cancelled: {other:?}"),
        }
        let handle = api.call(start_as("terminated")).await.unwrap();
        let terminate = TerminateWorkflow::new(&handle, Default::default());
        api.call(terminate).await.unwrap();
        let result = GetWorkflowResult::new(&handle, Basket::run, Default::default());
        match api.call(result).await {
            Err(WorkflowGetResultError::Terminated { .. }) => {}
            other => panic!("it was terminated: {other:?}"),
        }
        let absent = Execution {
            run_id: Some("00000000-0000-0000-0000-000000000000".to_owned()),
            ..Execution::from(&handle)
        };
        match api
            .call(TerminateWorkflow::new(absent, Default::default()))
            .await
        {
            Err(WorkflowInteractionError::NotFound(_)) => {}
            other => panic!("there is no such run: {other:?}"),
        }
    })
    .await;
    api.assert_called(CALLS);
    // The client's own stack has seen them too, by the names its operations have.
    let beneath = api.beneath.operations();
    for operation in [
        "start_workflow",
        "signal_workflow",
        "fetch_workflow_history_page",
    ] {
        assert!(beneath.contains(&operation), "{operation}: {beneath:?}");
    }
}

#[tokio::test]
async fn a_request_says_what_it_is_aimed_at_and_whether_it_carries_headers() {
    let api = Api::new().await;
    let id = unique("target");
    let signal = SignalWorkflow::new(&id, Basket::add, "apple".to_owned(), Default::default());
    api.call(signal)
        .await
        .expect_err("there is no such workflow");
    let seen = api.around.seen().pop().unwrap();
    let target = tower_temporal::Target {
        name: Some("add"),
        ..tower_temporal::Target::workflow(None, Some(&id))
    };
    assert_eq!(seen.target, format!("{target:?}"));
    assert!(seen.carries_headers);
    assert_eq!(seen.category, tower_temporal::Category::ClientOutbound);
}
