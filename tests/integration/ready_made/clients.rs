//! Ready-made layers in the stack of a client.

use crate::{
    fixtures::UserId,
    middleware::{count, start, wait_in_vain},
    support::{client_of, plain_client, unique},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use temporalio_client::{
    Client, RpcOptions, WorkflowStartOptions,
    errors::{ClientError, WorkflowStartError},
};
use tokio::sync::mpsc;
use tonic::Code;
use tower::ServiceBuilder;
use tower_temporal::{
    BoxError, CallInfo, Category, ContextKey, Denied, ErrorKind, Intercept, Invalid, Next,
    Operation, Outcome, Overloaded, Request,
    audit::{AuditLayer, AuditRecord},
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    catch_panic::{CatchPanicLayer, Panicked},
    client::{CountWorkflows, FetchWorkflowHistoryPage, StartWorkflow},
    from_fn, intercept,
    key::by_value,
    limit::{ConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer},
    map_error::{Failed, MapErrorLayer},
    timeout::TimeoutLayer,
    validate::ValidateLayer,
};

const HOUR: Duration = Duration::from_secs(3600);

/// The error of this type that a call failed with, and the code of its status.
#[track_caller]
fn refused<E: std::error::Error + Clone + 'static>(
    result: Result<(), WorkflowStartError>,
) -> (Code, E) {
    let Err(WorkflowStartError::Rpc(status)) = result else {
        panic!("the call should have been refused, but {result:?}")
    };
    let source = std::error::Error::source(&status).expect("the layer's error is the source");
    let source = source.downcast_ref::<E>();
    let error = source.unwrap_or_else(|| panic!("the error is another: {status:?}"));
    (status.code(), error.clone())
}

#[tokio::test]
async fn a_timeout_is_told_to_the_server_unless_the_caller_has_less() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let look = {
        let told = told.clone();
        from_fn(
            move |request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
                told.lock().unwrap().push(request.rpc_options.timeout);
                next.run(request)
            },
        )
    };
    let stack = ServiceBuilder::new()
        .layer(TimeoutLayer::new(Duration::from_secs(20)))
        .layer(look);
    let client = client_of(stack).await;
    start(&client, &unique("told")).await.unwrap();
    let id = unique("told");
    let rpc = RpcOptions::builder()
        .timeout(Duration::from_secs(5))
        .build();
    let options = WorkflowStartOptions::new(&id, &id).rpc_options(rpc).build();
    client
        .start_workflow(crate::fixtures::Basket::run, "alice".to_owned(), options)
        .await
        .unwrap();
    let expected = [20, 5].map(|seconds| Some(Duration::from_secs(seconds)));
    assert_eq!(*told.lock().unwrap(), expected);
}

/// How often a client asks in two seconds that waits for the result of a workflow which nobody runs.
async fn polls(id: &str, layer: TimeoutLayer) -> usize {
    let polls = Arc::new(AtomicUsize::new(0));
    let count = {
        let polls = polls.clone();
        from_fn(
            move |request: Request<FetchWorkflowHistoryPage>,
                  next: Next<FetchWorkflowHistoryPage>| {
                polls.fetch_add(1, Ordering::SeqCst);
                next.run(request)
            },
        )
    };
    let client = client_of(ServiceBuilder::new().layer(layer).layer(count)).await;
    let wait = wait_in_vain(&client, id);
    let waited = tokio::time::timeout(Duration::from_secs(2), wait).await;
    assert!(waited.is_err(), "it should still wait, but {waited:?}");
    polls.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_timeout_leaves_long_polls_alone_unless_told() {
    let id = unique("long-poll");
    start(&plain_client().await, &id).await.unwrap();
    let layer = TimeoutLayer::new(Duration::from_millis(500));
    assert_eq!(polls(&id, layer).await, 1, "the server lets it wait");
    // The server is told, and answers a poll in time, with nothing.
    let short = layer.long_polls(Duration::from_millis(500));
    let polls = polls(&id, short).await;
    assert!(polls > 2, "{polls} polls");
}

async fn start_as(client: &Client, user: &str, id: &str) -> Result<(), WorkflowStartError> {
    UserId::scope(user.to_owned(), start(client, id)).await
}

#[tokio::test]
async fn a_policy_says_who_may_start_what() {
    let layer = AuthorizeLayer::by(by_value::<UserId>(), |user, call| {
        let user = user.map_or("nobody", |user| user.as_str());
        match (call.operation, user, call.target.workflow_type) {
            ("start_workflow", "alice", Some("Basket")) => Ok(()),
            ("start_workflow", ..) => Err(format!("{user} may not start {}", call.target)),
            _ => Ok(()),
        }
    });
    let client = client_of(layer).await;
    start_as(&client, "alice", &unique("policy")).await.unwrap();
    count(&client).await.expect("anybody may count");
    let (code, denied) = refused::<Denied>(start_as(&client, "mallory", &unique("policy")).await);
    assert_eq!(code, Code::PermissionDenied);
    assert_eq!(denied.reason(), "mallory may not start Basket");
}

#[tokio::test]
async fn a_policy_can_take_its_time() {
    let layer = AsyncAuthorizeLayer::new(|call: &CallInfo<'_>| {
        let is_start = call.operation == "start_workflow";
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            match is_start {
                true => Err(Denied::new("nothing new today")),
                false => Ok(()),
            }
        }
    });
    let client = client_of(layer).await;
    count(&client).await.unwrap();
    let (code, _) = refused::<Denied>(start(&client, &unique("policy")).await);
    assert_eq!(code, Code::PermissionDenied);
}

#[tokio::test]
async fn typed_arguments_are_looked_at() {
    let layer = ValidateLayer::new(|owner: &String, call| match owner.as_str() {
        "alice" => Err(format!("{}: alice has a basket", call.operation)),
        _ => Ok(()),
    });
    let client = client_of(layer).await;
    let (code, invalid) = refused::<Invalid>(start(&client, &unique("validate")).await);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(invalid.reason(), "start_workflow: alice has a basket");
}

#[tokio::test]
async fn a_call_over_the_rate_is_shed() {
    let all = client_of(RateLimitLayer::new(1, HOUR).shed()).await;
    start(&all, &unique("rate")).await.unwrap();
    let (code, overloaded) = refused::<Overloaded>(start(&all, &unique("rate")).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(overloaded.retry_after.unwrap() > HOUR / 2);

    let by_operation = |call: &CallInfo<'_>| Some(call.operation);
    let keyed = client_of(KeyedRateLimitLayer::new(1, HOUR, by_operation).shed()).await;
    start(&keyed, &unique("rate")).await.unwrap();
    count(&keyed).await.expect("it is another operation");
    refused::<Overloaded>(start(&keyed, &unique("rate")).await);
}

/// Counts while a client that may make one call at a time waits for the result of a workflow.
async fn count_while_one_waits(layer: ConcurrencyLimitLayer) -> Result<usize, ClientError> {
    let (polls, mut polled) = mpsc::unbounded_channel();
    let tell = from_fn(
        move |request: Request<FetchWorkflowHistoryPage>, next: Next<FetchWorkflowHistoryPage>| {
            let _ = polls.send(CallInfo::new(&request).is_long_poll);
            next.run(request)
        },
    );
    let client = client_of(ServiceBuilder::new().layer(layer).layer(tell)).await;
    let id = unique("places");
    start(&plain_client().await, &id).await.unwrap();
    tokio::select! {
        waited = wait_in_vain(&client, &id) => panic!("it should still wait, but {waited:?}"),
        counted = async {
            assert_eq!(polled.recv().await, Some(true), "it waits at the server");
            count(&client).await
        } => counted,
    }
}

#[tokio::test]
async fn waiting_for_a_result_takes_no_place_of_a_concurrency_limit() {
    let layer = ConcurrencyLimitLayer::new(1).shed(HOUR);
    count_while_one_waits(layer.clone()).await.unwrap();
    match count_while_one_waits(layer.long_polls()).await {
        Err(ClientError::Rpc(status)) => assert_eq!(status.code(), Code::ResourceExhausted),
        other => panic!("the place should be taken, but {other:?}"),
    }
}

#[tokio::test]
async fn a_panic_of_a_layer_is_an_error_of_the_call() {
    let panics = from_fn(async |_: Request<StartWorkflow>, _: Next<StartWorkflow>| {
        panic!("a bug");
        #[allow(unreachable_code)]
        Err::<temporalio_client::StartWorkflowOutput, BoxError>("".into())
    });
    let stack = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(panics);
    let client = client_of(stack).await;
    let (code, panicked) = refused::<Panicked>(start(&client, &unique("panic")).await);
    assert_eq!(code, Code::Internal);
    assert_eq!(panicked.text(), "a bug");
    count(&client).await.expect("the client goes on");
}

#[tokio::test]
async fn an_error_is_replaced() {
    let fail = from_fn(
        async |_: Request<CountWorkflows>, _: Next<CountWorkflows>| {
            Err::<temporalio_client::CountWorkflowsOutput, _>(Denied::new("no"))
        },
    );
    let replace = MapErrorLayer::new(|failed: &mut Failed| {
        assert_eq!(failed.kind(), ErrorKind::Denied);
        failed.replace(tonic::Status::unauthenticated("who are you?"));
    });
    let stack = ServiceBuilder::new().layer(replace).layer(fail);
    match count(&client_of(stack).await).await {
        Err(ClientError::Rpc(status)) => assert_eq!(status.code(), Code::Unauthenticated),
        other => panic!("expected another error, got {other:?}"),
    }
}

#[tokio::test]
async fn every_call_has_a_record() {
    let (send, mut receive) = mpsc::channel::<AuditRecord<String>>(100);
    let stack = ServiceBuilder::new()
        .layer(AuditLayer::new(send).who::<UserId>())
        .layer(AuthorizeLayer::new(|call: &CallInfo<'_>| {
            call.operation != "count_workflows"
        }));
    let client = client_of(stack).await;
    let id = unique("audit");
    start_as(&client, "alice", &id).await.unwrap();
    count(&client).await.unwrap_err();

    let started = receive.recv().await.unwrap();
    assert_eq!(started.category, Category::ClientOutbound);
    assert_eq!(started.operation, "start_workflow");
    let target = started.target.as_target();
    assert_eq!(target.workflow_type, Some("Basket"));
    assert_eq!(target.workflow_id, Some(id.as_str()));
    assert_eq!(started.who.as_deref().map(String::as_str), Some("alice"));
    assert_eq!(started.outcome, Outcome::Completed);
    assert!(started.latency.unwrap() > Duration::ZERO);
    let counted = receive.recv().await.unwrap();
    assert_eq!(counted.operation, "count_workflows");
    assert_eq!(counted.who, None);
    assert_eq!(counted.outcome, Outcome::Failed(ErrorKind::Denied));
}

/// A layer of one's own, of hooks.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl Intercept for Names {
    type State<O: Operation> = ();

    fn before<O: Operation>(&self, _: &mut Request<O>) -> Result<(), BoxError> {
        self.0.lock().unwrap().push(O::NAME);
        Ok(())
    }
}

#[tokio::test]
async fn hooks_make_a_layer() {
    let names = Names::default();
    let client = client_of(intercept(names.clone())).await;
    start(&client, &unique("hooks")).await.unwrap();
    count(&client).await.unwrap();
    assert_eq!(
        *names.0.lock().unwrap(),
        ["start_workflow", "count_workflows"]
    );
}
