//! Ready-made layers in the stack of a worker's activities.

use super::Memory;
use crate::{
    activity::with_activity,
    fixtures::{Activities, UserId, Work, worker},
    support::{client, history, unique, with_worker},
};
use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::{
    RetryPolicy,
    error::ApplicationFailure,
    protos::temporal::api::{
        enums::v1::EventType, failure::v1::failure::FailureInfo,
        history::v1::history_event::Attributes,
    },
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, LocalActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tokio::sync::{Notify, Semaphore, mpsc};
use tower::{ServiceBuilder, util::Either};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal::{
    BoxError, CallInfo, ErrorKind, Interceptors, Next, Operation, Outcome, Request, Terminal,
    activity::{ActivityInboundService, ExecuteActivity},
    audit::{AuditLayer, AuditRecord},
    authorize::AuthorizeLayer,
    catch_panic::CatchPanicLayer,
    dedup::DedupLayer,
    from_fn,
    key::{RequestKey, by_value},
    limit::{
        ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer,
    },
    map_error::{Failed, MapErrorLayer},
    timeout::TimeoutLayer,
    validate::ValidateLayer,
};

/// When each run of an activity began.
type Runs = Arc<Mutex<Vec<Instant>>>;

/// An activity that fails as long as `fails` says so of the how-manieth run, counted from one.
fn runs<F>(
    runs: &Runs,
    fails: F,
) -> impl Fn(ActivityContext, String) -> futures::future::Ready<Result<String, ActivityError>> + use<F>
where
    F: Fn(usize) -> bool + Send + Sync + 'static,
{
    let runs = runs.clone();
    move |_, input| {
        let mut runs = runs.lock().unwrap();
        runs.push(Instant::now());
        futures::future::ready(match fails(runs.len()) {
            true => Err(anyhow::anyhow!("run {} fails", runs.len()).into()),
            false => Ok(format!("{input} done")),
        })
    }
}

#[tokio::test]
async fn a_shed_activity_comes_again_when_there_is_room() {
    const PERIOD: Duration = Duration::from_secs(2);
    let ran = Runs::default();
    let by_type = |call: &CallInfo<'_>| call.target.activity_type.map(str::to_owned);
    let layer = KeyedRateLimitLayer::new(1, PERIOD, by_type).shed();
    // The first run fails. What comes a millisecond later is shed, and the third attempt, the last, is told when to come.
    with_activity(layer, runs(&ran, |run| run == 1), async |running| {
        assert_eq!(running.result().await.unwrap(), "in done");
    })
    .await;
    let ran = ran.lock().unwrap();
    assert_eq!(ran.len(), 2, "the second attempt is shed");
    let pause = ran[1] - ran[0];
    assert!(pause > PERIOD - Duration::from_millis(100), "{pause:?}");
}

/// Runs as many activities at once as there are inputs, each in a workflow of its own.
async fn with_activities<L, F, Fut>(
    layer: L,
    inputs: &[&str],
    script: F,
    test: impl Future<Output = ()>,
) where
    L: Layer<Terminal, Service: ActivityInboundService> + Send + Sync + 'static,
    F: Fn(ActivityContext, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, ActivityError>> + Send + 'static,
{
    let client = client(Interceptors::builder().activity_inbound(layer).build()).await;
    let id = unique("activities");
    with_worker(&client, worker(&id, script), async {
        let results = inputs.iter().map(async |input| {
            let options = WorkflowStartOptions::new(&id, format!("{id}-{input}")).build();
            let start = client.start_workflow(Work::run, input.to_string(), options);
            let handle = start.await.unwrap();
            let result = handle.get_result(WorkflowGetResultOptions::default());
            assert_eq!(result.await.unwrap(), format!("{input} done"));
        });
        futures::future::join(futures::future::join_all(results), test).await;
    })
    .await;
}

#[tokio::test]
async fn activities_over_a_rate_wait() {
    const PERIOD: Duration = Duration::from_secs(1);
    let by_operation = |call: &CallInfo<'_>| Some(call.operation);
    for layer in [
        Either::Left(RateLimitLayer::new(1, PERIOD)),
        Either::Right(KeyedRateLimitLayer::new(1, PERIOD, by_operation)),
    ] {
        let ran = Runs::default();
        with_activities(layer, &["a", "b"], runs(&ran, |_| false), async {}).await;
        let ran = ran.lock().unwrap();
        let pause = ran[1] - ran[0];
        assert!(pause > PERIOD - Duration::from_millis(100), "{pause:?}");
    }
}

#[tokio::test]
async fn activities_over_a_concurrency_limit_wait_for_those_that_run() {
    const LIMIT: usize = 2;
    const INPUTS: [&str; 4] = ["a", "b", "c", "d"];
    for layer in [
        Either::Left(ConcurrencyLimitLayer::new(LIMIT)),
        Either::Right(KeyedConcurrencyLimitLayer::new(
            LIMIT,
            |call: &CallInfo<'_>| call.target.activity_type.map(str::to_owned),
        )),
    ] {
        let (arrive, mut arrived) = mpsc::unbounded_channel();
        let (begin, mut begun) = mpsc::unbounded_channel();
        let (end, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let arrives = from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let _ = arrive.send(());
                next.run(request)
            },
        );
        let body = {
            let (end, may_end) = (end.clone(), may_end.clone());
            move |_: ActivityContext, input: String| {
                let (end, may_end) = (end.clone(), may_end.clone());
                let _ = begin.send(());
                async move {
                    may_end.acquire().await.unwrap().forget();
                    end.add_permits(1);
                    Ok(format!("{input} done"))
                }
            }
        };
        let stack = ServiceBuilder::new().layer(arrives).layer(layer);
        with_activities(stack, &INPUTS, body, async {
            for _ in INPUTS {
                arrived.recv().await.unwrap();
            }
            // All are in the stack. For each that ends another one begins, and no more.
            let mut running = 0;
            for left in (0..INPUTS.len()).rev() {
                while running < LIMIT.min(left + 1) {
                    begun.recv().await.unwrap();
                    running += 1;
                }
                assert!(begun.try_recv().is_err(), "more than {LIMIT} run");
                may_end.add_permits(1);
                end.acquire().await.unwrap().forget();
                running -= 1;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_activity_for_which_there_is_no_place_comes_again() {
    const DELAY: Duration = Duration::from_secs(2);
    let shed = Arc::new(Notify::new());
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let look = {
        let (shed, attempts) = (shed.clone(), attempts.clone());
        from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let (shed, attempts) = (shed.clone(), attempts.clone());
                let attempt = request.target().attempt;
                async move {
                    let began = Instant::now();
                    let result = next.run(request).await;
                    let is_shed = result.is_err();
                    attempts.lock().unwrap().push((attempt, is_shed, began));
                    if is_shed {
                        shed.notify_one();
                    }
                    result
                }
            },
        )
    };
    let stack = ServiceBuilder::new()
        .layer(look)
        .layer(ConcurrencyLimitLayer::new(1).shed(DELAY));
    // The first to come stays until the other has been shed.
    let is_first = AtomicBool::new(true);
    let body = move |_: ActivityContext, input: String| {
        let shed = is_first.swap(false, Ordering::SeqCst).then(|| shed.clone());
        async move {
            if let Some(shed) = shed {
                shed.notified().await;
            }
            Ok(format!("{input} done"))
        }
    };
    with_activities(stack, &["a", "b"], body, async {}).await;
    let mut attempts = attempts.lock().unwrap().clone();
    attempts.sort();
    let [
        (Some(1), false, _),
        (Some(1), true, refused),
        (Some(2), false, again),
    ] = attempts[..]
    else {
        panic!("one is shed once, but {attempts:?}")
    };
    let pause = again - refused;
    assert!(pause > DELAY - Duration::from_millis(100), "{pause:?}");
}

struct Slow;

#[activities]
impl Slow {
    #[activity]
    async fn hang(_: ActivityContext) -> Result<(), ActivityError> {
        futures::future::pending().await
    }
}

/// Runs an activity that hangs, once, with four seconds.
#[workflow]
#[derive(Default)]
struct Hurry;

#[workflow_methods]
impl Hurry {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let once = RetryPolicy::builder().maximum_attempts(1).build();
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(4))
            .retry_policy(once)
            .build();
        Ok(ctx.execute_activity(Slow::hang, (), options).await?)
    }
}

#[tokio::test]
async fn an_activity_reports_its_failure_before_the_server_gives_up() {
    let layer = TimeoutLayer::deadline().margin(Duration::from_secs(2));
    reports_its_deadline(layer).await;
}

#[tokio::test]
async fn an_activity_that_waits_for_a_limit_reports_it_too() {
    let limit = RateLimitLayer::new(1, Duration::from_secs(3600));
    let mut first = limit.layer(Terminal);
    let ready = poll_fn(|cx| Service::<Request<ExecuteActivity>>::poll_ready(&mut first, cx));
    ready.await.expect("there is room for one");
    let stack = ServiceBuilder::new()
        .layer(TimeoutLayer::deadline().margin(Duration::from_secs(2)))
        .layer(limit);
    reports_its_deadline(stack).await;
}

/// Runs an activity that does not end before its deadline.
async fn reports_its_deadline<L>(layer: L)
where
    L: Layer<Terminal, Service: ActivityInboundService> + Send + Sync + 'static,
{
    let client = client(Interceptors::builder().activity_inbound(layer).build()).await;
    let id = unique("hurry");
    let options = WorkerOptions::new(&id)
        .register_workflow::<Hurry>()
        .unwrap()
        .register_activities(Slow)
        .build();
    with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Hurry::run, (), options);
        let handle = start.await.unwrap();
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .expect_err("the activity does not end by itself");
    })
    .await;
    let events = history(&client, &id).await;
    let failed = events.iter().find_map(|event| match &event.attributes {
        Some(Attributes::ActivityTaskFailedEventAttributes(failed)) => failed.failure.as_ref(),
        _ => None,
    });
    let failure = failed.expect("the worker has reported it, not the server");
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            assert_eq!(info.r#type, "DeadlineExceeded");
        }
        other => panic!("expected an application failure, got {other:?}"),
    }
    let timed_out =
        |event: &temporalio_common::protos::temporal::api::history::v1::HistoryEvent| {
            event.event_type() == EventType::ActivityTaskTimedOut
        };
    assert!(!events.iter().any(timed_out));
}

#[tokio::test]
async fn policies_and_validation_refuse_an_activity_for_good() {
    let by_user = AuthorizeLayer::by(by_value::<UserId>(), |user, _| user.is_some());
    let by_argument = ValidateLayer::new(|input: &String, _| match input.as_str() {
        "in" => Err("the input is `in`"),
        _ => Ok(()),
    });
    for (layer, type_name) in [
        (Either::Left(by_user), "PermissionDenied"),
        (Either::Right(by_argument), "InvalidArgument"),
    ] {
        let ran = Runs::default();
        with_activity(layer, runs(&ran, |_| false), async |running| {
            let (_, info) = running.failure().await;
            assert_eq!(info.r#type, type_name);
            assert!(info.non_retryable, "{type_name} is final");
        })
        .await;
        assert!(ran.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_is_outside_of_a_caught_panic_sees_an_error() {
    let (send, mut receive) = mpsc::channel::<AuditRecord>(10);
    let panics = from_fn(
        async |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
            assert!(request.target().attempt > Some(1), "a bug");
            next.run(request).await
        },
    );
    let stack = ServiceBuilder::new()
        .layer(AuditLayer::new(send))
        .layer(CatchPanicLayer::new())
        .layer(panics);
    let ran = Runs::default();
    with_activity(stack, runs(&ran, |_| false), async |running| {
        assert_eq!(running.result().await.unwrap(), "in done");
    })
    .await;
    let outcomes = [receive.recv().await, receive.recv().await].map(|record| {
        let record = record.unwrap();
        (record.target.as_target().attempt, record.outcome)
    });
    let expected = [
        (Some(1), Outcome::Failed(ErrorKind::Panicked)),
        (Some(2), Outcome::Completed),
    ];
    assert_eq!(outcomes, expected);
}

#[derive(Debug)]
struct Declined(&'static str);

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the card was declined: {}", self.0)
    }
}

impl std::error::Error for Declined {}

#[tokio::test]
async fn a_failure_is_reported_as_it_is_mapped() {
    let ran = Arc::new(AtomicU32::new(0));
    let body = {
        let ran = ran.clone();
        move |_: ActivityContext, _: String| {
            ran.fetch_add(1, Ordering::SeqCst);
            async {
                let failure = ApplicationFailure::new(Declined("expired"));
                Err(ActivityError::application(failure))
            }
        }
    };
    let layer = MapErrorLayer::new(|failed: &mut Failed| {
        if let Some(code) = failed.find::<Declined>().map(|declined| declined.0) {
            let details = code.to_owned();
            failed
                .type_name("Declined")
                .non_retryable()
                .details(details);
        }
    });
    with_activity(layer, body, async |running| {
        let (message, info) = running.failure().await;
        assert_eq!(message, "the card was declined: expired");
        assert_eq!(info.r#type, "Declined");
        assert!(info.non_retryable);
        let details = crate::support::json(&info.details);
        assert_eq!(details, [r#""expired""#]);
    })
    .await;
    assert_eq!(ran.load(Ordering::SeqCst), 1, "it is not retried");
}

#[tokio::test]
async fn an_activity_that_was_done_is_not_run_again() {
    let ran = Runs::default();
    let attempts = Arc::new(AtomicU32::new(0));
    // The first attempt is done, but its report gets lost.
    let lose = {
        let attempts = attempts.clone();
        from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let is_first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
                async move {
                    let output = next.run(request).await?;
                    match is_first {
                        true => Err(BoxError::from("lost")),
                        false => Ok(output),
                    }
                }
            },
        )
    };
    let store = Memory::new();
    let stack = ServiceBuilder::new()
        .layer(lose)
        .layer(DedupLayer::new(store.clone()));
    with_activity(stack, runs(&ran, |_| false), async |running| {
        assert_eq!(running.result().await.unwrap(), "in done");
        let run_id = running.handle.run_id().unwrap();
        let events = history(&running.client, &running.id).await;
        let scheduled = events
            .iter()
            .find(|event| event.event_type() == EventType::ActivityTaskScheduled);
        let scheduled = scheduled.expect("it was scheduled");
        let activity_type = match &scheduled.attributes {
            Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => {
                &scheduled.activity_type.as_ref().unwrap().name
            }
            other => panic!("expected another event, got {other:?}"),
        };
        let time = scheduled.event_time.unwrap();
        let nanos = time.seconds * 1_000_000_000 + i64::from(time.nanos);
        let id = crate::fixtures::ACTIVITY_ID;
        let key = serde_json::json!(["default", running.id, run_id, activity_type, id, nanos]);
        let stored = store.0.get(&key.to_string()).await;
        assert_eq!(stored.expect("it is under that key").data, br#""in done""#);
    })
    .await;
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    assert_eq!(ran.lock().unwrap().len(), 1);
}

/// Runs an activity twice, with the same id and another input.
#[workflow]
#[derive(Default)]
struct Again;

#[workflow_methods]
impl Again {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        let mut results = Vec::new();
        for input in ["a", "b"] {
            let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
                .activity_id("the-same".to_owned())
                .build();
            let input = input.to_owned();
            results.push(
                ctx.execute_activity(Activities::work, input, options)
                    .await?,
            );
        }
        Ok(results)
    }
}

#[tokio::test]
async fn another_activity_with_the_same_id_is_run() {
    let layer = DedupLayer::new(Memory::new());
    let client = client(Interceptors::builder().activity_inbound(layer).build()).await;
    let id = unique("again");
    let ran = Runs::default();
    let mut options = worker(&id, runs(&ran, |_| false));
    options.register_workflow::<Again>().unwrap();
    with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Again::run, (), options);
        let handle = start.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), ["a done", "b done"]);
    })
    .await;
    assert_eq!(ran.lock().unwrap().len(), 2);
}

/// Runs a local activity, and has a bug after it. The fixed code gives the activity another input.
#[workflow]
#[derive(Default)]
struct Fixed;

static IS_FIXED: AtomicBool = AtomicBool::new(false);

#[workflow_methods]
impl Fixed {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let is_fixed = IS_FIXED.load(Ordering::SeqCst);
        let input = if is_fixed { "new" } else { "old" }.to_owned();
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(10))
            .build();
        let output = ctx
            .execute_local_activity(Activities::work, input, options)
            .await?;
        if !is_fixed {
            IS_FIXED.store(true, Ordering::SeqCst);
            panic!("a bug");
        }
        Ok(output)
    }
}

/// Tells activities apart by the run they are of and by their input.
#[derive(Clone)]
struct ByInput;

impl RequestKey for ByInput {
    type Key = String;

    fn key<O: Operation>(&self, request: &Request<O>) -> Option<String> {
        let [input, _] = O::args::<String>(request);
        Some(format!("{} {}", request.target().run_id?, input?))
    }
}

#[tokio::test]
async fn a_local_activity_is_answered_though_it_has_another_input_unless_that_is_in_the_key() {
    let by_identity = DedupLayer::new(Memory::new());
    let by_input = DedupLayer::new(Memory::new()).key(ByInput);
    for (layer, expected) in [
        (Either::Left(by_identity), "old done"),
        (Either::Right(by_input), "new done"),
    ] {
        IS_FIXED.store(false, Ordering::SeqCst);
        let client = client(Interceptors::builder().activity_inbound(layer).build()).await;
        let id = unique("fixed");
        let ran = Runs::default();
        let mut options = worker(&id, runs(&ran, |_| false));
        options.register_workflow::<Fixed>().unwrap();
        with_worker(&client, options, async {
            let options = WorkflowStartOptions::new(&id, &id).build();
            let start = client.start_workflow(Fixed::run, (), options);
            let handle = start.await.unwrap();
            let result = handle.get_result(WorkflowGetResultOptions::default());
            assert_eq!(result.await.unwrap(), expected);
        })
        .await;
    }
}
