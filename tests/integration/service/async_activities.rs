//! Calls about activities that are completed from outside their worker.

use super::Api;
use crate::{
    fixtures::{self, ACTIVITY_ID, Work},
    support::{unique, with_worker},
};
use temporalio_client::{
    ActivityIdentifier, WorkflowStartOptions,
    errors::{AsyncActivityError, WorkflowGetResultError},
};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;
use tokio::sync::mpsc;
use tower_temporal::client::service::{
    CancelWorkflow, CompleteAsyncActivity, FailAsyncActivity, GetWorkflowResult,
    HeartbeatAsyncActivity, ReportAsyncActivityCancellation, StartWorkflow,
};

pub(super) const CALLS: &[&str] = &[
    "complete_async_activity",
    "fail_async_activity",
    "report_async_activity_cancellation",
    "heartbeat_async_activity",
];

#[tokio::test]
async fn every_call_about_async_activities() {
    let api = Api::new().await;
    let queue = unique("service-async");
    let (sender, mut started) = mpsc::unbounded_channel();
    let worker = fixtures::worker(&queue, move |ctx, _| {
        sender.send(ctx.info().task_token.clone()).unwrap();
        async { Err(ActivityError::WillCompleteAsync) }
    });
    with_worker(api.client(), worker, async {
        let start = async |id: &str| {
            let options = WorkflowStartOptions::new(&queue, id).build();
            let start = StartWorkflow::new(Work::run, "in".to_owned(), options);
            api.call(start).await.unwrap()
        };
        let result = async |id: &str| {
            let result = GetWorkflowResult::new(id, Work::run, Default::default());
            api.call(result).await
        };

        let id = format!("{queue}-complete");
        start(&id).await;
        let token = ActivityIdentifier::TaskToken(started.recv().await.unwrap().into());
        let heartbeat = HeartbeatAsyncActivity::new(token.clone(), Some(7), Default::default());
        assert!(!api.call(heartbeat).await.unwrap().cancel_requested);
        let complete =
            CompleteAsyncActivity::new(token, Some("out".to_owned()), Default::default());
        api.call(complete.clone()).await.unwrap();
        assert_eq!(result(&id).await.unwrap(), "out");
        match api.call(complete).await {
            Err(AsyncActivityError::NotFound(_)) => {}
            other => panic!("it was completed before: {other:?}"),
        }

        let id = format!("{queue}-fail");
        start(&id).await;
        started.recv().await.unwrap();
        let by_id = ActivityIdentifier::by_id_workflow(&id, "", ACTIVITY_ID);
        let failure = ApplicationFailure::builder("no")
            .non_retryable(true)
            .build();
        let fail = FailAsyncActivity::new(by_id, failure, None::<()>, Default::default());
        api.call(fail).await.unwrap();
        match result(&id).await {
            Err(WorkflowGetResultError::Failed(_)) => {}
            other => panic!("its activity failed: {other:?}"),
        }

        let id = format!("{queue}-cancel");
        start(&id).await;
        let token = ActivityIdentifier::TaskToken(started.recv().await.unwrap().into());
        let cancel = CancelWorkflow::new(&id, Default::default());
        api.call(cancel).await.unwrap();
        let heartbeat = HeartbeatAsyncActivity::new(token.clone(), None::<()>, Default::default());
        while !api.call(heartbeat.clone()).await.unwrap().cancel_requested {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let report = ReportAsyncActivityCancellation::new(token, None::<()>, Default::default());
        api.call(report).await.unwrap();
        match result(&id).await {
            Err(WorkflowGetResultError::Cancelled { .. }) => {}
            other => panic!("it was cancelled: {other:?}"),
        }
    })
    .await;
    api.assert_called(
        &[
            CALLS,
            &["start_workflow", "get_workflow_result", "cancel_workflow"],
        ]
        .concat(),
    );
}
