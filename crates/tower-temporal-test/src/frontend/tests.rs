use super::{ActivityOutcome, Frontend, activity_task, json};
use std::time::Duration;
use temporalio_client::{
    Client, ClientOptions, UntypedWorkflow, WorkflowCancelOptions, WorkflowCountOptions,
};
use temporalio_common::{
    error::ApplicationFailure,
    protos::temporal::api::workflowservice::v1::{
        CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse,
        RecordActivityTaskHeartbeatResponse,
    },
};
use temporalio_macros::activities;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    activities::{ActivityContext, ActivityError},
};
use tonic::{Code, Status};
use tower::ServiceBuilder;
use tower_temporal_client::rpc::workflow_service::{
    CountWorkflowExecutions, RecordActivityTaskHeartbeat, RequestCancelWorkflowExecution,
    RespondActivityTaskCompleted,
};

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn double(_: ActivityContext, number: u64) -> Result<u64, ActivityError> {
        Ok(2 * number)
    }

    #[activity]
    async fn fail(_: ActivityContext) -> Result<(), ActivityError> {
        Err(ApplicationFailure::new(std::io::Error::other("not today")).into())
    }

    #[activity]
    async fn wait(ctx: ActivityContext) -> Result<(), ActivityError> {
        ctx.record_heartbeat("waiting".to_owned()).await?;
        ctx.cancelled().await;
        Err(ActivityError::cancelled())
    }
}

async fn client(frontend: &Frontend) -> Client {
    let options = ClientOptions::new("default").build();
    frontend.client(options).await.unwrap()
}

/// Runs `test` beside a worker of the task queue `queue`.
async fn with_worker<T>(frontend: &Frontend, test: impl Future<Output = T>) -> T {
    let options = WorkerOptions::new("queue")
        .register_activities(Activities)
        .build();
    let runtime = Runtime::from_current_tokio(Default::default()).unwrap();
    let mut worker = Worker::new(&runtime, client(frontend).await, options).unwrap();
    let shut_down = worker.shutdown_handle();
    let (ran, output) = tokio::join!(worker.run(), async {
        let output = tokio::time::timeout(Duration::from_secs(30), test).await;
        shut_down();
        output.expect("the test should not hang")
    });
    ran.unwrap();
    output
}

#[tokio::test]
async fn activities_complete_each_with_its_own_result() {
    let frontend = Frontend::new();
    let outcomes = with_worker(&frontend, async {
        let tasks = (0..50_u64).map(|number| {
            frontend.run_activity(
                "queue",
                activity_task(Activities::double.name(), [json(&number)]),
            )
        });
        futures::future::join_all(tasks).await
    })
    .await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, ActivityOutcome::completed([json(&(2 * number))]));
    }
    let sent = frontend.requests::<RespondActivityTaskCompleted>();
    assert_eq!(sent.len(), 50);
}

#[tokio::test]
async fn an_activity_s_failure_is_told() {
    let frontend = Frontend::new();
    let task = activity_task(Activities::fail.name(), []);
    let outcome = with_worker(&frontend, frontend.run_activity("queue", task)).await;
    match outcome {
        ActivityOutcome::Failed(Some(failure)) => assert_eq!(failure.message, "not today"),
        other => panic!("the activity fails, but {other:?}"),
    }
}

#[tokio::test]
async fn a_scripted_heartbeat_cancels_an_activity() {
    let frontend = Frontend::new();
    frontend.answer::<RecordActivityTaskHeartbeat, _, _>(async |_| {
        Ok(RecordActivityTaskHeartbeatResponse {
            cancel_requested: true,
            ..Default::default()
        })
    });
    let task = activity_task(Activities::wait.name(), []);
    let outcome = with_worker(&frontend, frontend.run_activity("queue", task)).await;
    assert!(
        matches!(outcome, ActivityOutcome::Cancelled(_)),
        "{outcome:?}"
    );
    let heartbeats = frontend.requests::<RecordActivityTaskHeartbeat>();
    let details = heartbeats[0].get_ref().details.clone().unwrap();
    assert_eq!(details.payloads, [json(&"waiting")]);
}

#[tokio::test]
async fn a_script_s_status_is_the_client_s_error() {
    let frontend = Frontend::new();
    frontend.answer::<CountWorkflowExecutions, _, _>(async |request| {
        match request.get_ref().query.as_str() {
            "" => Ok(CountWorkflowExecutionsResponse {
                count: 7,
                ..Default::default()
            }),
            _ => Err(Status::invalid_argument("no such query")),
        }
    });
    let client = client(&frontend).await;
    let count = async |query| {
        let options = WorkflowCountOptions::default();
        client.count_workflows(query, options).await
    };
    assert_eq!(count("").await.unwrap().count(), 7);
    let error = count("x").await.map(|count| count.count()).unwrap_err();
    assert!(error.to_string().contains("no such query"), "{error}");
}

#[tokio::test]
async fn requests_are_kept_with_their_metadata_and_can_be_waited_for() {
    let frontend = Frontend::new();
    let client = client(&frontend).await;
    let cancel = async {
        let handle = client.get_workflow_handle::<UntypedWorkflow>("order-1");
        handle
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
    };
    let seen = frontend.wait_for_requests::<RequestCancelWorkflowExecution>(1);
    let (seen, ()) = tokio::join!(seen, cancel);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].metadata().get("temporal-namespace").unwrap(),
        "default"
    );
    let execution = seen[0].get_ref().workflow_execution.as_ref().unwrap();
    assert_eq!(execution.workflow_id, "order-1");
}

#[tokio::test]
async fn layers_of_the_grpc_level_go_over_it() {
    let frontend = Frontend::new();
    frontend.answer::<CountWorkflowExecutions, _, _>(async |_| std::future::pending().await);
    let layer = ServiceBuilder::new().timeout(Duration::from_millis(10));
    let connection = frontend.connect_through(layer).await.unwrap();
    let status = connection
        .workflow_service()
        .count_workflow_executions(tonic::Request::new(
            CountWorkflowExecutionsRequest::default(),
        ))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
#[should_panic(expected = "keep no records")]
async fn a_frontend_without_records_says_so() {
    Frontend::without_records().requests::<CountWorkflowExecutions>();
}
