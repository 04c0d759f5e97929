//! Calls whose surroundings a test decides: whether they are replayed, and what a workflow's random numbers are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Category, ContextKey, Ending, HeaderMap, HeaderMapMut, Headers, HeadersMut,
    Operation, Queued, Request, Scope, Target,
    probe::{ProbeError, ProbeInput},
};

/// What surrounds a call of these tests.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) is_replaying: AtomicBool,
    /// The workflow is yet to be created.
    is_unborn: bool,
    /// How many random numbers have been drawn. There are none outside workflows.
    draws: Option<AtomicU64>,
}

impl Surroundings {
    /// Those of calls of a client and into activities.
    pub(crate) fn outside() -> Arc<Self> {
        Arc::default()
    }

    /// Those of calls into a workflow and of its own.
    pub(crate) fn workflow(is_replaying: bool) -> Arc<Self> {
        Arc::new(Self {
            is_replaying: is_replaying.into(),
            draws: Some(AtomicU64::new(0)),
            ..Self::default()
        })
    }

    /// Those of the call that creates a workflow.
    pub(crate) fn before_workflow() -> Arc<Self> {
        Arc::new(Self {
            is_unborn: true,
            ..Self::default()
        })
    }
}

/// The [`Scope`] of these calls.
#[derive(Debug)]
pub(crate) struct TestScope;

impl Scope<Arc<Surroundings>> for TestScope {
    type Scoped<K: ContextKey, F: Future> = F;

    fn get<K: ContextKey>(_: &Arc<Surroundings>) -> Option<Arc<K::Value>> {
        None
    }

    fn scope<O, K, F>(
        request: Request<O>,
        _: Option<Arc<K::Value>>,
        call: impl FnOnce(Request<O>) -> F,
    ) -> F
    where
        O: Operation<Context = Arc<Surroundings>>,
        K: ContextKey,
        F: Future,
    {
        call(request)
    }

    fn enter<K: ContextKey, R>(
        _: &Arc<Surroundings>,
        _: Arc<K::Value>,
        f: impl FnOnce() -> R,
    ) -> R {
        f()
    }

    fn random(context: &Arc<Surroundings>, _: &'static str) -> Option<u64> {
        Some(context.draws.as_ref()?.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn is_established(context: &Arc<Surroundings>) -> bool {
        !context.is_unborn
    }

    fn is_replaying(context: &Arc<Surroundings>) -> bool {
        context.is_replaying.load(Ordering::SeqCst)
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident: $name:literal in $category:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $call;

        impl Operation for $call {
            type Input = ProbeInput;
            type Output = u32;
            type Error = ProbeError;
            type Context = Arc<Surroundings>;
            type Scope = TestScope;

            const NAME: &'static str = $name;
            const CATEGORY: Category = Category::$category;

            fn headers(input: &ProbeInput) -> Headers<'_> {
                Headers::one(HeaderMap::Payloads(&input.headers))
            }

            fn headers_mut(input: &mut ProbeInput) -> HeadersMut<'_> {
                HeadersMut::one(HeaderMapMut::Payloads(&mut input.headers))
            }

            fn target<'a>(_: &'a ProbeInput, _: &'a Arc<Surroundings>) -> Target<'a> {
                Target {
                    activity_type: Some("charge"),
                    ..Target::workflow(Some("Order"), Some("order-1"))
                }
            }

            /// Scheduled at second 10, and started at the second that is the argument.
            fn queued(input: &ProbeInput) -> Option<Queued> {
                let second = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
                Some(Queued {
                    scheduled: second(10),
                    started: second(input.value.into()),
                })
            }

            fn error(error: BoxError) -> ProbeError {
                ProbeError::Middleware(error)
            }

            fn ending(error: &ProbeError) -> Ending {
                match error {
                    ProbeError::Failed(text) => match text.as_str() {
                        "benign" => Ending::Benign,
                        "cancelled" => Ending::Cancelled,
                        "continued" => Ending::ContinuedAsNew,
                        _ => Ending::Failed,
                    },
                    _ => Ending::Failed,
                }
            }
        }
    )*};
}

calls! {
    /// A client starts a workflow.
    StartWorkflow: "start_workflow" in ClientOutbound;
    /// A workflow is created.
    InitializeWorkflow: "initialize_workflow" in WorkflowInbound;
    /// A workflow is executed.
    ExecuteWorkflow: "execute" in WorkflowInbound;
    /// A workflow is sent a signal.
    HandleSignal: "handle_signal" in WorkflowInbound;
    /// A workflow schedules an activity.
    ScheduleActivity: "schedule_activity" in WorkflowOutbound;
    /// A workflow starts a timer: there is no span for it.
    StartTimer: "start_timer" in WorkflowOutbound;
    /// An activity is executed.
    ExecuteActivity: "execute_activity" in ActivityInbound;
}

/// Calls `stack`, which need not end in anything of Temporal's.
pub(crate) fn call<O, S>(
    mut stack: S,
    input: impl Into<ProbeInput>,
    surroundings: &Arc<Surroundings>,
) -> S::Future
where
    O: Operation<Input = ProbeInput, Context = Arc<Surroundings>>,
    S: Service<Request<O>>,
{
    stack.call(Request::new(input.into(), surroundings.clone()))
}
