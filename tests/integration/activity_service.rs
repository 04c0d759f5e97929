//! Activities that tower services do.

use crate::{
    fixtures::{ACTIVITY_ID, Activities, Work, until_cancelled},
    layers::Record,
    support::{client, plain_client, unique, with_worker},
};
use axum::{Router, body::Body, extract::Path, http::StatusCode, routing::post};
use futures::FutureExt;
use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use temporalio_client::{
    Client, ClientOptions, WorkflowCancelOptions, WorkflowHandle, WorkflowStartOptions,
    errors::WorkflowGetResultError,
};
use temporalio_common::{
    ActivityDefinition, HasWorkflowDefinition,
    error::ApplicationFailure,
    protos::temporal::api::workflowservice::v1::{
        DescribeNamespaceRequest, workflow_service_client::WorkflowServiceClient,
    },
};
use temporalio_sdk::{
    WorkerOptions,
    activities::{ActivityContext, ActivityImplementer},
};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;
use tower::{BoxError, ServiceBuilder, service_fn, util::MapErrLayer};
use tower_temporal::{
    Denied, Interceptors,
    activity::{Call, Named, from_service},
};
use tower_temporal_test::{
    DevServer, Frontend,
    frontend::{ActivityOutcome, activity_task, json},
};
use tower_test::mock;

/// The name of the activity that [`Work`] runs.
fn name() -> String {
    ActivityDefinition::name(&Activities::work).to_owned()
}

/// The activity that [`Work`] runs, as one that is named at run time.
fn work() -> Named<String, String> {
    Named::new(name())
}

type Handle = WorkflowHandle<Client, <Work as HasWorkflowDefinition>::Run>;

/// Starts the workflow, beside a worker that has this activity.
async fn with_work<A, T>(client: &Client, activity: A, test: impl AsyncFnOnce(Handle) -> T) -> T
where
    A: ActivityImplementer,
{
    let queue = unique("activity-service");
    let options = WorkerOptions::new(&queue)
        .default_heartbeat_throttle_interval(Duration::from_millis(100))
        .register_workflow::<Work>()
        .unwrap()
        .register_activities(activity)
        .build();
    with_worker(client, options, async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let start = client.start_workflow(Work::run, "in".to_owned(), options);
        test(start.await.unwrap()).await
    })
    .await
}

async fn result(handle: Handle) -> Result<String, WorkflowGetResultError> {
    handle.get_result(Default::default()).await
}

#[tokio::test]
async fn a_service_of_the_input_does_an_activity_inside_the_worker_s_stack() {
    let record = Record::default();
    let interceptors = Interceptors::builder()
        .activity_inbound(record.clone())
        .build();
    let service = ServiceBuilder::new()
        .concurrency_limit(1)
        .timeout(Duration::from_secs(30))
        .map_request(|input: String| input.to_uppercase())
        .service(service_fn(async |input: String| {
            Ok::<_, BoxError>(format!("did {input}"))
        }));
    let output = with_work(
        &client(interceptors).await,
        from_service(work(), service),
        result,
    )
    .await;
    assert_eq!(output.unwrap(), "did IN");
    let seen = record.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].operation, "execute_activity");
    assert!(seen[0].target.contains(&name()), "{seen:?}");
}

#[tokio::test]
async fn the_sdk_s_definition_names_and_types_it_too() {
    let service = service_fn(async |input: String| Ok::<_, BoxError>(input + "!"));
    let activity = from_service(Activities::work, service);
    let output = with_work(&plain_client().await, activity, result).await;
    assert_eq!(output.unwrap(), "in!");
}

#[tokio::test]
async fn attempt_deadline_and_ids_are_in_the_extensions() {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = attempts.clone();
    let service = service_fn(move |call: Call<String>| {
        let seen = seen.clone();
        async move {
            let context = call.extensions().get::<ActivityContext>().unwrap();
            let info = context.info();
            assert_eq!(info.activity_id, ACTIVITY_ID);
            assert!(
                info.deadline
                    .is_some_and(|deadline| deadline > SystemTime::now())
            );
            seen.lock().unwrap().push(info.attempt);
            match info.attempt {
                1 | 2 => Err(BoxError::from("try again")),
                _ => Ok(call.into_input()),
            }
        }
    });
    let output = with_work(&plain_client().await, from_service(work(), service), result).await;
    assert_eq!(output.unwrap(), "in");
    assert_eq!(*attempts.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn http_and_tonic_requests_carry_it_in_theirs() {
    let service = service_fn(async |request: http::Request<String>| {
        let context = request.extensions().get::<ActivityContext>().unwrap();
        Ok::<_, BoxError>(format!("{} {}", request.body(), context.info().attempt))
    });
    let output = with_work(&plain_client().await, from_service(work(), service), result).await;
    assert_eq!(output.unwrap(), "in 1");

    let service = service_fn(async |request: tonic::Request<String>| {
        let context = request.extensions().get::<ActivityContext>().unwrap();
        let attempt = context.info().attempt;
        let has_timeout = request.metadata().contains_key("grpc-timeout");
        Ok::<_, tonic::Status>(format!("{} {attempt} {has_timeout}", request.get_ref()))
    });
    let output = with_work(&plain_client().await, from_service(work(), service), result).await;
    assert_eq!(output.unwrap(), "in 1 true");
}

#[tokio::test]
async fn a_generated_client_of_grpc_does_an_activity() {
    let server = DevServer::shared().await;
    let channel = Endpoint::from_shared(server.address().to_owned()).unwrap();
    let client = WorkflowServiceClient::new(channel.connect_lazy());
    let describe = ServiceBuilder::new()
        .map_request(|request: tonic::Request<String>| {
            let namespace = server.namespace().to_owned();
            request.map(|_| DescribeNamespaceRequest {
                namespace,
                ..Default::default()
            })
        })
        .service(service_fn(
            move |request: tonic::Request<DescribeNamespaceRequest>| {
                assert!(request.metadata().contains_key("grpc-timeout"));
                let mut client = client.clone();
                async move {
                    let response = client.describe_namespace(request).await?.into_inner();
                    let info = response.namespace_info;
                    Ok::<_, tonic::Status>(info.map_or_else(String::new, |info| info.name))
                }
            },
        ));
    let activity = from_service(work(), describe);
    let output = with_work(&plain_client().await, activity, result).await;
    assert_eq!(output.unwrap(), server.namespace());
}

#[tokio::test]
async fn a_router_of_axum_does_an_activity() {
    let router = Router::new().route(
        "/work/{attempt}",
        post(
            async |Path(attempt): Path<u32>, input: String| match attempt {
                1 => Err(StatusCode::SERVICE_UNAVAILABLE),
                _ => Ok(format!("did {input} in attempt {attempt}")),
            },
        ),
    );
    let service = ServiceBuilder::new()
        .map_request(|request: http::Request<String>| {
            let context = request.extensions().get::<ActivityContext>().unwrap();
            let path = format!("/work/{}", context.info().attempt);
            let (mut parts, input) = request.into_parts();
            parts.method = http::Method::POST;
            parts.uri = path.parse().unwrap();
            http::Request::from_parts(parts, Body::from(input))
        })
        .and_then(async |response: http::Response<Body>| {
            if !response.status().is_success() {
                return Err(BoxError::from(response.status().to_string()));
            }
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
            Ok(String::from_utf8(bytes.into())?)
        })
        .layer(MapErrLayer::new(|never: Infallible| match never {}))
        .service(router);
    let activity = from_service(work(), service);
    let output = with_work(&plain_client().await, activity, result).await;
    assert_eq!(output.unwrap(), "did in in attempt 2");
}

/// How often a service was tried that fails with this error, and what became of its workflow.
async fn tries(error: fn() -> BoxError) -> (usize, String) {
    let (sender, mut tries) = mpsc::unbounded_channel();
    let service = service_fn(move |_: String| {
        sender.send(()).unwrap();
        async move { Err::<String, _>(error()) }
    });
    let output = with_work(&plain_client().await, from_service(work(), service), result).await;
    let mut count = 0;
    while tries.try_recv().is_ok() {
        count += 1;
    }
    (
        count,
        format!("{:?}", output.expect_err("its activity failed")),
    )
}

#[tokio::test]
async fn its_error_decides_whether_it_is_retried() {
    let (count, error) = tries(|| "broken".into()).await;
    assert_eq!(count, 3, "the retry policy has three attempts");
    assert!(
        error.contains("broken") && error.contains("ServiceError"),
        "{error}"
    );
    let (count, error) = tries(|| Denied::new("no").into()).await;
    assert_eq!(count, 1);
    assert!(error.contains("PermissionDenied"), "{error}");
    let (count, error) = tries(|| {
        let failure = ApplicationFailure::builder("mine").type_name("Mine".to_owned());
        failure.non_retryable(true).build().into()
    })
    .await;
    assert_eq!(count, 1);
    assert!(error.contains("Mine"), "{error}");
}

#[tokio::test]
async fn a_service_can_notice_its_cancellation() {
    let (sender, mut started) = mpsc::unbounded_channel();
    let service = service_fn(move |call: Call<String>| {
        let sender = sender.clone();
        async move {
            let context = call.context().unwrap();
            sender.send(()).unwrap();
            until_cancelled(context).await;
            Ok::<_, BoxError>("noticed".to_owned())
        }
    });
    let activity = from_service(work(), service);
    let output = with_work(&plain_client().await, activity, async |handle: Handle| {
        started.recv().await.expect("the activity starts");
        let cancel = handle.cancel(WorkflowCancelOptions::default());
        cancel.await.unwrap();
        result(handle).await
    })
    .await;
    // The workflow waits for what its cancelled activity comes to.
    assert_eq!(output.unwrap(), "noticed");
}

#[tokio::test]
async fn a_service_that_does_not_notice_is_dropped() {
    struct Dropped(mpsc::UnboundedSender<&'static str>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send("dropped").ok();
        }
    }

    let (sender, mut events) = mpsc::unbounded_channel();
    let service = service_fn(move |call: Call<String>| {
        let sender = sender.clone();
        async move {
            let _dropped = Dropped(sender.clone());
            // Heartbeats tell the worker of the cancellation; this service does not ask.
            let context = call.context().unwrap().clone();
            tokio::spawn(async move { until_cancelled(&context).await });
            sender.send("started").unwrap();
            pending::<Result<String, BoxError>>().await
        }
    });
    let activity = from_service(work(), service).stop_when_cancelled();
    let error = with_work(&plain_client().await, activity, async |handle: Handle| {
        assert_eq!(events.recv().await, Some("started"));
        let cancel = handle.cancel(WorkflowCancelOptions::default());
        cancel.await.unwrap();
        assert_eq!(events.recv().await, Some("dropped"));
        result(handle).await.expect_err("it was cancelled")
    })
    .await;
    assert!(
        matches!(error, WorkflowGetResultError::Cancelled { .. }),
        "{error:?}"
    );
}

/// A mock has to be ready before it is called, and is ready as often as the test allows it.
#[tokio::test]
async fn an_activity_waits_until_its_service_is_ready_and_calls_it_once() {
    let (service, mut mock) = mock::pair::<String, String>();
    mock.allow(0);
    let frontend = Frontend::new();
    let options = ClientOptions::new("default").build();
    let client = frontend.client(options).await.unwrap();
    let options = WorkerOptions::new("queue")
        .register_activities(from_service(work(), service))
        .build();
    let run = |input: &str| frontend.run_activity("queue", activity_task(name(), [json(&input)]));
    with_worker(&client, options, async {
        let (first, second) = (run("first"), run("second"));
        let served = async {
            for (allowed, answer) in [(1, Ok("done")), (2, Err("broken"))] {
                mock.allow(1);
                let (request, respond) = mock.next_request().await.expect("there is an activity");
                let nothing_more = mock.next_request().now_or_never();
                assert!(nothing_more.is_none(), "{allowed} calls are allowed");
                match answer {
                    Ok(answer) => respond.send_response(format!("{request} {answer}")),
                    Err(error) => respond.send_error(error),
                }
            }
        };
        let (first, second, ()) = tokio::join!(first, second, served);
        // Which of the two was served first is the worker's to say.
        let (done, broken) = match first {
            ActivityOutcome::Failed(_) => (second, first),
            _ => (first, second),
        };
        let answers = ["first done", "second done"].map(|text| json(&text));
        assert!(
            answers
                .map(|answer| ActivityOutcome::completed([answer]))
                .contains(&done),
            "{done:?}"
        );
        match broken {
            ActivityOutcome::Failed(Some(failure)) => assert_eq!(failure.message, "broken"),
            other => panic!("the service failed, but {other:?}"),
        }
    })
    .await;
}
