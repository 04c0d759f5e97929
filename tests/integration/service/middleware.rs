//! tower's middleware, and this project's layers, around the service.

use super::Api;
use crate::{
    fixtures::{self, Basket, UserId},
    support::{eventually, history, in_history, plain_client, unique, with_worker},
};
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, UntypedSignal, UntypedWorkflow, Url,
    WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions,
    WorkflowUpdateWithStartOptions,
    errors::WorkflowStartError,
    schedules::{CreateScheduleOptions, ScheduleAction, ScheduleOverlapPolicy, ScheduleSpec},
};
use temporalio_common::data_converters::RawValue;
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType, history::v1::history_event::Attributes,
};
use tonic::{Status, transport::Endpoint};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    hedge::{self, Hedge},
    retry::RetryLayer,
    service_fn,
};
use tower_layer::Layer;
use tower_temporal::{
    Operation, Request,
    client::{
        rpc,
        service::{
            ClientService, ClientServiceExt, CreateSchedule, DeleteSchedule, DescribeWorkflow,
            ExecuteUpdateWithStartWorkflow, ExecuteWorkflowUpdate, IdempotentRetry, PauseSchedule,
            QueryWorkflow, RequestIdLayer, SignalWithStartWorkflow, SignalWorkflow, StartWorkflow,
            TerminateWorkflow, TriggerSchedule,
        },
    },
    propagation::{ContextKey, PropagationLayer},
};
use tower_temporal_test::DevServer;

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

/// A client whose connection has the layer of request ids.
async fn with_request_ids(layer: &RequestIdLayer) -> Client {
    let server = DevServer::shared().await;
    let channel = Endpoint::from_shared(server.address().to_owned()).unwrap();
    let options = ConnectionOptions::new(Url::parse("http://not-looked-at").unwrap()).build();
    let connection = rpc::over(channel.connect_lazy())
        .every_call(layer.clone())
        .connect(options)
        .await
        .unwrap();
    Client::new(connection, ClientOptions::new(server.namespace()).build()).unwrap()
}

/// As [`repeated!`], over a connection that has the layer: what the repeat is answered.
macro_rules! repeated_by_request_id {
    ($layer:expr, $client:expr, $request:expr) => {
        ServiceBuilder::new()
            .layer(RetryLayer::new(IdempotentRetry::new().request_ids(&$layer)))
            .layer(LoseFirst::default())
            .service(ClientService::new($client.clone()))
            .oneshot($request)
            .await
    };
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_is_the_same_start_by_its_request_id() {
    let layer = RequestIdLayer::new();
    let client = with_request_ids(&layer).await;
    for policy in [
        WorkflowIdReusePolicy::AllowDuplicate,
        WorkflowIdReusePolicy::RejectDuplicate,
    ] {
        let id = unique("same-start");
        let options = WorkflowStartOptions::new(&id, &id)
            .id_reuse_policy(policy)
            .build();
        let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
        let handle = repeated_by_request_id!(layer, client, start).unwrap();
        let run_id = run_ids(&client, &id).await;
        assert_eq!(run_id, [handle.run_id().unwrap()], "{policy:?}");

        // It is the id that makes it the same: another start is another.
        let options = WorkflowStartOptions::new(&id, &id)
            .id_reuse_policy(policy)
            .build();
        let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
        match repeated_by_request_id!(layer, client, start).map(drop) {
            Err(error) => assert!(
                matches!(
                    error.downcast_ref(),
                    Some(WorkflowStartError::AlreadyStarted { .. })
                ),
                "{error:?}"
            ),
            Ok(()) => panic!("it runs already"),
        }
    }
}

/// The runs of a workflow id.
async fn run_ids(client: &Client, id: &str) -> Vec<String> {
    eventually("the workflow is listed", async || {
        let query = format!("WorkflowId = '{id}'");
        let listed = client.list_workflows(query, Default::default());
        let listed: Vec<_> = listed.try_collect().await.unwrap();
        let run_ids: Vec<_> = listed.iter().map(|run| run.run_id().to_owned()).collect();
        (!run_ids.is_empty()).then_some(run_ids)
    })
    .await
}

#[tokio::test]
async fn a_start_that_has_ended_meanwhile_is_not_started_again() {
    let layer = RequestIdLayer::new();
    let client = with_request_ids(&layer).await;
    let service = ClientService::new(client.clone());
    let id = unique("ended");
    let options = WorkflowStartOptions::new(&id, &id).build();
    let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options);
    let handle = service.send(start.clone()).await.unwrap();
    let terminate = TerminateWorkflow::new(&handle, Default::default());
    service.send(terminate).await.unwrap();
    let again = service.send(start).await.unwrap();
    assert_eq!(again.run_id(), handle.run_id());
}

#[tokio::test]
async fn a_signal_with_start_whose_workflow_has_ended_meanwhile_starts_no_other() {
    type Basket = SignalWithStartWorkflow<UntypedWorkflow, UntypedSignal<UntypedWorkflow>>;

    let layer = RequestIdLayer::new();
    let client = with_request_ids(&layer).await;
    for (policy, tries) in [
        // By its request id the server knows the signal of a run, and not once that has ended.
        (WorkflowIdReusePolicy::AllowDuplicate, 1),
        (WorkflowIdReusePolicy::RejectDuplicate, 2),
    ] {
        let arrived = Arc::<AtomicUsize>::default();
        let (count, service) = (arrived.clone(), ClientService::new(client.clone()));
        let losing = service_fn(move |request: Request<Basket>| {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let call = service.send(request);
            async move {
                let handle = call.await?;
                if is_first {
                    handle.terminate(Default::default()).await?;
                    return Err(Status::unavailable("the answer is lost").into());
                }
                Ok::<_, BoxError>(())
            }
        });
        let id = unique("ended-after-signal");
        let options = WorkflowStartOptions::new(&id, &id)
            .id_reuse_policy(policy)
            .build();
        let signal = Basket::new(
            UntypedWorkflow::new("Basket"),
            RawValue::empty(),
            UntypedSignal::new("add"),
            RawValue::empty(),
            options,
        );
        let retry = IdempotentRetry::new().request_ids(&layer);
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new(retry))
            .service(losing);
        service.oneshot(signal).await.expect_err("it has ended");
        assert_eq!(arrived.load(Ordering::SeqCst), tries, "{policy:?}");
        let last = client.get_workflow_handle::<UntypedWorkflow>(&id);
        let last = last.describe(Default::default()).await.unwrap();
        assert_eq!(last.status(), WorkflowExecutionStatus::Terminated);
    }
}

#[tokio::test]
async fn what_else_has_a_request_id_is_done_once() {
    let layer = RequestIdLayer::new();
    let client = with_request_ids(&layer).await;
    let id = unique("once");
    let options = WorkflowStartOptions::new(&id, &id)
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .build();
    let signal = SignalWithStartWorkflow::new(
        Basket::run,
        "alice".to_owned(),
        Basket::add,
        "apple".to_owned(),
        options,
    );
    let handle = repeated_by_request_id!(layer, client, signal).unwrap();
    let events = history(&client, &id).await;
    let signals = events
        .iter()
        .filter(|event| event.event_type() == EventType::WorkflowExecutionSignaled);
    assert_eq!(signals.count(), 1);
    handle.terminate(Default::default()).await.unwrap();

    let worker = fixtures::worker(&id, async |_, input| Ok(input));
    with_worker(&client, worker, async {
        let new = format!("{id}-update");
        let policy = WorkflowIdConflictPolicy::Fail;
        let options = WorkflowUpdateWithStartOptions::new(&id, &new, policy).build();
        let put = ExecuteUpdateWithStartWorkflow::new(
            Basket::run,
            "bob".to_owned(),
            Basket::put,
            "pear".to_owned(),
            options,
        );
        // It runs already when the repeat comes, and that is the same start.
        let outcome = repeated_by_request_id!(layer, client, put).unwrap();
        assert_eq!(outcome, "pear of bob");
        let handle = client.get_workflow_handle::<Basket>(&new);
        handle.terminate(Default::default()).await.unwrap();
    })
    .await;

    let action = ScheduleAction::start_workflow(Basket::run, "alice".to_owned(), &id, &id);
    let options = CreateScheduleOptions::builder()
        .action(action)
        .spec(ScheduleSpec::from_interval(Duration::from_secs(3600)))
        .paused(true)
        .build();
    let create = CreateSchedule::new(&id, options);
    let schedule = repeated_by_request_id!(layer, client, create).unwrap();
    // Two triggers in one second are one action, whatever their ids. So the repeat comes later.
    let wait = Duration::from_secs(3);
    let retry = IdempotentRetry::new().request_ids(&layer);
    let service = ClientService::new(client.clone());
    let repeated = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.waits(wait, wait).unwrap()))
        .layer(LoseFirst::default())
        .service(service.clone());
    let trigger = TriggerSchedule::new(&id, ScheduleOverlapPolicy::AllowAll, Default::default());
    repeated.send(trigger).await.unwrap();
    // When this is known, what came before has been seen to.
    let note = "what came before is done";
    let pause = PauseSchedule::new(&id, Some(note.to_owned()), Default::default());
    service.send(pause).await.unwrap();
    let count = eventually("the schedule has a note", async || {
        let described = schedule.describe(Default::default()).await.unwrap();
        (described.note() == Some(note)).then(|| described.action_count())
    })
    .await;
    assert_eq!(count, 1, "one trigger, that was repeated");

    // A deletion has no request id. The repeat finds nothing to delete, and that is as it should be.
    let delete = DeleteSchedule::new(&id, Default::default());
    repeated_by_request_id!(layer, client, delete).unwrap();
    let delete = DeleteSchedule::new(&id, Default::default());
    service.send(delete).await.expect_err("there is none");
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

    // The first call hangs; its hedge is answered.
    let arrived = Arc::new(AtomicUsize::new(0));
    let (count, inner) = (arrived.clone(), service);
    let hanging = service_fn(move |request: Request<DescribeWorkflow>| {
        let hangs = count.fetch_add(1, Ordering::SeqCst) == 0;
        let call = inner.send(request);
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            call.await
        }
    });
    let latencies = [1; 10];
    let hedged = Hedge::new_with_mock_latencies::<Request<DescribeWorkflow>>(
        hanging,
        Always,
        1,
        0.5,
        Duration::from_secs(10),
        &latencies,
    );
    let describe = DescribeWorkflow::new(&handle, Default::default());
    let described = hedged.oneshot(describe).await.unwrap();
    assert_eq!(described.id(), id);
    assert_eq!(arrived.load(Ordering::SeqCst), 2, "the call and its hedge");
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
