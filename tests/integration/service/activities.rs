//! Calls about standalone activities.

use super::Api;
use crate::{
    fixtures::{self, Activities},
    support::{eventually, unique, with_worker},
};
use futures::TryStreamExt;
use std::time::Duration;
use temporalio_client::{
    ActivityExecutionInfoLike, ActivityStartOptions,
    errors::{ActivityResultError, StartActivityError},
};
use temporalio_sdk::activities::ActivityError;
use tower_temporal::client::service::{
    ActivityExecution, CancelActivity, CountActivities, DescribeActivity, GetActivityResult,
    ListActivities, StartActivity, TerminateActivity,
};

pub(super) const CALLS: &[&str] = &[
    "start_activity",
    "get_activity_result",
    "describe_activity",
    "cancel_activity",
    "terminate_activity",
    "list_activities",
    "count_activities",
];

#[tokio::test]
async fn every_call_about_standalone_activities() {
    let api = Api::new().await;
    let queue = unique("service-activities");
    let worker = fixtures::worker(&queue, async |ctx, input| {
        if input == "wait" {
            fixtures::until_cancelled(&ctx).await;
            return Err(ActivityError::cancelled());
        }
        Ok(format!("did {input}"))
    });
    let start = |id: &str, input: &str| {
        let timeout = Duration::from_secs(60);
        let options = ActivityStartOptions::with_start_to_close_timeout(&queue, id, timeout);
        let options = options.heartbeat_timeout(Duration::from_secs(10)).build();
        StartActivity::new(Activities::work, input.to_owned(), options)
    };
    let result = |id: &str| GetActivityResult::new(id, Activities::work);
    with_worker(api.client(), worker, async {
        let id = format!("{queue}-work");
        let handle = api.call(start(&id, "this")).await.unwrap();
        assert_eq!(handle.activity_id(), id);
        assert_eq!(api.call(result(&id)).await.unwrap(), "did this");
        let describe = DescribeActivity::new(&handle, Activities::work, Default::default());
        assert_eq!(api.call(describe).await.unwrap().activity_id(), id);

        let id = format!("{queue}-cancel");
        let handle = api.call(start(&id, "wait")).await.unwrap();
        match api.call(start(&id, "wait")).await.map(|_| ()) {
            Err(StartActivityError::AlreadyStarted { run_id, .. }) => {
                assert_eq!(Some(run_id.as_str()), handle.run_id());
            }
            other => panic!("it runs already: {other:?}"),
        }
        let cancel = CancelActivity::new(&handle, Default::default());
        api.call(cancel).await.unwrap();
        match api.call(result(&id)).await {
            Err(ActivityResultError::Cancelled { .. }) => {}
            other => panic!("it was cancelled: {other:?}"),
        }

        let id = format!("{queue}-terminate");
        let handle = api.call(start(&id, "wait")).await.unwrap();
        let execution = ActivityExecution::from(&handle);
        let terminate = TerminateActivity::new(execution, Default::default());
        api.call(terminate).await.unwrap();
        match api.call(result(&id)).await {
            Err(ActivityResultError::Terminated) => {}
            other => panic!("it was terminated: {other:?}"),
        }

        eventually("all three are found", async || {
            let query = format!("TaskQueue = '{queue}'");
            let count = CountActivities::new(&query, Default::default());
            let count = api.call(count).await.unwrap().count();
            let list = ListActivities::new(&query, Default::default());
            let listed = api.call(list).await.unwrap();
            let listed: Vec<_> = listed.try_collect().await.unwrap();
            (count == 3 && listed.len() == 3).then_some(())
        })
        .await;
    })
    .await;
    api.assert_called(CALLS);
}
