//! tower's middleware, and this project's layers, around the service.

use super::Api;
use crate::{
    fixtures::{self, Basket},
    support::{history, in_history, plain_client, unique, with_worker},
};
use futures::{FutureExt, future::BoxFuture};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use temporalio_client::{WorkflowIdReusePolicy, WorkflowStartOptions, errors::WorkflowStartError};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType, history::v1::history_event::Attributes,
};
use tonic::Status;
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    hedge::{self, Hedge},
    retry::RetryLayer,
};
use tower_layer::Layer;
use tower_temporal::{
    Operation, Request,
    client::service::{
        ClientService, DescribeWorkflow, ExecuteWorkflowUpdate, IdempotentRetry, QueryWorkflow,
        SignalWorkflow, StartWorkflow,
    },
    propagation::{ContextKey, PropagationLayer},
};

/// A layer that lets the first call through, and loses its answer.
#[derive(Clone, Default)]
struct LoseFirst(Arc<AtomicBool>);

#[derive(Clone)]
struct Losing<S> {
    has_lost: Arc<AtomicBool>,
    inner: S,
}

impl<S> Layer<S> for LoseFirst {
    type Service = Losing<S>;

    fn layer(&self, inner: S) -> Losing<S> {
        Losing {
            has_lost: self.0.clone(),
            inner,
        }
    }
}

impl<O, S> Service<Request<O>> for Losing<S>
where
    O: Operation,
    S: Service<Request<O>, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let loses = !self.has_lost.swap(true, Ordering::SeqCst);
        let call = self.inner.call(request);
        call.map(move |answer| {
            let answer = answer.map_err(Into::into)?;
            if loses {
                return Err(Status::unavailable("the answer is lost").into());
            }
            Ok(answer)
        })
        .boxed()
    }
}

/// Calls a service that repeats calls, of which the first loses its answer.
macro_rules! repeated {
    ($api:expr, $request:expr) => {
        ServiceBuilder::new()
            .layer(RetryLayer::new(IdempotentRetry::new()))
            .layer(LoseFirst::default())
            .service($api.service.clone())
            .oneshot($request)
            .await
    };
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_made_again_and_is_one_call_to_the_server() {
    let api = Api::new().await;
    let id = unique("repeated");
    let worker = fixtures::worker(&id, async |_, input| Ok(input));
    with_worker(api.client(), worker, async {
        let options = WorkflowStartOptions::new(&id, &id)
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .build();
        let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
        let error = match repeated!(api, start) {
            Ok(_) => panic!("the second start finds the first"),
            Err(error) => error,
        };
        let describe = DescribeWorkflow::new(&id, Default::default());
        let run_id = api.call(describe).await.unwrap().run_id().to_owned();
        match error.downcast_ref() {
            Some(WorkflowStartError::AlreadyStarted {
                run_id: Some(run), ..
            }) => assert_eq!(*run, run_id),
            _ => panic!("the second start finds the first: {error:?}"),
        }

        let apple = "apple".to_owned();
        let signal = SignalWorkflow::new(&id, Basket::add, apple, Default::default());
        repeated!(api, signal).unwrap();
        let pear = "pear".to_owned();
        let update = ExecuteWorkflowUpdate::new(&id, Basket::put, pear, Default::default());
        assert_eq!(repeated!(api, update).unwrap(), "pear of alice");
        let query = QueryWorkflow::new(&id, Basket::items, String::new(), Default::default());
        assert_eq!(repeated!(api, query).unwrap(), ["apple", "pear"]);
    })
    .await;

    let called = api.around.operations();
    for operation in [
        "start_workflow",
        "signal_workflow",
        "execute_workflow_update",
        "query_workflow",
    ] {
        let count = called.iter().filter(|called| **called == operation).count();
        assert_eq!(count, 2, "{operation} was made twice: {called:?}");
    }
    let events = history(api.client(), &id).await;
    let signals = events
        .iter()
        .filter(|event| event.event_type() == EventType::WorkflowExecutionSignaled);
    assert_eq!(signals.count(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_of_a_call_that_can_t_be_repeated_is_the_caller_s() {
    let api = Api::new().await;
    let id = unique("not-repeated");
    let options = WorkflowStartOptions::new(&id, &id).build();
    let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
    let error = match repeated!(api, start) {
        Ok(_) => panic!("it could have started it again"),
        Err(error) => error,
    };
    assert!(error.is::<Status>(), "{error:?}");
    assert_eq!(api.around.operations(), ["start_workflow"]);
}

/// Hedges every call.
#[derive(Clone)]
struct Always;

impl<R: Clone> hedge::Policy<R> for Always {
    fn clone_request(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }

    fn can_retry(&self, _: &R) -> bool {
        true
    }
}

#[tokio::test]
async fn requests_can_be_hedged_and_buffered() {
    let service = ClientService::new(plain_client().await);
    let id = unique("hedged");
    let options = WorkflowStartOptions::new(&id, &id).build();
    let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
    let buffered = ServiceBuilder::new()
        .buffer(8)
        .concurrency_limit(1)
        .timeout(Duration::from_secs(30))
        .service(service.clone());
    let handle = buffered.oneshot(start).await.unwrap();

    let mut hedged =
        Hedge::new::<Request<DescribeWorkflow>>(service, Always, 1, 0.5, Duration::from_secs(10));
    for _ in 0..4 {
        let describe = DescribeWorkflow::new(&handle, Default::default());
        let described = (&mut hedged).oneshot(describe).await.unwrap();
        assert_eq!(described.id(), id);
    }
}

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

#[tokio::test]
async fn a_layer_writes_headers_that_the_workflow_gets() {
    let client = plain_client().await;
    let service = ServiceBuilder::new()
        .layer(PropagationLayer::<UserId>::new())
        .service(ClientService::new(client.clone()));
    let id = unique("service-headers");
    let options = WorkflowStartOptions::new(&id, &id).build();
    let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
    UserId::scope("mallory".to_owned(), service.oneshot(start))
        .await
        .unwrap();
    let header = in_history(&client, &id, "it was started", |event| match event {
        Attributes::WorkflowExecutionStartedEventAttributes(started) => started.header.clone(),
        _ => None,
    })
    .await;
    assert_eq!(header.fields[UserId::HEADER].data, br#""mallory""#);
}
