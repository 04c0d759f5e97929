use super::operations::new_id;
use crate::rpc::{
    Body, Rpc,
    workflow_service::{
        CreateSchedule, ExecuteMultiOperation, PatchSchedule,
        SignalWithStartWorkflowExecution, StartWorkflowExecution, UpdateSchedule,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Request};
use prost::Message;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use temporalio_client::RpcOptions;
use temporalio_protos::temporal::api::workflowservice::v1::execute_multi_operation_request::operation::Operation as Part;
use tonic::Status;
use tower::filter::{Filter, Predicate};
use tower_layer::Layer;
use tower_temporal_core::{BoxError, Operation};

/// The metadata of a request's id, which is the same for each of its clones.
///
/// [`RequestIdLayer`] makes it the server's. A request that is itself made again, by a caller who has an id for it (the
/// `idempotency-key` of an HTTP request), can be given that one before `new`:
///
/// ```
/// use temporalio_client::WorkflowStartOptions;
/// use tower_temporal_client::service::REQUEST_ID;
///
/// let mut options = WorkflowStartOptions::new("orders", "order-1").build();
/// options.rpc_options.metadata.insert(REQUEST_ID, "the caller's key")?;
/// # Ok::<_, temporalio_client::RpcMetadataError>(())
/// ```
pub const REQUEST_ID: &str = "tower-temporal-request-id";

/// Gives the request an id, unless it has one.
pub(super) fn give(rpc_options: Option<&mut RpcOptions>) {
    let Some(rpc_options) = rpc_options else {
        return;
    };
    if of(rpc_options).is_none() {
        let id = rpc_options.metadata.insert(REQUEST_ID, new_id());
        id.expect("both are ASCII");
    }
}

pub(super) fn of(rpc_options: &RpcOptions) -> Option<&str> {
    rpc_options.metadata.get_ascii(REQUEST_ID)
}

/// A layer for a client's connection, by which a repeated start is the same start.
///
/// The server knows a start by its request id: one that it has seen is answered with the run it has started, whatever the
/// policies for workflow ids say. The SDK makes a new one for each call and has no option for it. So the requests of
/// [`ClientService`](super::ClientService) carry one in their metadata ([`REQUEST_ID`]), and this layer, in the
/// connection, puts it in its place. Then [`IdempotentRetry`](super::IdempotentRetry), which is shown the layer, repeats
/// these calls too. (Not every signal with start: its id is the signal's, which a run knows while it runs.)
///
/// ```no_run
/// use temporalio_client::{Client, ClientOptions, ConnectionOptions, RetryOptions, Url};
/// use tonic::transport::Endpoint;
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_temporal_client::{
///     rpc,
///     service::{ClientService, IdempotentRetry, RequestIdLayer},
/// };
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let request_ids = RequestIdLayer::new();
///
/// let channel = Endpoint::from_static("http://localhost:7233").connect().await?;
/// let options = ConnectionOptions::new(Url::parse("http://localhost:7233")?)
///     .retry_options(RetryOptions::no_retries())
///     .build();
/// let connection = rpc::over(channel).every_call(request_ids.clone()).connect(options).await?;
/// let client = Client::new(connection, ClientOptions::new("default").build())?;
///
/// let temporal = ServiceBuilder::new()
///     .layer(RetryLayer::new(IdempotentRetry::new().request_ids(&request_ids)))
///     .service(ClientService::new(client));
/// # drop(temporal);
/// # Ok(())
/// # }
/// ```
///
/// It looks at one header of each call, and decodes those that have it: starts, signals and updates with a start, and what
/// changes schedules. An update with a start is a long poll, so it belongs to [`every_call`](crate::rpc::Over::every_call).
///
/// Clones of the layer are the same to the policy.
#[derive(Clone, Debug, Default)]
pub struct RequestIdLayer {
    is_applied: Arc<AtomicBool>,
}

impl RequestIdLayer {
    /// A layer that no connection has yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is a service that has it. A policy that is shown one that was forgotten does not trust in it.
    pub(super) fn is_applied(&self) -> bool {
        self.is_applied.load(Ordering::Relaxed)
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = Filter<S, TakeRequestId>;

    fn layer(&self, inner: S) -> Self::Service {
        self.is_applied.store(true, Ordering::Relaxed);
        Filter::new(inner, TakeRequestId { _private: () })
    }
}

/// What [`RequestIdLayer`] does to a request. A message that can't be decoded is refused.
#[derive(Clone, Copy, Debug)]
pub struct TakeRequestId {
    _private: (),
}

impl Predicate<Request<Body>> for TakeRequestId {
    type Request = Request<Body>;

    fn check(&mut self, mut request: Request<Body>) -> Result<Request<Body>, BoxError> {
        let Some(id) = request.headers_mut().remove(REQUEST_ID) else {
            return Ok(request);
        };
        let (parts, body) = request.into_parts();
        let message = with_id(parts.uri.path(), body.into_message(), &id)?;
        Ok(Request::from_parts(parts, Body::new(message)))
    }
}

macro_rules! with_id {
    ($($method:ident: |$request:ident, $id:ident| $set:expr;)*) => {
        /// The message of a call with this request id.
        fn with_id(path: &str, message: Bytes, id: &HeaderValue) -> Result<Bytes, BoxError> {
            let id = id.to_str()?.to_owned();
            match path {
                $($method::PATH => {
                    let mut $request = <$method as Operation>::Input::decode(message)
                        .map_err(|error| {
                            Status::internal(format!("`{path}`: the request can't be decoded: {error}"))
                        })?;
                    let $id = id;
                    $set;
                    Ok($request.encode_to_vec().into())
                })*
                _ => Ok(message),
            }
        }
    };
}

with_id! {
    StartWorkflowExecution: |request, id| request.request_id = id;
    SignalWithStartWorkflowExecution: |request, id| request.request_id = id;
    CreateSchedule: |request, id| request.request_id = id;
    UpdateSchedule: |request, id| request.request_id = id;
    PatchSchedule: |request, id| request.request_id = id;
    // Its update has an id of its own.
    ExecuteMultiOperation: |request, id| {
        for part in &mut request.operations {
            if let Some(Part::StartWorkflow(start)) = &mut part.operation {
                start.request_id.clone_from(&id);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::workflow_service::DescribeSchedule;
    use temporalio_protos::temporal::api::workflowservice::v1::{
        ExecuteMultiOperationRequest, StartWorkflowExecutionRequest,
        execute_multi_operation_request,
    };
    use tower::{ServiceExt, service_fn};

    /// The request as it arrives behind the layer.
    async fn through(path: &str, message: impl Into<Bytes>, id: Option<&str>) -> Request<Body> {
        let mut request = Request::post(path).body(Body::new(message)).unwrap();
        if let Some(id) = id {
            let id = HeaderValue::from_str(id).unwrap();
            request.headers_mut().insert(REQUEST_ID, id);
        }
        let service = service_fn(async |request: Request<Body>| Ok::<_, BoxError>(request));
        let service = RequestIdLayer::new().layer(service);
        service.oneshot(request).await.unwrap()
    }

    fn start() -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            workflow_id: "order-1".to_owned(),
            request_id: "the SDK's".to_owned(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn the_id_of_the_metadata_becomes_that_of_the_message() {
        let message = start().encode_to_vec();
        let request = through(StartWorkflowExecution::PATH, message, Some("mine")).await;
        assert!(request.headers().is_empty(), "it is for the layer alone");
        let message = StartWorkflowExecutionRequest::decode(request.into_body().into_message());
        let expected = StartWorkflowExecutionRequest {
            request_id: "mine".to_owned(),
            ..start()
        };
        assert_eq!(message.unwrap(), expected);

        let part = execute_multi_operation_request::Operation {
            operation: Some(Part::StartWorkflow(start())),
        };
        let update_with_start = ExecuteMultiOperationRequest {
            operations: vec![part, Default::default()],
            ..Default::default()
        };
        let message = update_with_start.encode_to_vec();
        let request = through(ExecuteMultiOperation::PATH, message, Some("mine")).await;
        let message = ExecuteMultiOperationRequest::decode(request.into_body().into_message());
        let part = Some(Part::StartWorkflow(expected));
        assert_eq!(message.unwrap().operations[0].operation, part);
    }

    #[tokio::test]
    async fn what_has_no_id_is_not_decoded() {
        let request = through(StartWorkflowExecution::PATH, "no protobuf", None).await;
        assert_eq!(request.body().message(), "no protobuf");
        let request = through(DescribeSchedule::PATH, "no protobuf", Some("mine")).await;
        assert_eq!(request.body().message(), "no protobuf");
    }

    #[tokio::test]
    async fn a_message_that_can_t_be_decoded_is_refused() {
        let service = service_fn(async |_: Request<Body>| Ok::<_, BoxError>(()));
        let service = RequestIdLayer::new().layer(service);
        let request = Request::post(StartWorkflowExecution::PATH)
            .header(REQUEST_ID, "mine")
            .body(Body::new("no protobuf"));
        let error = service.oneshot(request.unwrap()).await.unwrap_err();
        let status = error.downcast_ref::<Status>().expect("a status");
        assert_eq!(status.code(), tonic::Code::Internal, "{status}");
    }
}
