#[cfg(feature = "worker")]
use std::any::TypeId;
use std::{fmt, sync::Arc};
use temporalio_client::{
    ClientInterceptor, ClientOptions, ClientPlugin, ErasedClientPlugin, PluginError,
};
#[cfg(feature = "worker")]
use temporalio_sdk::{
    ClientAndWorkerPlugin, WorkerOptions, WorkerPlugin,
    workflow_interceptors::WorkflowInterceptorConstructor,
    workflow_replayer::WorkflowReplayerOptions,
};
use tower_layer::{Identity, Layer};
use tower_temporal_client::{ClientOutboundService, Interceptor};
#[cfg(feature = "worker")]
use tower_temporal_core::ReplaySafe;
use tower_temporal_core::Terminal;
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
/// use tower_temporal::Interceptors;
///
/// let interceptors = Interceptors::builder()
///     .client(ServiceBuilder::new().concurrency_limit(100))
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
/// An activity's stack is built for each worker, a workflow's for each workflow in memory. A limit that several workers are
/// to share is one that is itself shared, such as [`tower::limit::GlobalConcurrencyLimitLayer`].
///
/// Several values can be registered; they chain as the SDK's interceptors do, the first registered being the outermost,
/// except for outbound calls of workflows, where it is the innermost.
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
        InterceptorsBuilder {
            client: None,
            workflow_inbound: Identity::new(),
            workflow_outbound: Identity::new(),
            activity_inbound: Identity::new(),
            activity_outbound: Identity::new(),
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
/// Each method takes one layer: a layer, or a whole [`ServiceBuilder`](tower::ServiceBuilder). It replaces what the
/// category had.
#[must_use = "call `build`"]
#[cfg_attr(not(feature = "worker"), allow(dead_code))]
pub struct InterceptorsBuilder<WI = Identity, WO = Identity, AI = Identity, AO = Identity> {
    client: Option<Arc<dyn ClientInterceptor>>,
    workflow_inbound: WI,
    workflow_outbound: WO,
    activity_inbound: AI,
    activity_outbound: AO,
}

impl<WI, WO, AI, AO> InterceptorsBuilder<WI, WO, AI, AO> {
    /// The stack of the client's calls.
    pub fn client<L>(mut self, layer: L) -> Self
    where
        L: Layer<Terminal>,
        L::Service: ClientOutboundService,
    {
        self.client = Some(Arc::new(Interceptor::new(layer)));
        self
    }

    /// The stack of calls into workflows.
    #[cfg(feature = "worker")]
    pub fn workflow_inbound<L>(self, layer: L) -> InterceptorsBuilder<L, WO, AI, AO>
    where
        L: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        L::Service: WorkflowInboundService,
    {
        InterceptorsBuilder {
            client: self.client,
            workflow_inbound: layer,
            workflow_outbound: self.workflow_outbound,
            activity_inbound: self.activity_inbound,
            activity_outbound: self.activity_outbound,
        }
    }

    /// The stack of calls that workflows make.
    #[cfg(feature = "worker")]
    pub fn workflow_outbound<L>(self, layer: L) -> InterceptorsBuilder<WI, L, AI, AO>
    where
        L: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        L::Service: WorkflowOutboundService,
    {
        InterceptorsBuilder {
            client: self.client,
            workflow_inbound: self.workflow_inbound,
            workflow_outbound: layer,
            activity_inbound: self.activity_inbound,
            activity_outbound: self.activity_outbound,
        }
    }

    /// The stack of calls into activities.
    #[cfg(feature = "worker")]
    pub fn activity_inbound<L>(self, layer: L) -> InterceptorsBuilder<WI, WO, L, AO>
    where
        L: Layer<Terminal> + Send + Sync + 'static,
        L::Service: ActivityInboundService,
    {
        InterceptorsBuilder {
            client: self.client,
            workflow_inbound: self.workflow_inbound,
            workflow_outbound: self.workflow_outbound,
            activity_inbound: layer,
            activity_outbound: self.activity_outbound,
        }
    }

    /// The stack of calls that activities make themselves, with
    /// [`ctx.outbound()`](activity::ActivityContextExt::outbound).
    #[cfg(feature = "worker")]
    pub fn activity_outbound<L>(self, layer: L) -> InterceptorsBuilder<WI, WO, AI, L>
    where
        L: Layer<Terminal> + Send + Sync + 'static,
        L::Service: ActivityOutboundService,
    {
        InterceptorsBuilder {
            client: self.client,
            workflow_inbound: self.workflow_inbound,
            workflow_outbound: self.workflow_outbound,
            activity_inbound: self.activity_inbound,
            activity_outbound: layer,
        }
    }

    /// Builds the value to register.
    #[cfg(feature = "worker")]
    pub fn build(self) -> Interceptors
    where
        WI: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        WI::Service: WorkflowInboundService,
        WO: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        WO::Service: WorkflowOutboundService,
        AI: Layer<Terminal> + Send + Sync + 'static,
        AI::Service: ActivityInboundService,
        AO: Layer<Terminal> + Send + Sync + 'static,
        AO::Service: ActivityOutboundService,
    {
        let Self {
            client,
            workflow_inbound,
            workflow_outbound,
            activity_inbound,
            activity_outbound,
        } = self;
        let has_workflow = is_given::<WI>() || is_given::<WO>();
        let has_activity = is_given::<AI>() || is_given::<AO>();
        Interceptors {
            client,
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
    #[cfg(not(feature = "worker"))]
    pub fn build(self) -> Interceptors {
        Interceptors {
            client: self.client,
        }
    }
}

/// Whether a category was given a layer: one that was not costs nothing.
#[cfg(feature = "worker")]
fn is_given<L: 'static>() -> bool {
    TypeId::of::<L>() != TypeId::of::<Identity>()
}

impl<WI, WO, AI, AO> fmt::Debug for InterceptorsBuilder<WI, WO, AI, AO> {
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
