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
use tower_temporal_client::{ClientService, Interceptor};
#[cfg(feature = "worker")]
use tower_temporal_core::ReplaySafe;
use tower_temporal_core::Terminal;
#[cfg(feature = "worker")]
use tower_temporal_worker::{
    activity::{self, ActivityInboundService},
    workflow::{self, WorkflowInboundService, WorkflowOutboundService},
};

/// Puts a new activity stack into a worker's options.
#[cfg(feature = "worker")]
type Install = Arc<dyn Fn(&mut WorkerOptions) + Send + Sync>;

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
    activity: Option<Install>,
    #[cfg(feature = "worker")]
    workflow: Option<WorkflowInterceptorConstructor>,
}

impl Interceptors {
    /// Starts with no layer in any category.
    pub const fn builder() -> InterceptorsBuilder {
        InterceptorsBuilder {
            client: None,
            inbound: Identity::new(),
            outbound: Identity::new(),
            #[cfg(feature = "worker")]
            has_workflow: false,
            #[cfg(feature = "worker")]
            activity: None,
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
pub struct InterceptorsBuilder<I = Identity, O = Identity> {
    client: Option<Arc<dyn ClientInterceptor>>,
    inbound: I,
    outbound: O,
    #[cfg(feature = "worker")]
    has_workflow: bool,
    #[cfg(feature = "worker")]
    activity: Option<Install>,
}

impl<I, O> InterceptorsBuilder<I, O> {
    /// The stack of the client's calls.
    pub fn client<L>(mut self, layer: L) -> Self
    where
        L: Layer<Terminal>,
        L::Service: ClientService,
    {
        self.client = Some(Arc::new(Interceptor::new(layer)));
        self
    }

    /// The stack of calls into workflows.
    #[cfg(feature = "worker")]
    pub fn workflow_inbound<L>(self, layer: L) -> InterceptorsBuilder<L, O>
    where
        L: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        L::Service: WorkflowInboundService,
    {
        InterceptorsBuilder {
            client: self.client,
            inbound: layer,
            outbound: self.outbound,
            has_workflow: true,
            activity: self.activity,
        }
    }

    /// The stack of calls that workflows make.
    #[cfg(feature = "worker")]
    pub fn workflow_outbound<L>(self, layer: L) -> InterceptorsBuilder<I, L>
    where
        L: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        L::Service: WorkflowOutboundService,
    {
        InterceptorsBuilder {
            client: self.client,
            inbound: self.inbound,
            outbound: layer,
            has_workflow: true,
            activity: self.activity,
        }
    }

    /// The stack of calls into activities.
    #[cfg(feature = "worker")]
    pub fn activity_inbound<L>(mut self, layer: L) -> Self
    where
        L: Layer<Terminal> + Send + Sync + 'static,
        L::Service: ActivityInboundService,
    {
        self.activity = Some(Arc::new(move |options: &mut WorkerOptions| {
            options.activity_inbound_interceptor(activity::Interceptor::new(&layer));
        }));
        self
    }

    /// Builds the value to register.
    #[cfg(feature = "worker")]
    pub fn build(self) -> Interceptors
    where
        I: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        I::Service: WorkflowInboundService,
        O: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
        O::Service: WorkflowOutboundService,
    {
        Interceptors {
            client: self.client,
            activity: self.activity,
            workflow: self
                .has_workflow
                .then(|| workflow::interceptor(self.inbound, self.outbound)),
        }
    }

    /// Builds the value to register.
    #[cfg(not(feature = "worker"))]
    pub fn build(self) -> Interceptors {
        let Self {
            client,
            inbound: _,
            outbound: _,
        } = self;
        Interceptors { client }
    }
}

impl<I, O> fmt::Debug for InterceptorsBuilder<I, O> {
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
