use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use temporalio_sdk::{
    SyncWorkflowContext, WorkflowContext, WorkflowContextFuture, WorkflowContextKey,
    WorkflowContextView,
    workflow_interceptors::{SyncWorkflowInterceptorContext, WorkflowInterceptorContext},
};
use tower_temporal_core::{ContextKey, Operation, Request, Scope, Target};

/// Context values that belong to a workflow's own context, so that replay sees the same.
#[derive(Clone, Copy, Debug)]
pub struct WorkflowScope;

/// The key `K`, as the SDK's workflow context knows it.
struct Key<K>(PhantomData<fn() -> K>);

impl<K: ContextKey> WorkflowContextKey for Key<K> {
    type Value = Arc<K::Value>;
}

/// Reads context values in workflow code.
///
/// ```
/// use temporalio_sdk::{WorkflowContext, WorkflowResult, workflows::{workflow, workflow_methods}};
/// use tower_temporal_core::ContextKey;
/// use tower_temporal_worker::workflow::ContextValues;
///
/// struct UserId;
///
/// impl ContextKey for UserId {
///     type Value = String;
///     const HEADER: &'static str = "user-id";
/// }
///
/// #[workflow]
/// #[derive(Default)]
/// struct Greeting;
///
/// #[workflow_methods]
/// impl Greeting {
///     #[run]
///     async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
///         Ok(match ctx.current::<UserId>() {
///             Some(user) => format!("Hello, {user}"),
///             None => "Hello".to_owned(),
///         })
///     }
/// }
/// ```
pub trait ContextValues {
    /// The value that surrounds the code being run, if there is one.
    fn current<K: ContextKey>(&self) -> Option<Arc<K::Value>>;
}

/// Sets context values in workflow code.
pub trait ContextScope: ContextValues {
    /// Runs `future` with `value` set: `ctx.scope::<UserId, _>(user, ctx.execute_activity(…)).await`.
    fn scope<K: ContextKey, F: Future>(&self, value: K::Value, future: F) -> WorkflowScoped<F>;
}

macro_rules! context_values {
    ($($context:ident $(<$w:ident>)?,)*) => {$(
        impl $(<$w>)? ContextValues for $context $(<$w>)? {
            fn current<K: ContextKey>(&self) -> Option<Arc<K::Value>> {
                self.context_value::<Key<K>>().map(|value| Arc::clone(&value))
            }
        }
    )*};
}

context_values! {
    WorkflowContext<W>,
    SyncWorkflowContext<W>,
    WorkflowContextView,
    WorkflowInterceptorContext,
    SyncWorkflowInterceptorContext,
}

impl<W> ContextScope for WorkflowContext<W> {
    fn scope<K: ContextKey, F: Future>(&self, value: K::Value, future: F) -> WorkflowScoped<F> {
        WorkflowScoped {
            inner: Inner::Within {
                future: self.with_context_value::<Key<K>, _>(Arc::new(value), future),
            },
        }
    }
}

/// A context of the SDK's knows which workflow it belongs to.
pub(super) trait InWorkflow {
    /// The workflow, as what a call is aimed at.
    fn workflow(&self) -> Target<'_>;

    /// The workflow, as what a call comes from.
    fn caller(&self) -> Target<'_>;
}

macro_rules! in_workflow {
    ($($context:ident,)*) => {$(
        impl InWorkflow for $context {
            fn workflow(&self) -> Target<'_> {
                Target {
                    run_id: Some(self.run_id()),
                    ..Target::workflow(Some(self.workflow_type()), Some(self.workflow_id()))
                }
            }

            fn caller(&self) -> Target<'_> {
                Target {
                    task_queue: Some(self.task_queue()),
                    ..self.workflow()
                }
            }
        }
    )*};
}

in_workflow! {
    WorkflowContextView,
    WorkflowInterceptorContext,
    SyncWorkflowInterceptorContext,
}

impl Scope<WorkflowInterceptorContext> for WorkflowScope {
    type Scoped<K: ContextKey, F: Future> = WorkflowScoped<F>;

    fn get<K: ContextKey>(context: &WorkflowInterceptorContext) -> Option<Arc<K::Value>> {
        context.current::<K>()
    }

    fn scope<O, K, F>(
        request: Request<O>,
        value: Option<Arc<K::Value>>,
        call: impl FnOnce(Request<O>) -> F,
    ) -> WorkflowScoped<F>
    where
        O: Operation<Context = WorkflowInterceptorContext>,
        K: ContextKey,
        F: Future,
    {
        let inner = match value {
            Some(value) => {
                let context = request.context().clone();
                let future =
                    context.with_context_value_sync::<Key<K>, _>(value.clone(), || call(request));
                Inner::Within {
                    future: context.with_context_value::<Key<K>, _>(value, future),
                }
            }
            None => Inner::Plain {
                future: call(request),
            },
        };
        WorkflowScoped { inner }
    }

    fn enter<K: ContextKey, R>(
        context: &WorkflowInterceptorContext,
        value: Arc<K::Value>,
        f: impl FnOnce() -> R,
    ) -> R {
        context.with_context_value_sync::<Key<K>, _>(value, f)
    }

    fn caller(context: &WorkflowInterceptorContext) -> Target<'_> {
        context.caller()
    }

    fn random(context: &WorkflowInterceptorContext, stream: &'static str) -> Option<u64> {
        Some(context.random_stream(stream).random())
    }

    fn is_replaying(context: &WorkflowInterceptorContext) -> bool {
        context.is_replaying_history_events()
    }
}

impl Scope<SyncWorkflowInterceptorContext> for WorkflowScope {
    type Scoped<K: ContextKey, F: Future> = SyncScoped<K, F>;

    fn get<K: ContextKey>(context: &SyncWorkflowInterceptorContext) -> Option<Arc<K::Value>> {
        context.current::<K>()
    }

    fn scope<O, K, F>(
        request: Request<O>,
        value: Option<Arc<K::Value>>,
        call: impl FnOnce(Request<O>) -> F,
    ) -> SyncScoped<K, F>
    where
        O: Operation<Context = SyncWorkflowInterceptorContext>,
        K: ContextKey,
        F: Future,
    {
        let scope = value.map(|value| (request.context().clone(), value));
        let future = match &scope {
            Some((context, value)) => {
                context.with_context_value::<Key<K>, _>(value.clone(), || call(request))
            }
            None => call(request),
        };
        SyncScoped { scope, future }
    }

    fn enter<K: ContextKey, R>(
        context: &SyncWorkflowInterceptorContext,
        value: Arc<K::Value>,
        f: impl FnOnce() -> R,
    ) -> R {
        context.with_context_value::<Key<K>, _>(value, f)
    }

    fn caller(context: &SyncWorkflowInterceptorContext) -> Target<'_> {
        context.caller()
    }

    fn is_replaying(context: &SyncWorkflowInterceptorContext) -> bool {
        context.is_replaying_history_events()
    }
}

/// Before a workflow exists, its context can be read but not set, and does not tell whether it is being replayed.
impl Scope<WorkflowContextView> for WorkflowScope {
    type Scoped<K: ContextKey, F: Future> = F;

    fn get<K: ContextKey>(context: &WorkflowContextView) -> Option<Arc<K::Value>> {
        context.current::<K>()
    }

    fn scope<O, K, F>(
        request: Request<O>,
        _: Option<Arc<K::Value>>,
        call: impl FnOnce(Request<O>) -> F,
    ) -> F
    where
        O: Operation<Context = WorkflowContextView>,
        K: ContextKey,
        F: Future,
    {
        call(request)
    }

    fn enter<K: ContextKey, R>(
        _: &WorkflowContextView,
        _: Arc<K::Value>,
        f: impl FnOnce() -> R,
    ) -> R {
        f()
    }

    fn is_established(_: &WorkflowContextView) -> bool {
        false
    }

    fn caller(context: &WorkflowContextView) -> Target<'_> {
        context.caller()
    }
}

pin_project! {
    /// A future that runs with a context value set in its workflow.
    #[must_use = "futures do nothing unless polled"]
    pub struct WorkflowScoped<F> {
        #[pin]
        inner: Inner<F>,
    }
}

pin_project! {
    #[project = InnerProj]
    enum Inner<F> {
        Plain { #[pin] future: F },
        Within { #[pin] future: WorkflowContextFuture<F> },
    }
}

impl<F: Future> Future for WorkflowScoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().inner.project() {
            InnerProj::Plain { future } => future.poll(cx),
            InnerProj::Within { future } => future.poll(cx),
        }
    }
}

impl<F> fmt::Debug for WorkflowScoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowScoped").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a synchronous call that runs with a context value set in its workflow.
    #[must_use = "futures do nothing unless polled"]
    pub struct SyncScoped<K: ContextKey, F> {
        scope: Option<(SyncWorkflowInterceptorContext, Arc<K::Value>)>,
        #[pin]
        future: F,
    }
}

impl<K: ContextKey, F: Future> Future for SyncScoped<K, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future;
        match this.scope {
            Some((context, value)) => {
                context.with_context_value::<Key<K>, _>(value.clone(), || future.poll(cx))
            }
            None => future.poll(cx),
        }
    }
}

impl<K: ContextKey, F> fmt::Debug for SyncScoped<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncScoped").finish_non_exhaustive()
    }
}
