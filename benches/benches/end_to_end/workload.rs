//! A worker, and workflows for it: each starts one activity and returns what that returns.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use temporalio_client::{
    Client, ClientInterceptor, ClientOptions, ClientOptionsBuilder, WorkflowGetResultOptions,
    WorkflowStartOptions,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    interceptors::ActivityInboundInterceptor,
    workflow_interceptors::{WorkflowInterceptor, WorkflowInterceptorConstructor},
};
use tokio::task::JoinHandle;
use tower::ServiceBuilder;
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
    trace::TraceLayer,
};
use tower_temporal_test::DevServer;

/// What surrounds every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Nothing.
    None,
    /// As many of the SDK's own interceptors, which only pass on, as the stacks have layers.
    Sdk,
    /// Stacks of ready-made layers, in every category.
    Layers,
}

/// The first is what the others are compared with.
pub(crate) const VARIANTS: [Variant; 3] = [Variant::None, Variant::Sdk, Variant::Layers];

/// The layers of each stack.
const LAYERS: usize = 2;

/// How many workflows run at a time.
const AT_ONCE: usize = 20;

impl Variant {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sdk => "sdk",
            Self::Layers => "layers",
        }
    }

    fn client(self, options: ClientOptionsBuilder) -> ClientOptions {
        match self {
            Self::None => options.build(),
            Self::Sdk => options
                .client_interceptors((0..LAYERS).map(|_| Arc::new(PassOn) as _).collect())
                .build(),
            Self::Layers => options.plugin(stacks()).build(),
        }
    }
}

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

fn stacks() -> Interceptors {
    let layers = ServiceBuilder::new()
        .layer(TraceLayer::new())
        .layer(PropagationLayer::<UserId>::new());
    Interceptors::builder()
        .client(layers.clone())
        .workflow_inbound(layers.clone())
        .workflow_outbound(layers.clone())
        .activity_inbound(layers)
        .build()
}

/// An interceptor of the SDK that overrides nothing.
struct PassOn;

impl ClientInterceptor for PassOn {}
impl ActivityInboundInterceptor for PassOn {}
impl WorkflowInterceptor for PassOn {}

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn double(_: ActivityContext, value: u64) -> Result<u64, ActivityError> {
        Ok(value * 2)
    }
}

#[workflow]
#[derive(Default)]
struct Double;

#[workflow_methods]
impl Double {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, value: u64) -> WorkflowResult<u64> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx
            .execute_activity(Activities::double, value, options)
            .await?)
    }
}

/// How fast so many workflows were.
pub(crate) struct Round {
    pub(crate) elapsed: Duration,
    /// From the start of each workflow to its result.
    pub(crate) latencies: Vec<Duration>,
}

/// A worker on a thread of its own, and its client.
pub(crate) struct Worker {
    client: Client,
    task_queue: &'static str,
    shut_down: Box<dyn Fn()>,
    thread: JoinHandle<Result<()>>,
}

impl Worker {
    pub(crate) async fn start(server: &DevServer, variant: Variant) -> Result<Self> {
        let options = variant.client(ClientOptions::new(server.namespace()));
        let client = Client::new(server.connect().await?, options)?;
        let task_queue = variant.name();
        let (send, receive) = tokio::sync::oneshot::channel();
        let workers = client.clone();
        let thread = tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(async {
                let runtime = Runtime::from_current_tokio(Default::default())?;
                let mut options = WorkerOptions::new(task_queue)
                    .register_workflow::<Double>()?
                    .register_activities(Activities)
                    .build();
                if variant == Variant::Sdk {
                    for _ in 0..LAYERS {
                        options.activity_inbound_interceptor(PassOn);
                        options
                            .workflow_interceptor(WorkflowInterceptorConstructor::new(|_| PassOn));
                    }
                }
                let mut worker = temporalio_sdk::Worker::new(&runtime, workers, options)?;
                let _ = send.send(worker.shutdown_handle());
                Ok(worker.run().await?)
            })
        });
        Ok(Self {
            client,
            task_queue,
            shut_down: Box::new(receive.await?),
            thread,
        })
    }

    /// Runs so many workflows, [`AT_ONCE`] of them at a time.
    pub(crate) async fn run(&self, workflows: usize) -> Result<Round> {
        let start = Instant::now();
        let latencies = stream::iter(0..workflows as u64)
            .map(|value| self.double(value))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Round {
            elapsed: start.elapsed(),
            latencies,
        })
    }

    async fn double(&self, value: u64) -> Result<Duration> {
        let start = Instant::now();
        let id = format!("{}-{}", self.task_queue, value);
        let options = WorkflowStartOptions::new(self.task_queue, id).build();
        let handle = UserId::scope(
            "alice".to_owned(),
            self.client.start_workflow(Double::run, value, options),
        );
        let result = handle
            .await?
            .get_result(WorkflowGetResultOptions::default())
            .await?;
        anyhow::ensure!(result == value * 2, "{value} was not doubled: {result}");
        Ok(start.elapsed())
    }

    pub(crate) async fn stop(self) -> Result<()> {
        (self.shut_down)();
        self.thread.await?
    }
}
