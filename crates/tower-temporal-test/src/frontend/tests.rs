use super::{ActivityOutcome, Frontend, activity_task, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::{
    ActivityIdentifier, Client, ClientOptions, Connection, RpcOptions, UntypedWorkflow,
    WorkflowCancelOptions, WorkflowCountOptions,
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
use tower::timeout::TimeoutLayer;
use tower_temporal_client::rpc::{
    self,
    workflow_service::{
        CountWorkflowExecutions, PollActivityTaskQueue, RecordActivityTaskHeartbeat,
        RequestCancelWorkflowExecution, RespondActivityTaskCompleted,
    },
};
use tower_temporal_core::BoxError;

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn double(_: ActivityContext, number: u64) -> Result<u64, ActivityError> {
        Ok(2 * number)
    }

    #[activity]
    async fn attempt(ctx: ActivityContext) -> Result<u32, ActivityError> {
        Ok(ctx.info().attempt)
    }

    #[activity]
    async fn later(_: ActivityContext) -> Result<(), ActivityError> {
        Err(ActivityError::WillCompleteAsync)
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
    let connection = rpc::over(frontend)
        .short_calls(TimeoutLayer::new(Duration::from_millis(10)))
        .connect(Frontend::connection_options())
        .await
        .unwrap();
    let status = count(&connection).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

async fn count(
    connection: &Connection,
) -> Result<tonic::Response<CountWorkflowExecutionsResponse>, Status> {
    let request = tonic::Request::new(CountWorkflowExecutionsRequest::default());
    connection.clone().count_workflow_executions(request).await
}

#[tokio::test]
async fn a_script_answers_with_metadata_or_fails_as_a_connection_does() {
    let frontend = Frontend::new();
    let attempts = Arc::new(AtomicU32::new(0));
    let in_script = attempts.clone();
    frontend.intercept::<CountWorkflowExecutions, _, _, BoxError>(move |request, next| {
        let attempt = in_script.fetch_add(1, Ordering::SeqCst);
        async move {
            if attempt == 0 {
                return Err(tonic::ConnectError("nobody there".into()).into());
            }
            let mut answer = next.run(request).await?;
            answer.metadata_mut().insert("x-from", "script".parse()?);
            Ok(answer)
        }
    });
    let connect = rpc::over(frontend).connect(Frontend::connection_options());
    let answer = count(&connect.await.unwrap()).await.unwrap();
    assert_eq!(answer.metadata().get("x-from").unwrap(), "script");
    assert_eq!(
        attempts.load(Ordering::SeqCst),
        2,
        "the SDK has tried again"
    );
}

#[tokio::test]
async fn a_report_that_a_script_fails_is_made_again_and_heard_when_it_is_accepted() {
    let frontend = Frontend::new();
    let attempts = AtomicU32::new(0);
    frontend.answer::<RespondActivityTaskCompleted, _, _>(move |_| {
        let attempt = attempts.fetch_add(1, Ordering::SeqCst);
        async move {
            match attempt {
                0 => Err(Status::unavailable("come again")),
                _ => Ok(Default::default()),
            }
        }
    });
    let task = activity_task(Activities::double.name(), [json(&3)]);
    let outcome = with_worker(&frontend, frontend.run_activity("queue", task)).await;
    assert_eq!(outcome, ActivityOutcome::completed([json(&6)]));
    let reports = frontend.take_requests::<RespondActivityTaskCompleted>();
    assert_eq!(reports.len(), 2);
    assert!(
        frontend
            .requests::<RespondActivityTaskCompleted>()
            .is_empty()
    );
}

#[tokio::test]
async fn a_script_of_polls_can_leave_them_to_the_frontend() {
    let frontend = Frontend::new();
    frontend.intercept::<PollActivityTaskQueue, _, _, _>(async |request, next| {
        let mut task = next.run(request).await?;
        task.get_mut().attempt = 7;
        Ok::<_, Status>(task)
    });
    let task = activity_task(Activities::attempt.name(), []);
    let outcome = with_worker(&frontend, frontend.run_activity("queue", task)).await;
    assert_eq!(outcome, ActivityOutcome::completed([json(&7)]));
}

#[tokio::test]
async fn an_activity_that_completes_later_is_reported_by_its_ids() {
    let frontend = Frontend::new();
    let client = client(&frontend).await;
    let tasks = [(); 2].map(|()| activity_task(Activities::later.name(), []));
    let ids = tasks.clone().map(|task| {
        let execution = task.workflow_execution.unwrap();
        (execution.workflow_id, execution.run_id, task.activity_id)
    });
    assert_ne!(ids[0].2, ids[1].2, "each task has its own");
    let [first, second] = tasks.map(|task| frontend.run_activity("queue", task));
    let complete = async {
        frontend.wait_for_requests::<PollActivityTaskQueue>(1).await;
        for (number, (workflow, run, activity)) in ids.into_iter().enumerate() {
            let id = ActivityIdentifier::by_id_workflow(workflow, run, activity);
            let handle = client.get_async_activity_handle(id);
            handle
                .complete(Some(number), RpcOptions::default())
                .await
                .unwrap();
        }
    };
    let (first, second, ()) =
        with_worker(&frontend, async { tokio::join!(first, second, complete) }).await;
    assert_eq!(first, ActivityOutcome::completed([json(&0)]));
    assert_eq!(second, ActivityOutcome::completed([json(&1)]));
}

#[tokio::test]
async fn a_task_that_is_no_longer_waited_for_is_taken_back() {
    let frontend = Frontend::new();
    let mut task = activity_task(Activities::double.name(), [json(&1)]);
    task.task_token = b"mine".to_vec();
    {
        let mut given_up = std::pin::pin!(frontend.run_activity("queue", task.clone()));
        assert!(futures::poll!(given_up.as_mut()).is_pending());
    }
    // The token is free again, and the worker sees one task.
    let outcome = with_worker(&frontend, frontend.run_activity("queue", task)).await;
    assert_eq!(outcome, ActivityOutcome::completed([json(&2)]));
    let reports = frontend.requests::<RespondActivityTaskCompleted>();
    assert_eq!(reports.len(), 1);
}

#[tokio::test]
#[should_panic(expected = "keep no records")]
async fn a_frontend_without_records_says_so() {
    Frontend::without_records().requests::<CountWorkflowExecutions>();
}
