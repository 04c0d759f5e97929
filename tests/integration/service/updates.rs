//! Calls about updates.

use super::Api;
use crate::{
    fixtures::{self, Basket},
    support::{unique, with_worker},
};
use temporalio_client::{
    WorkflowIdConflictPolicy, WorkflowUpdateWithStartOptions, errors::WorkflowUpdateError,
};
use tower_temporal::client::service::{
    ExecuteUpdateWithStartWorkflow, ExecuteWorkflowUpdate, GetWorkflowUpdateResult, QueryWorkflow,
    StartUpdateWithStartWorkflow, StartWorkflowUpdate,
};

pub(super) const CALLS: &[&str] = &[
    "start_workflow_update",
    "execute_workflow_update",
    "get_workflow_update_result",
    "start_update_with_start_workflow",
    "execute_update_with_start_workflow",
];

#[tokio::test]
async fn every_call_about_updates() {
    let api = Api::new().await;
    let queue = unique("service-updates");
    let worker = fixtures::worker(&queue, async |_, input| Ok(input));
    with_worker(api.client(), worker, async {
        let new = format!("{queue}-new");
        let with_start = || {
            let policy = WorkflowIdConflictPolicy::UseExisting;
            WorkflowUpdateWithStartOptions::new(&queue, &new, policy).build()
        };
        let put = |item: &str| {
            let owner = "alice".to_owned();
            StartUpdateWithStartWorkflow::new(
                Basket::run,
                owner,
                Basket::put,
                item.to_owned(),
                with_start(),
            )
        };
        let started = api.call(put("fig")).await.unwrap();
        let outcome = started.get_result(Default::default()).await.unwrap();
        assert_eq!(outcome, "fig of alice");
        let put = |item: &str| {
            let owner = "bob".to_owned();
            ExecuteUpdateWithStartWorkflow::new(
                Basket::run,
                owner,
                Basket::put,
                item.to_owned(),
                with_start(),
            )
        };
        // It runs already, so it is still alice's.
        assert_eq!(api.call(put("date")).await.unwrap(), "date of alice");
        // Where none runs, one is started.
        let policy = WorkflowIdConflictPolicy::Fail;
        let bobs = format!("{queue}-bob");
        let options = WorkflowUpdateWithStartOptions::new(&queue, bobs, policy).build();
        let (bob, nut) = ("bob".to_owned(), "nut".to_owned());
        let put = ExecuteUpdateWithStartWorkflow::new(Basket::run, bob, Basket::put, nut, options);
        assert_eq!(api.call(put).await.unwrap(), "nut of bob");

        let put = |item: &str| {
            ExecuteWorkflowUpdate::new(&new, Basket::put, item.to_owned(), Default::default())
        };
        let kiwi = put("kiwi");
        assert_eq!(api.call(kiwi.clone()).await.unwrap(), "kiwi of alice");
        // The clone is the same update to the server.
        assert_eq!(api.call(kiwi).await.unwrap(), "kiwi of alice");
        match api.call(put("")).await {
            Err(WorkflowUpdateError::Failed(failure)) => {
                assert_eq!(failure.message, "an item has a name");
            }
            other => panic!("the update is refused: {other:?}"),
        }

        let lime =
            StartWorkflowUpdate::new(&new, Basket::put, "lime".to_owned(), Default::default());
        let id = lime.options.update_id.clone().expect("it was given one");
        assert_eq!(api.call(lime).await.unwrap().id(), id);
        let result = GetWorkflowUpdateResult::new(&new, Basket::put, &id, Default::default());
        assert_eq!(api.call(result).await.unwrap(), "lime of alice");

        api.assert_called(CALLS);
        let items = QueryWorkflow::new(&new, Basket::items, String::new(), Default::default());
        let items = api.call(items).await.unwrap();
        assert_eq!(items, ["fig", "date", "kiwi", "lime"]);
    })
    .await;
}
