//! Stacks of operations for the calls that no interceptor of the SDK sees.
//!
//! [`operations`] takes the layers that the other categories take, such as `PropagationLayer` and `TraceLayer`, and applies
//! them to the gRPC methods in the table below:
//!
//! ```
//! use tower_temporal_client::rpc::{self, workflow_service::StartActivityExecution};
//! use tower_temporal_core::{Next, Request, from_fn};
//! # use rpc::Typed;
//! # use tower::{ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! # // What a channel would be.
//! # let channel = service_fn(|_: http::Request<tonic::body::Body>| async move {
//! #     Ok::<_, tonic::Status>(rpc::encode_response(Ok(tonic::Response::new(()))))
//! # });
//! let layer = from_fn(async |mut request: Request<StartActivityExecution>, next: Next<StartActivityExecution>| {
//!     println!("starting {:?}", request.target().activity_type);
//!     request.identity = "batch".to_owned();
//!     next.run(request).await
//! });
//! let connection = rpc::over(channel).every_call(rpc::operations(layer));
//! # let start = Typed::<StartActivityExecution, _>::new(connection.into_service());
//! # start.oneshot(tonic::Request::new(Default::default())).await.unwrap();
//! # });
//! ```
//!
//! | what | methods |
//! |---|---|
//! | standalone activities | start (carries headers), describe, list, count, cancel, terminate, delete, and the poll for a result |
//! | heartbeats of a worker's activities, a plain `ctx.record_heartbeat` too | `RecordActivityTaskHeartbeat` |
//! | schedules, for the headers of the workflows they start | `CreateSchedule`, `UpdateSchedule` |
//! | namespaces | register, describe, list, update, deprecate |
//! | search attributes, clusters, Nexus endpoints | all of the operator service |
//!
//! Each is an [`Operation`](tower_temporal_core::Operation) of the category
//! [`Rpc`](tower_temporal_core::Category::Rpc), named as gRPC names its method. Its input and output are the method's
//! messages; its error is [`tonic::Status`]. (`CreateSchedule` is beneath the client operation `create_schedule`: a layer in both
//! stacks sees both, and their names and categories tell them apart.)
//! [`tower_temporal_core::on`] and [`from_fn`](tower_temporal_core::from_fn()) pick one of them in such a stack.
//!
//! `PollActivityExecution`, which waits for a standalone activity's result, is a long poll. It goes through the stack, so that
//! traces and headers have it; tower's own timeout and limits would break it there. `TimeoutLayer` of the ready-made layers
//! leaves long polls alone, and a layer of yours asks [`Operation::is_long_poll`](tower_temporal_core::Operation::is_long_poll).
//!
//! The calls run in the task that makes them, so that a [`ContextKey`](tower_temporal_core::ContextKey)'s current value
//! is the caller's. Heartbeats are the exception: the SDK sends them from a task of its own.

mod layer;
mod service;
mod table;

pub use self::{
    layer::{OperationsLayer, operations},
    service::{Operations, OperationsFuture},
    table::{OPERATIONS, RpcService},
};

#[cfg(test)]
mod tests {
    use super::{OPERATIONS, operations};
    use crate::rpc::{
        Body, Rpc, cloud_service, encode_response,
        workflow_service::{
            CountWorkflowExecutions, CreateSchedule, DescribeNamespace, StartActivityExecution,
        },
    };
    use http::{Request, Response};
    use prost::Message;
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };
    use temporalio_protos::temporal::api::{
        common::v1::{ActivityType, Payload},
        schedule::v1::{Schedule, ScheduleAction, schedule_action::Action},
        workflow::v1::NewWorkflowExecutionInfo,
        workflowservice::v1::{
            CreateScheduleRequest, StartActivityExecutionRequest, StartActivityExecutionResponse,
        },
    };
    use tonic::{Code, Status};
    use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};
    use tower_temporal_core::{Category, Next, Operation, from_fn, on};

    fn request<R: Rpc>(message: &R::Input) -> Request<Body> {
        Request::post(R::PATH)
            .header("grpc-timeout", "1S")
            .body(Body::new(message.encode_to_vec()))
            .unwrap()
    }

    fn payload() -> Payload {
        Payload {
            data: b"1".to_vec(),
            ..Default::default()
        }
    }

    fn start() -> StartActivityExecutionRequest {
        StartActivityExecutionRequest {
            activity_id: "activity-1".to_owned(),
            activity_type: Some(ActivityType {
                name: "greet".to_owned(),
            }),
            ..Default::default()
        }
    }

    type OperationRequest<O> = tower_temporal_core::Request<O>;

    #[tokio::test]
    async fn a_layer_reads_the_target_and_writes_headers_and_metadata_is_kept() {
        let layer = from_fn(
            async |mut request: OperationRequest<StartActivityExecution>,
                   next: Next<StartActivityExecution>| {
                assert_eq!(request.target().activity_type, Some("greet"));
                assert_eq!(request.target().activity_id, Some("activity-1"));
                request.headers_mut().insert("user", payload())?;
                let mut output = next.run(request).await?;
                output.run_id.push('!');
                Ok::<_, BoxError>(output)
            },
        );
        let server = service_fn(async |request: Request<Body>| {
            assert_eq!(request.headers()["grpc-timeout"], "1S");
            let message =
                StartActivityExecutionRequest::decode(request.into_body().into_message())?;
            assert_eq!(message.header.unwrap().fields["user"], payload());
            let mut response = tonic::Response::new(StartActivityExecutionResponse {
                run_id: "run".to_owned(),
                ..Default::default()
            });
            response.metadata_mut().insert("from", "server".parse()?);
            Ok::<_, BoxError>(encode_response(Ok(response)))
        });
        let response = operations(layer)
            .layer(server)
            .oneshot(request::<StartActivityExecution>(&start()))
            .await
            .unwrap();
        assert_eq!(response.headers()["from"], "server");
        let ended = crate::rpc::unary::Unary::new(response).await.unwrap();
        let (_, message) = ended.into_result().unwrap().into_parts();
        let message = StartActivityExecutionResponse::decode(message).unwrap();
        assert_eq!(message.run_id, "run!");
    }

    #[test]
    fn a_schedule_s_headers_are_those_of_the_workflow_it_starts() {
        let mut input = CreateScheduleRequest::default();
        assert!(!CreateSchedule::headers_mut(&mut input).are_carried());
        input.schedule = Some(Schedule {
            action: Some(ScheduleAction {
                action: Some(Action::StartWorkflow(NewWorkflowExecutionInfo::default())),
            }),
            ..Default::default()
        });
        let mut headers = CreateSchedule::headers_mut(&mut input);
        headers.insert("user", payload()).unwrap();
        assert_eq!(
            CreateSchedule::headers(&input).get("user"),
            Some(&payload())
        );
        let action = input.schedule.unwrap().action.unwrap().action.unwrap();
        let Action::StartWorkflow(workflow) = action;
        assert_eq!(workflow.header.unwrap().fields["user"], payload());
    }

    #[tokio::test]
    async fn what_is_not_in_the_table_passes_as_bytes() {
        let layer = ServiceBuilder::new().timeout(Duration::ZERO);
        let server = service_fn(async |request: Request<Body>| {
            assert_eq!(request.body().message(), "bytes");
            Ok::<_, BoxError>(Response::new(Body::default()))
        });
        for path in [CountWorkflowExecutions::PATH, cloud_service::GetUsers::PATH] {
            let request = Request::post(path).body(Body::new("bytes")).unwrap();
            operations(layer.clone())
                .layer(server)
                .oneshot(request)
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn the_server_s_status_is_the_operation_s_error_and_a_response_again() {
        let seen = Arc::new(Mutex::new(None));
        let in_layer = seen.clone();
        let layer =
            on::<DescribeNamespace, _>(tower::util::MapErrLayer::new(move |status: Status| {
                *in_layer.lock().unwrap() = Some(status.code());
                status
            }));
        let server = service_fn(async |_: Request<Body>| {
            let status = Status::with_details(Code::NotFound, "no such namespace", "why".into());
            Ok::<_, BoxError>(status.into_http::<Body>())
        });
        let response = operations(layer)
            .layer(server)
            .oneshot(request::<DescribeNamespace>(&Default::default()))
            .await
            .unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.details(), b"why");
        assert_eq!(seen.lock().unwrap().take(), Some(Code::NotFound));
    }

    #[tokio::test]
    async fn a_middleware_s_error_is_a_response_of_its_kind() {
        let layer = ServiceBuilder::new().timeout(Duration::from_millis(1));
        let server = service_fn(async |_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, BoxError>>().await
        });
        let response = operations(layer)
            .layer(server)
            .oneshot(request::<DescribeNamespace>(&Default::default()))
            .await
            .unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }

    #[test]
    fn an_operation_has_the_name_of_its_method() {
        assert_eq!(CreateSchedule::NAME, "CreateSchedule");
        assert_eq!(CreateSchedule::CATEGORY, Category::Rpc);
    }

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let distinct: std::collections::BTreeSet<_> = OPERATIONS.iter().collect();
        assert_eq!(distinct.len(), OPERATIONS.len());
    }
}
