use std::{any::TypeId, fmt, sync::Arc};
use temporalio_client::{
    ClientInterceptor, ClientOptions, ClientPlugin, ErasedClientPlugin, PluginError,
};
#[cfg(feature = "worker")]
use temporalio_sdk::{
    ClientAndWorkerPlugin, WorkerOptions, WorkerPlugin,
    workflow_interceptors::WorkflowInterceptorConstructor,
    workflow_replayer::WorkflowReplayerOptions,
};
use tower_layer::{Identity, Layer, Stack};
use tower_temporal_client::{ClientOutboundService, Interceptor};
use tower_temporal_core::{ReplaySafe, Terminal};
#[cfg(feature = "worker")]
use tower_temporal_worker::{
    activity::{self, ActivityInboundService, ActivityOutboundService, OutboundStack},
    workflow::{self, WorkflowInboundService, WorkflowOutboundService},
};

/// Puts new stacks for activities into a worker's options.
#[cfg(feature = "worker")]
type InstallActivity = Arc<dyn Fn(&mut WorkerOptions) + Send + Sync>;

/// Stacks for every category, in one value that is registered once.
///
/// It is a plugin of the SDK. Registered on a client's options it serves the client and every worker made from it:
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
/// use temporalio_sdk::{Runtime, Worker, WorkerOptions};
/// use tower::ServiceBuilder;
/// use tower_temporal::{Interceptors, trace::TraceLayer};
///
/// let interceptors = Interceptors::builder()
///     .everywhere(TraceLayer::new())
///     .activity_inbound(ServiceBuilder::new().concurrency_limit(10))
///     .build();
///
/// let connection = Connection::connect(ConnectionOptions::new(Url::parse("http://localhost:7233")?).build()).await?;
/// let client = Client::new(connection, ClientOptions::new("default").plugin(interceptors).build())?;
///
/// let runtime = Runtime::from_current_tokio(Default::default())?;
/// let worker = Worker::new(&runtime, client, WorkerOptions::new("orders").build())?;
/// # drop(worker);
/// # Ok(())
/// # }
/// ```
///
/// A worker whose client does not have it, or a workflow replayer, takes it with `worker_plugin`. Do not register it on
/// both a client and its workers: the worker's half would be there twice.
///
/// The client's stack is built once, with the value, so its limits are shared by all clients the value is registered on.
/// An activity's stack is built for each worker, a workflow's for each workflow in memory. So each worker has its own limit with
/// tower's `concurrency_limit`, and all share one with [`tower::limit::GlobalConcurrencyLimitLayer`] and with the layers of
/// `limit`, which are one limit each, wherever they are applied.
///
/// Several values can be registered; they chain as the SDK's interceptors do, the first registered being the outermost,
/// except for calls that workflows and activities make, where it is the innermost. They have one name, `tower-temporal`, and
/// the SDK warns of plugins of the same name: look then whether one value is there twice.
///
/// # Replay
///
/// A recorded history is replayed with the stacks, to see that a changed stack still makes the same commands:
///
/// ```no_run
/// # use temporalio_macros::{workflow, workflow_methods};
/// # use temporalio_sdk::{WorkflowContext, WorkflowResult};
/// use temporalio_client::WorkflowHistory;
/// use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};
/// use tower_temporal::Interceptors;
///
/// # #[workflow]
/// # #[derive(Default)]
/// # struct OrderWorkflow;
/// # #[workflow_methods]
/// # impl OrderWorkflow {
/// #     #[run]
/// #     async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<()> { Ok(()) }
/// # }
/// # async fn example(interceptors: Interceptors) -> Result<(), Box<dyn std::error::Error>> {
/// let options = WorkflowReplayerOptions::new()
///     .register_workflow::<OrderWorkflow>()?
///     .worker_plugin(interceptors)
///     .build();
/// let history = WorkflowHistory::from_json(&std::fs::read("order.json")?)?;
/// WorkflowReplayer::new(options)?.replay_workflow(history).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Interceptors {
    client: Option<Arc<dyn ClientInterceptor>>,
    #[cfg(feature = "worker")]
    workflow: Option<WorkflowInterceptorConstructor>,
    #[cfg(feature = "worker")]
    activity: Option<InstallActivity>,
}

impl Interceptors {
    /// Starts with no layer in any category.
    pub const fn builder() -> InterceptorsBuilder {
        const NONE: Identity = Identity::new();
        InterceptorsBuilder {
            layers: (NONE, NONE, NONE, NONE, NONE),
        }
    }
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Interceptors");
        debug.field("client", &self.client.is_some());
        #[cfg(feature = "worker")]
        debug
            .field("workflow", &self.workflow.is_some())
            .field("activity", &self.activity.is_some());
        debug.finish()
    }
}

/// Collects the stacks of an [`Interceptors`].
///
/// Each method takes a layer, or a whole [`ServiceBuilder`](tower::ServiceBuilder), and adds it to the stack of a category, or of
/// all. As with a `ServiceBuilder`, what was added first is the outermost.
///
/// ```
/// use std::time::Duration;
/// use tower_temporal::{Interceptors, timeout::TimeoutLayer, trace::TraceLayer};
///
/// let interceptors = Interceptors::builder()
///     // Around everything else, in every category.
///     .everywhere(TraceLayer::new())
///     .client(TimeoutLayer::new(Duration::from_secs(10)))
///     .build();
/// # let _ = interceptors;
/// ```
#[must_use = "call `build`"]
#[cfg_attr(not(feature = "worker"), allow(dead_code))]
pub struct InterceptorsBuilder<
    C = Identity,
    WI = Identity,
    WO = Identity,
    AI = Identity,
    AO = Identity,
> {
    /// Of the client, of calls into workflows and out of them, and of calls into activities and out of them.
    layers: (C, WI, WO, AI, AO),
}

/// A builder with one more layer in every category.
type Everywhere<L, C, WI, WO, AI, AO> =
    InterceptorsBuilder<Stack<L, C>, Stack<L, WI>, Stack<L, WO>, Stack<L, AI>, Stack<L, AO>>;

impl<C, WI, WO, AI, AO> InterceptorsBuilder<C, WI, WO, AI, AO> {
    /// Adds a layer to every stack: of the client, of calls into workflows and activities, and of calls out of them.
    ///
    /// Workflows are among them, so it has to be replay-safe. What the layer holds is shared as its clones share it. The
    /// gRPC level is not among them: give `rpc::operations` a clone of the layer.
    pub fn everywhere<L>(self, layer: L) -> Everywhere<L, C, WI, WO, AI, AO>
    where
        L: ReplaySafe + Clone,
    {
        let (client, workflow_inbound, workflow_outbound, activity_inbound, activity_outbound) =
            self.layers;
        InterceptorsBuilder {
            layers: (
                Stack::new(layer.clone(), client),
                Stack::new(layer.clone(), workflow_inbound),
                Stack::new(layer.clone(), workflow_outbound),
                Stack::new(layer.clone(), activity_inbound),
                Stack::new(layer, activity_outbound),
            ),
        }
    }

    /// Adds a layer to the stack of the client's calls.
    pub fn client<L>(self, layer: L) -> InterceptorsBuilder<Stack<L, C>, WI, WO, AI, AO>
    where
        Stack<L, C>: Layer<Terminal, Service: ClientOutboundService>,
    {
        let (client, wi, wo, ai, ao) = self.layers;
        InterceptorsBuilder {
            layers: (Stack::new(layer, client), wi, wo, ai, ao),
        }
    }

    /// Adds a layer to the stack of calls into workflows.
    #[cfg(feature = "worker")]
    pub fn workflow_inbound<L>(self, layer: L) -> InterceptorsBuilder<C, Stack<L, WI>, WO, AI, AO>
    where
        L: ReplaySafe,
        Stack<L, WI>: Layer<Terminal, Service: WorkflowInboundService>,
    {
        let (c, inbound, wo, ai, ao) = self.layers;
        InterceptorsBuilder {
            layers: (c, Stack::new(layer, inbound), wo, ai, ao),
        }
    }

    /// Adds a layer to the stack of calls that workflows make.
    #[cfg(feature = "worker")]
    pub fn workflow_outbound<L>(self, layer: L) -> InterceptorsBuilder<C, WI, Stack<L, WO>, AI, AO>
    where
        L: ReplaySafe,
        Stack<L, WO>: Layer<Terminal, Service: WorkflowOutboundService>,
    {
        let (c, wi, outbound, ai, ao) = self.layers;
        InterceptorsBuilder {
            layers: (c, wi, Stack::new(layer, outbound), ai, ao),
        }
    }

    /// Adds a layer to the stack of calls into activities.
    #[cfg(feature = "worker")]
    pub fn activity_inbound<L>(self, layer: L) -> InterceptorsBuilder<C, WI, WO, Stack<L, AI>, AO>
    where
        Stack<L, AI>: Layer<Terminal, Service: ActivityInboundService>,
    {
        let (c, wi, wo, inbound, ao) = self.layers;
        InterceptorsBuilder {
            layers: (c, wi, wo, Stack::new(layer, inbound), ao),
        }
    }

    /// Adds a layer to the stack of calls that activities make themselves, with
    /// [`ctx.outbound()`](activity::ActivityContextExt::outbound).
    ///
    /// ```
    /// use tower_temporal::{Interceptors, Next, Request, activity::Heartbeat, from_fn};
    ///
    /// let log = from_fn(async |request: Request<Heartbeat>, next: Next<Heartbeat>| {
    ///     println!("{} is at {:?}", request.target(), request.details_ref::<u32>());
    ///     next.run(request).await
    /// });
    /// let interceptors = Interceptors::builder().activity_outbound(log).build();
    /// // It sees what an activity sends with `ctx.outbound().heartbeat(7_u32)`; `ctx.record_heartbeat(7_u32)` passes it by.
    /// # let _ = interceptors;
    /// ```
    #[cfg(feature = "worker")]
    pub fn activity_outbound<L>(self, layer: L) -> InterceptorsBuilder<C, WI, WO, AI, Stack<L, AO>>
    where
        Stack<L, AO>: Layer<Terminal, Service: ActivityOutboundService>,
    {
        let (c, wi, wo, ai, outbound) = self.layers;
        InterceptorsBuilder {
            layers: (c, wi, wo, ai, Stack::new(layer, outbound)),
        }
    }

    /// Builds the value to register.
    ///
    /// # Panics
    ///
    /// If a layer panics when it is applied, as [`buffer`](tower::buffer) does outside a tokio runtime. The client's stack is
    /// built here, an activity's with its worker, a workflow's with each workflow.
    #[cfg(feature = "worker")]
    pub fn build(self) -> Interceptors
    where
        C: Layer<Terminal> + 'static,
        C::Service: ClientOutboundService,
        WI: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        WI::Service: WorkflowInboundService,
        WO: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        WO::Service: WorkflowOutboundService,
        AI: Layer<Terminal> + Send + Sync + 'static,
        AI::Service: ActivityInboundService,
        AO: Layer<Terminal> + Send + Sync + 'static,
        AO::Service: ActivityOutboundService,
    {
        let (client, workflow_inbound, workflow_outbound, activity_inbound, activity_outbound) =
            self.layers;
        let has_workflow = is_given::<WI>() || is_given::<WO>();
        let has_activity = is_given::<AI>() || is_given::<AO>();
        Interceptors {
            client: client_interceptor(client),
            workflow: has_workflow
                .then(|| workflow::interceptor(workflow_inbound, workflow_outbound)),
            activity: has_activity.then(|| -> InstallActivity {
                Arc::new(move |options| {
                    let mut interceptor = activity::Interceptor::new(&activity_inbound);
                    if is_given::<AO>() {
                        interceptor =
                            interceptor.with_outbound(OutboundStack::new(&activity_outbound));
                    }
                    options.activity_inbound_interceptor(interceptor);
                })
            }),
        }
    }

    /// Builds the value to register.
    ///
    /// # Panics
    ///
    /// If a layer panics when it is applied, as [`buffer`](tower::buffer) does outside a tokio runtime. The client's stack is
    /// built here, an activity's with its worker, a workflow's with each workflow.
    #[cfg(not(feature = "worker"))]
    pub fn build(self) -> Interceptors
    where
        C: Layer<Terminal> + 'static,
        C::Service: ClientOutboundService,
    {
        Interceptors {
            client: client_interceptor(self.layers.0),
        }
    }
}

fn client_interceptor<L>(layer: L) -> Option<Arc<dyn ClientInterceptor>>
where
    L: Layer<Terminal> + 'static,
    L::Service: ClientOutboundService,
{
    is_given::<L>().then(|| Arc::new(Interceptor::new(layer)) as _)
}

/// Whether a category was given a layer: one that was not costs nothing.
fn is_given<L: 'static>() -> bool {
    TypeId::of::<L>() != TypeId::of::<Identity>()
}

impl<C, WI, WO, AI, AO> fmt::Debug for InterceptorsBuilder<C, WI, WO, AI, AO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptorsBuilder")
            .finish_non_exhaustive()
    }
}

const NAME: &str = "tower-temporal";

impl ClientPlugin for Interceptors {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_client_options(&self, options: &mut ClientOptions) -> Result<(), PluginError> {
        options.client_interceptors.extend(self.client.clone());
        Ok(())
    }
}

#[cfg(feature = "worker")]
impl WorkerPlugin for Interceptors {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_worker_options(&self, options: &mut WorkerOptions) -> Result<(), PluginError> {
        if let Some(install) = &self.activity {
            install(options);
        }
        if let Some(workflow) = &self.workflow {
            options.workflow_interceptor(workflow.clone());
        }
        Ok(())
    }

    fn configure_workflow_replayer_options(
        &self,
        options: &mut WorkflowReplayerOptions,
    ) -> Result<(), PluginError> {
        if let Some(workflow) = &self.workflow {
            options.workflow_interceptor(workflow.clone());
        }
        Ok(())
    }
}

impl From<Interceptors> for ErasedClientPlugin {
    fn from(interceptors: Interceptors) -> Self {
        #[cfg(feature = "worker")]
        return ClientAndWorkerPlugin::new(interceptors).into();
        #[cfg(not(feature = "worker"))]
        return Self::new(interceptors);
    }
}
