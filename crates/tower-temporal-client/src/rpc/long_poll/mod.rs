//! Calls that the server holds until something happens, and how a layer is kept from them.
//!
//! A worker asks for tasks with calls that last up to a minute; clients wait for results and updates the same way. A
//! timeout of a few seconds, a hedge, or a limit on concurrent calls that is right for all other calls breaks them:
//!
//! ```
//! use std::time::Duration;
//! use tower::timeout::TimeoutLayer;
//! use tower_temporal_client::rpc;
//! # use rpc::{Rpc, Typed, workflow_service::{CountWorkflowExecutions, PollActivityTaskQueue}};
//! # use tower::{ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! # // What a channel would be, to a server that takes a minute.
//! # let channel = service_fn(|_: http::Request<tonic::body::Body>| async move {
//! #     tokio::time::sleep(Duration::from_secs(60)).await;
//! #     Ok::<_, tonic::Status>(rpc::encode_response(Ok(tonic::Response::new(()))))
//! # });
//! let connection = rpc::over(channel).short_calls(TimeoutLayer::new(Duration::from_secs(5)));
//! # let service = connection.into_service();
//! # let poll = Typed::<PollActivityTaskQueue, _>::new(service.clone());
//! # poll.oneshot(tonic::Request::new(Default::default())).await.unwrap();
//! # let count = Typed::<CountWorkflowExecutions, _>::new(service);
//! # let status = count.oneshot(tonic::Request::new(Default::default())).await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
//! # });
//! ```
//!
//! In a stack that is built by hand, [`unless_long_poll`] is the layer that does it.
//!
//! Which methods wait is read from the SDK's protos when this crate is built: those named `Poll…`, those that wait for a stage
//! of an update, and those whose request has `wait_new_event` or a `long_poll_token` set.
//! [`Operation::is_long_poll`](tower_temporal_core::Operation::is_long_poll) says it for each method's message.

mod layer;
mod service;

pub use self::{
    layer::{UnlessLongPollLayer, unless_long_poll},
    service::UnlessLongPoll,
};

use super::{Body, method};
use http::Request;

/// Whether the server holds this call until something happens.
///
/// A method that is not in the SDK's protos is none that waits.
pub fn is_long_poll(request: &Request<Body>) -> bool {
    method::is_long_poll(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{
        Rpc,
        workflow_service::{
            DescribeActivityExecution, GetWorkflowExecutionHistory, PollActivityTaskQueue,
            StartWorkflowExecution,
        },
    };
    use prost::Message;
    use std::{future::pending, time::Duration};
    use temporalio_protos::temporal::api::{
        common::v1::WorkflowExecution,
        workflowservice::v1::{
            DescribeActivityExecutionRequest, GetWorkflowExecutionHistoryRequest,
        },
    };
    use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn, timeout::TimeoutLayer};

    fn request<R: Rpc>(message: &R::Input) -> Request<Body> {
        let mut request = Request::new(Body::new(message.encode_to_vec()));
        *request.uri_mut() = R::PATH.parse().unwrap();
        request
    }

    #[test]
    fn a_history_is_waited_for_only_if_the_request_says_so() {
        let mut history = GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: Some(WorkflowExecution::default()),
            maximum_page_size: 5,
            next_page_token: b"token".to_vec(),
            skip_archival: true,
            ..Default::default()
        };
        assert!(!is_long_poll(&request::<GetWorkflowExecutionHistory>(
            &history
        )));
        history.wait_new_event = true;
        assert!(is_long_poll(&request::<GetWorkflowExecutionHistory>(
            &history
        )));

        let mut describe = DescribeActivityExecutionRequest {
            activity_id: "a".to_owned(),
            ..Default::default()
        };
        assert!(!is_long_poll(&request::<DescribeActivityExecution>(
            &describe
        )));
        describe.long_poll_token = b"token".to_vec();
        assert!(is_long_poll(&request::<DescribeActivityExecution>(
            &describe
        )));
    }

    #[test]
    fn a_message_that_can_t_be_read_is_not_waited_for() {
        let mut request = request::<GetWorkflowExecutionHistory>(&Default::default());
        *request.body_mut() = Body::new(&b"\xff\xff"[..]);
        assert!(!is_long_poll(&request));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_kept_from_long_polls() {
        let service = ServiceBuilder::new()
            .layer(unless_long_poll(TimeoutLayer::new(Duration::from_secs(5))))
            .service(service_fn(|_: Request<Body>| {
                pending::<Result<http::Response<Body>, BoxError>>()
            }));
        let minute = Duration::from_secs(60);
        let start = service
            .clone()
            .oneshot(request::<StartWorkflowExecution>(&Default::default()));
        let timed_out = tokio::time::timeout(minute, start)
            .await
            .expect("the layer's timeout");
        assert!(
            timed_out
                .unwrap_err()
                .is::<tower::timeout::error::Elapsed>()
        );
        let poll = service.oneshot(request::<PollActivityTaskQueue>(&Default::default()));
        assert!(tokio::time::timeout(minute, poll).await.is_err());
    }
}
