//! Calls that activities make. The Rust SDK has no interceptor for them, so this module has the calls themselves.

mod error;
mod operations;

pub use self::{error::OutboundError, operations::*};

use futures_util::{
    TryFutureExt,
    future::{BoxFuture, Either},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    future::{Future, ready},
    sync::{Arc, LazyLock, OnceLock, Weak},
};
use temporalio_common::data_converters::TemporalSerializable;
use temporalio_sdk::activities::{ActivityContext, ActivityInfo};
use tower_layer::Layer;
use tower_temporal_core::{
    Terminal,
    call::{Call, SharedStack},
};

/// Makes an activity's own calls through the outbound stack of its worker.
pub trait ActivityContextExt {
    /// The calls of this activity that go through its worker's outbound stack.
    ///
    /// It works on every clone of the context, so also in tasks that the activity has spawned. It also tells the free
    /// function [`heartbeat`] which activity the task is for.
    ///
    /// ```
    /// use temporalio_macros::activities;
    /// use temporalio_sdk::activities::{ActivityContext, ActivityError};
    /// use tower_temporal_worker::activity::ActivityContextExt;
    ///
    /// struct Import;
    ///
    /// #[activities]
    /// impl Import {
    ///     #[activity]
    ///     async fn rows(ctx: ActivityContext, rows: u32) -> Result<u32, ActivityError> {
    ///         for row in 0..rows {
    ///             ctx.outbound().heartbeat(row).await?;
    ///         }
    ///         Ok(ctx.outbound().info()?.attempt)
    ///     }
    /// }
    /// ```
    fn outbound(&self) -> Outbound<'_>;
}

impl ActivityContextExt for ActivityContext {
    fn outbound(&self) -> Outbound<'_> {
        let current = Current::of(self.info());
        if let Some(current) = &current {
            current.context.get_or_init(|| self.clone());
        }
        Outbound {
            context: self,
            current,
        }
    }
}

/// The calls of one activity: see [`ActivityContextExt::outbound`].
#[derive(Clone)]
pub struct Outbound<'a> {
    context: &'a ActivityContext,
    current: Option<Arc<Current>>,
}

impl Outbound<'_> {
    /// Records a heartbeat, as [`ActivityContext::record_heartbeat`] does.
    ///
    /// As there, a local activity's heartbeat goes nowhere.
    ///
    /// # Errors
    ///
    /// [`OutboundError::PayloadConversion`] if `details` can't be serialized, [`OutboundError::Middleware`] if a layer
    /// failed.
    pub async fn heartbeat<T>(&self, details: T) -> Result<(), OutboundError>
    where
        T: TemporalSerializable + Send + Sync + 'static,
    {
        match &self.current {
            Some(current) => {
                let input = HeartbeatInput::new(current.info.clone(), details);
                current.heartbeat(self.context.clone(), input).await
            }
            None => Ok(self.context.record_heartbeat(details).await?),
        }
    }

    /// What is known of the activity, as [`ActivityContext::info`] says.
    ///
    /// # Errors
    ///
    /// [`OutboundError::Middleware`] if a layer failed.
    pub fn info(&self) -> Result<ActivityInfo, OutboundError> {
        match &self.current {
            Some(current) => current.info(InfoInput::new(current.info.clone())),
            None => Ok(self.context.info().clone()),
        }
    }
}

impl fmt::Debug for Outbound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("info", self.context.info())
            .finish_non_exhaustive()
    }
}

/// Records a heartbeat of the activity that the current task runs, for code that has no context at hand.
///
/// The SDK gives the context to the activity's function alone. Call [`outbound`](ActivityContextExt::outbound) on it
/// there, and this function works in everything the activity then awaits.
///
/// ```
/// use temporalio_macros::activities;
/// use temporalio_sdk::activities::{ActivityContext, ActivityError};
/// use tower_temporal_worker::activity::{self, ActivityContextExt};
///
/// /// Knows nothing of the activity it is called from.
/// async fn copy(rows: u32) -> Result<(), activity::OutboundError> {
///     for row in 0..rows {
///         activity::heartbeat(row).await?;
///     }
///     Ok(())
/// }
///
/// struct Import;
///
/// #[activities]
/// impl Import {
///     #[activity]
///     async fn rows(ctx: ActivityContext, rows: u32) -> Result<(), ActivityError> {
///         let _calls = ctx.outbound();
///         Ok(copy(rows).await?)
///     }
/// }
/// ```
///
/// # Errors
///
/// [`OutboundError::NoActivity`] outside an activity, or where its worker has no outbound stack;
/// [`OutboundError::NoContext`] where the activity has not called `outbound`. Otherwise as [`Outbound::heartbeat`].
pub async fn heartbeat<T>(details: T) -> Result<(), OutboundError>
where
    T: TemporalSerializable + Send + Sync + 'static,
{
    let current = Current::of_task()?;
    let context = current.context.get().ok_or(OutboundError::NoContext)?;
    let input = HeartbeatInput::new(current.info.clone(), details);
    current.heartbeat(context.clone(), input).await
}

/// What is known of the activity that the current task runs, for code that has no context at hand.
///
/// # Errors
///
/// [`OutboundError::NoActivity`] outside an activity, or where its worker has no outbound stack; otherwise as
/// [`Outbound::info`].
pub fn info() -> Result<ActivityInfo, OutboundError> {
    let current = Current::of_task()?;
    current.info(InfoInput::new(current.info.clone()))
}

/// A stack of layers for the calls that a worker's activities make.
#[derive(Clone)]
pub struct OutboundStack(Arc<dyn Calls>);

impl OutboundStack {
    /// Builds the stack: the first layer added sees a call first.
    pub fn new<L>(layer: L) -> Self
    where
        L: Layer<Terminal>,
        L::Service: ActivityOutboundService,
    {
        Self(Arc::new(SharedStack::new(layer.layer(Terminal))))
    }

    /// Runs an activity with this stack for its own calls. Where another stack is around it already, that one comes after this.
    pub(super) async fn run<F: Future>(self, info: ActivityInfo, activity: F) -> F::Output {
        let running = Running::new(self, info);
        CURRENT.scope(running.current.clone(), activity).await
    }
}

impl fmt::Debug for OutboundStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundStack").finish_non_exhaustive()
    }
}

/// A stack, whatever its type.
trait Calls: Send + Sync {
    /// Records a heartbeat through the stack, and then through `outer`'s.
    fn heartbeat(
        &self,
        input: HeartbeatInput,
        context: ActivityContext,
        outer: Option<Arc<Current>>,
    ) -> BoxFuture<'static, Result<(), OutboundError>>;

    /// Reads the info through the stack, and then through `outer`'s.
    fn info(
        &self,
        input: InfoInput,
        outer: Option<&Current>,
    ) -> Result<ActivityInfo, OutboundError>;
}

impl<S: ActivityOutboundService> Calls for SharedStack<S> {
    fn heartbeat(
        &self,
        input: HeartbeatInput,
        context: ActivityContext,
        outer: Option<Arc<Current>>,
    ) -> BoxFuture<'static, Result<(), OutboundError>> {
        Box::pin(Call::<Heartbeat, _, _>::new(
            self.get(),
            input,
            (),
            |input: HeartbeatInput| match outer {
                Some(outer) => Either::Left(outer.heartbeat(context, input)),
                None => Either::Right(input.record(context).map_err(OutboundError::from)),
            },
        ))
    }

    fn info(
        &self,
        input: InfoInput,
        outer: Option<&Current>,
    ) -> Result<ActivityInfo, OutboundError> {
        Call::<Info, _, _>::new(self.get(), input, (), |input: InfoInput| {
            ready(match outer {
                Some(outer) => outer.info(input),
                None => Ok(input.activity_info().clone()),
            })
        })
        .now()
    }
}

tokio::task_local! {
    static CURRENT: Arc<Current>;
}

/// The activities that are running in this process and have an outbound stack: for tasks they have spawned, which
/// have the context but not the task-local.
static RUNNING: LazyLock<Mutex<HashMap<Key, Weak<Current>>>> = LazyLock::new(Mutex::default);

/// One attempt of one activity. Task tokens of local activities are unique in a worker only.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    task_token: Vec<u8>,
    run_id: Option<String>,
    activity_id: String,
}

impl Key {
    fn new(info: &ActivityInfo) -> Self {
        Self {
            task_token: info.task_token.clone(),
            run_id: info.workflow_run_id.clone(),
            activity_id: info.activity_id.clone(),
        }
    }
}

/// An activity that is running.
struct Current {
    /// The same activity with the stack of an interceptor around this one.
    outer: Option<Arc<Self>>,
    stack: OutboundStack,
    info: Arc<ActivityInfo>,
    context: OnceLock<ActivityContext>,
}

impl Current {
    /// The one this task runs, or that the context with this `info` belongs to.
    fn of(info: &ActivityInfo) -> Option<Arc<Self>> {
        CURRENT
            .try_with(|current| {
                (current.info.task_token == info.task_token).then(|| current.clone())
            })
            .ok()
            .flatten()
            .or_else(|| RUNNING.lock().get(&Key::new(info))?.upgrade())
    }

    fn of_task() -> Result<Arc<Self>, OutboundError> {
        CURRENT
            .try_with(Clone::clone)
            .map_err(|_| OutboundError::NoActivity)
    }

    fn heartbeat(
        &self,
        context: ActivityContext,
        input: HeartbeatInput,
    ) -> BoxFuture<'static, Result<(), OutboundError>> {
        self.stack.0.heartbeat(input, context, self.outer.clone())
    }

    fn info(&self, input: InfoInput) -> Result<ActivityInfo, OutboundError> {
        self.stack.0.info(input, self.outer.as_deref())
    }
}

/// Keeps an activity in [`RUNNING`] for as long as it runs.
struct Running {
    key: Key,
    current: Arc<Current>,
}

impl Running {
    /// If it runs already, with the stack of an interceptor around this one, that is the outer one.
    fn new(stack: OutboundStack, info: ActivityInfo) -> Self {
        let key = Key::new(&info);
        let mut running = RUNNING.lock();
        let current = Arc::new(Current {
            outer: running.get(&key).and_then(Weak::upgrade),
            stack,
            info: Arc::new(info),
            context: OnceLock::new(),
        });
        running.insert(key.clone(), Arc::downgrade(&current));
        drop(running);
        Self { key, current }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = RUNNING.lock();
        match &self.current.outer {
            Some(outer) => running.insert(self.key.clone(), Arc::downgrade(outer)),
            None => running.remove(&self.key),
        };
    }
}
