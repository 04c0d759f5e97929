//! Layers for one gRPC method, which see its messages.
//!
//! ```
//! use tower::util::MapRequestLayer;
//! use tower_temporal_client::rpc::{self, workflow_service::StartWorkflowExecution};
//! # use rpc::Typed;
//! # use tower::{ServiceExt, service_fn};
//!
//! type Request = tonic::Request<<StartWorkflowExecution as tower_temporal_core::Operation>::Input>;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! # // What a channel would be.
//! # let channel = service_fn(|request: http::Request<tonic::body::Body>| async move {
//! #     assert_eq!(request.headers()["x-team"], "payments");
//! #     Ok::<_, tonic::Status>(rpc::encode_response(Ok(tonic::Response::new(()))))
//! # });
//! let connection = rpc::over(channel)
//!     .every_call(rpc::on::<StartWorkflowExecution, _>(MapRequestLayer::new(|mut request: Request| {
//!         request.get_mut().identity = "batch".to_owned();
//!         request.metadata_mut().insert("x-team", "payments".parse().unwrap());
//!         request
//!     })))
//! #   .into_service();
//! # let start = Typed::<StartWorkflowExecution, _>::new(connection);
//! # start.oneshot(tonic::Request::new(Default::default())).await.unwrap();
//! # });
//! ```

mod future;
mod layer;
mod service;

pub use self::{
    future::AppliedFuture,
    layer::{OnLayer, on},
    service::On,
};

#[cfg(test)]
mod tests {
    use super::on;
    use crate::rpc::{
        Body, Rpc,
        workflow_service::{CountWorkflowExecutions, StartWorkflowExecution},
    };
    use http::{Request, Response};
    use http_body_util::BodyExt;
    use prost::Message;
    use std::time::Duration;
    use temporalio_protos::temporal::api::workflowservice::v1::{
        StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
    };
    use tonic::{Code, Status};
    use tower::{
        BoxError, Layer, ServiceBuilder, ServiceExt, service_fn,
        timeout::TimeoutLayer,
        util::{MapRequestLayer, MapResponseLayer},
    };

    type Call = tonic::Request<StartWorkflowExecutionRequest>;
    type Answer = tonic::Response<StartWorkflowExecutionResponse>;

    fn start(workflow_id: &str) -> Request<Body> {
        let message = StartWorkflowExecutionRequest {
            workflow_id: workflow_id.to_owned(),
            ..Default::default()
        };
        Request::post(format!("http://origin{}", StartWorkflowExecution::PATH))
            .header("grpc-timeout", "1S")
            .body(Body::new(message.encode_to_vec()))
            .unwrap()
    }

    /// A server that answers with the workflow's id and the request's metadata.
    async fn server(request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        if parts.uri.path() != StartWorkflowExecution::PATH {
            assert_eq!(body.message(), "not to be decoded");
            return Ok(Status::not_found("other").into_http());
        }
        assert_eq!(parts.uri.host(), Some("origin"));
        assert_eq!(parts.headers["grpc-timeout"], "1S");
        let message = StartWorkflowExecutionRequest::decode(body.into_message())?;
        if message.workflow_id.is_empty() {
            let mut status = Status::with_details(Code::InvalidArgument, "no id", "why".into());
            status.metadata_mut().insert("x", "1".parse()?);
            return Ok(status.into_http());
        }
        let mut response = tonic::Response::new(StartWorkflowExecutionResponse {
            run_id: format!("run of {}", message.workflow_id),
            ..Default::default()
        });
        for name in ["x-layer", "x-bin-bin"] {
            if let Some(value) = parts.headers.get(name) {
                let metadata = std::mem::take(response.metadata_mut());
                let mut headers = metadata.into_headers();
                headers.insert(name, value.clone());
                *response.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
            }
        }
        Ok(crate::rpc::encode_response(Ok(response)))
    }

    #[tokio::test]
    async fn a_layer_sees_and_changes_messages_and_metadata() {
        let layer = ServiceBuilder::new()
            .layer(MapRequestLayer::new(|mut request: Call| {
                request.get_mut().workflow_id.push_str("-2");
                request
                    .metadata_mut()
                    .insert("x-layer", "a".parse().unwrap());
                request
            }))
            .layer(MapResponseLayer::new(|mut response: Answer| {
                assert_eq!(response.metadata().get("x-layer").unwrap(), "a");
                response.get_mut().run_id.push('!');
                response
            }));
        let service = on::<StartWorkflowExecution, _>(layer).layer(service_fn(server));
        let response = service.oneshot(start("order")).await.unwrap();
        assert_eq!(response.headers()["x-layer"], "a");
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        let message = StartWorkflowExecutionResponse::decode(body.to_bytes().slice(5..)).unwrap();
        assert_eq!(message.run_id, "run of order-2!");
    }

    #[tokio::test]
    async fn another_method_is_not_decoded() {
        let layer = MapRequestLayer::new(|_: Call| -> Call { panic!("not for this layer") });
        let service = on::<StartWorkflowExecution, _>(layer).layer(service_fn(server));
        let request = Request::post(CountWorkflowExecutions::PATH)
            .body(Body::new("not to be decoded"))
            .unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "5");
    }

    #[tokio::test]
    async fn a_status_stays_a_response_with_all_that_is_in_it() {
        let layer = tower::util::MapErrLayer::new(|status: Status| {
            assert_eq!(status.code(), Code::InvalidArgument);
            status
        });
        let service = on::<StartWorkflowExecution, _>(layer).layer(service_fn(server));
        let response = service.oneshot(start("")).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.details(), b"why");
        assert_eq!(status.metadata().get("x").unwrap(), "1");
    }

    #[tokio::test]
    async fn a_layer_s_own_error_stays_one() {
        let never = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, BoxError>>()
        });
        let layer = TimeoutLayer::new(Duration::from_millis(1));
        let service = on::<StartWorkflowExecution, _>(layer).layer(never);
        let error = service.oneshot(start("order")).await.map(drop).unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>(), "{error}");
    }

    #[tokio::test]
    async fn a_request_that_can_t_be_decoded_says_so() {
        let layer = tower::layer::util::Identity::new();
        let service = on::<StartWorkflowExecution, _>(layer).layer(service_fn(server));
        let request = Request::post(StartWorkflowExecution::PATH)
            .body(Body::new("no protobuf"))
            .unwrap();
        let response = service.oneshot(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("StartWorkflowExecution"));
    }
}
