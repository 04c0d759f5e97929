//! In an activity's inbound stack. The attempt fails and is tried again, in the worker's only slot.

use super::{How, Spawn, Witness, answer, keep, misbehave};
use crate::{
    fixtures::{UserId, Work, worker},
    support::{client, history, patiently, unique, with_worker},
};
use futures::future::pending;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_sdk::{
    WorkerOptions,
    activities::{ActivityContext, ActivityError},
    runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
};
use tower::{Service, ServiceBuilder, layer::layer_fn};
use tower_temporal::{
    Interceptors,
    activity::ExecuteActivity,
    propagation::{ContextKey, PropagationLayer},
};

/// A worker that runs one activity at a time.
pub(super) struct Bench {
    client: Client,
    queue: String,
}

/// A workflow's activity, after it succeeded.
pub(super) struct Ran {
    pub(super) result: Result<String, WorkflowGetResultError>,
    pub(super) attempts: i32,
    /// What the last attempt but one failed with.
    pub(super) last_failure: String,
}

impl Bench {
    /// Runs a workflow with one activity. A slot that was lost would make this hang.
    pub(super) async fn run(&self) -> Ran {
        let id = unique("misbehaving");
        let options = WorkflowStartOptions::new(&self.queue, &id).build();
        let start = self
            .client
            .start_workflow(Work::run, "in".to_owned(), options);
        let handle = start.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        let result = patiently("an activity of a worker with one slot", result).await;
        let events = history(&self.client, &id).await;
        let started = events.into_iter().find_map(|event| match event.attributes {
            Some(Attributes::ActivityTaskStartedEventAttributes(started)) => Some(started),
            _ => None,
        });
        let started = started.expect("the activity was started");
        Ran {
            result,
            attempts: started.attempt,
            last_failure: started
                .last_failure
                .map(|failure| failure.message)
                .unwrap_or_default(),
        }
    }

    /// The worker still has its slot.
    pub(super) async fn assert_alive(&self) {
        for _ in 0..2 {
            let ran = self.run().await;
            ran.result.expect("a further activity succeeds");
            assert_eq!(ran.attempts, 1, "a further activity was tried again");
        }
    }
}

/// Runs `test` beside a worker with one slot, whose activity does what `script` says.
pub(super) async fn bench<F, Fut, T>(
    interceptors: Interceptors,
    script: F,
    test: impl AsyncFnOnce(&Bench) -> T,
) -> T
where
    F: Fn(ActivityContext, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, ActivityError>> + Send + 'static,
{
    let bench = Bench {
        client: client(interceptors).await,
        queue: unique("misbehaving"),
    };
    let options = one_slot(worker(&bench.queue, script));
    with_worker(&bench.client, options, test(&bench)).await
}

fn one_slot(mut options: WorkerOptions) -> WorkerOptions {
    let slots = FixedSizeSlotSupplier::new;
    options.tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(slots(10))
        .activity_task_slot_supplier(slots(1))
        .local_activity_task_slot_supplier(slots(1))
        .nexus_task_slot_supplier(slots(1))
        .build()
        .into();
    options
}

fn inbound<L>(layer: L) -> Interceptors
where
    L: tower_layer::Layer<tower_temporal::Terminal> + Send + Sync + 'static,
    L::Service: tower_temporal::activity::ActivityInboundService,
{
    Interceptors::builder().activity_inbound(layer).build()
}

/// A body that is seen by `body` and, the first time if `hangs`, never ends.
fn script(
    body: &Witness,
    hangs: bool,
) -> impl Fn(
    ActivityContext,
    String,
) -> futures::future::BoxFuture<'static, Result<String, ActivityError>>
+ use<> {
    let body = body.clone();
    move |_, input| {
        let presence = body.enter();
        let hangs = hangs && body.calls() == 1;
        Box::pin(async move {
            let _presence = presence;
            if hangs {
                pending::<()>().await;
            }
            Ok(format!("{input} done"))
        })
    }
}

/// The first attempt fails as `failure` says, after the body has run `bodies` times, and the second succeeds.
async fn assert_first_attempt_fails(
    interceptors: Interceptors,
    hangs: bool,
    bodies: usize,
    failure: &str,
) {
    let body = Witness::default();
    bench(interceptors, script(&body, hangs), async |bench| {
        let ran = bench.run().await;
        assert_eq!(ran.result.expect("the second attempt succeeds"), "in done");
        assert_eq!(ran.attempts, 2, "attempts, with {failure}");
        assert_eq!(ran.last_failure, failure);
        assert_eq!(
            (body.calls(), body.running()),
            (bodies + 1, 0),
            "bodies that have begun, and that still run, with {failure}"
        );
        bench.assert_alive().await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_fails_the_attempt() {
    for how in How::PANICS {
        let layer = misbehave::<ExecuteActivity>(how).once();
        let failure = format!(
            "Activity function panicked: {}",
            how.text::<ExecuteActivity>()
        );
        assert_first_attempt_fails(inbound(layer), false, 0, &failure).await;
    }
}

/// A service that can't be cloned the first time.
struct Brittle<S> {
    inner: S,
    is_cloned: Arc<AtomicBool>,
}

impl<S: Clone> Clone for Brittle<S> {
    fn clone(&self) -> Self {
        assert!(
            self.is_cloned.swap(true, Ordering::SeqCst),
            "it breaks, as the test wants"
        );
        Self {
            inner: self.inner.clone(),
            is_cloned: self.is_cloned.clone(),
        }
    }
}

impl<R, S: Service<R>> Service<R> for Brittle<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

#[tokio::test]
async fn a_panic_where_the_stack_is_cloned_fails_the_attempt() {
    let layer = layer_fn(|inner| Brittle {
        inner,
        is_cloned: Arc::default(),
    });
    let failure = "Activity function panicked: it breaks, as the test wants";
    assert_first_attempt_fails(inbound(layer), false, 0, failure).await;
}

#[tokio::test]
async fn a_failed_readiness_fails_the_attempt() {
    let layer = misbehave::<ExecuteActivity>(How::FailReady).once();
    let failure = How::FailReady.text::<ExecuteActivity>();
    assert_first_attempt_fails(inbound(layer), false, 0, &failure).await;
}

/// Without `load_shed` the attempt would wait, and hold its slot, as a body that never ends does.
#[tokio::test]
async fn load_shed_fails_the_attempt_of_a_layer_that_is_never_ready() {
    let layer = misbehave::<ExecuteActivity>(How::NeverReady).once();
    let stack = ServiceBuilder::new().load_shed().layer(layer);
    assert_first_attempt_fails(inbound(stack), false, 0, "service overloaded").await;
}

#[tokio::test]
async fn dropping_the_inner_call_half_way_drops_the_body() {
    let layer = misbehave::<ExecuteActivity>(How::DropHalfWay).once();
    let failure = How::DropHalfWay.text::<ExecuteActivity>();
    assert_first_attempt_fails(inbound(layer), true, 1, &failure).await;
}

#[tokio::test]
async fn a_layer_can_answer_itself_and_the_body_does_not_run() {
    let body = Witness::default();
    let layer = answer::<ExecuteActivity>(|_| Box::new("the layer's own".to_owned()));
    bench(inbound(layer), script(&body, false), async |bench| {
        let ran = bench.run().await;
        assert_eq!(ran.result.unwrap(), "the layer's own");
        assert_eq!(body.calls(), 0, "the body ran");
        bench.assert_alive().await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_kept_fails_once_its_attempt_has_ended() {
    let body = Witness::default();
    bench(
        inbound(keep::<ExecuteActivity>()),
        script(&body, false),
        async |bench| {
            let ran = bench.run().await;
            assert_eq!(ran.result.expect("the third attempt succeeds"), "in done");
            assert_eq!(ran.attempts, 3);
            assert!(
                ran.last_failure
                    .starts_with("`execute_activity`: the request outlived its call"),
                "{}",
                ran.last_failure
            );
            assert_eq!(body.calls(), 1, "bodies that have begun");
            bench.assert_alive().await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_call_can_go_on_on_another_task_and_keeps_its_context_values() {
    let propagation = PropagationLayer::<UserId>::new;
    let task = Witness::default();
    let interceptors = Interceptors::builder()
        .client(propagation())
        .workflow_inbound(propagation())
        .workflow_outbound(propagation())
        .activity_inbound(
            ServiceBuilder::new()
                .layer(propagation())
                .layer(Spawn)
                .layer(task.clone()),
        )
        .build();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let body = {
        let seen = seen.clone();
        move |_: ActivityContext, input: String| {
            let seen = seen.clone();
            async move {
                let user = UserId::current().map(|user| user.to_string());
                seen.lock().unwrap().push(user);
                tokio::task::yield_now().await;
                let user = UserId::current().map(|user| user.to_string());
                seen.lock().unwrap().push(user);
                Ok(input)
            }
        }
    };
    bench(interceptors, body, async |bench| {
        let ran = UserId::scope("alice".to_owned(), bench.run()).await;
        assert_eq!(ran.result.expect("the activity succeeds"), "in");
        assert_eq!(ran.attempts, 1);
        assert_eq!(
            *seen.lock().unwrap(),
            [Some("alice".to_owned()), Some("alice".to_owned())],
            "whom the body saw when it began, and later"
        );
        assert_eq!(task.running(), 0, "a task was leaked");
        bench.assert_alive().await;
    })
    .await;
}
