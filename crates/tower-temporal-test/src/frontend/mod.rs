//! A Temporal frontend in memory: SDK clients and activity workers run against it with no server and no network.
//!
//! A test scripts the answers, gives activity tasks to workers, and looks at what would have gone over the wire. It is how
//! a layer of your own is tested as the SDK will call it:
//!
//! ```
//! use temporalio_client::{ClientOptions, UntypedWorkflow, WorkflowStartOptions};
//! use temporalio_common::data_converters::RawValue;
//! use temporalio_common::protos::temporal::api::workflowservice::v1::StartWorkflowExecutionResponse;
//! use tower_temporal::{Denied, Interceptors, Next, Request, client::StartWorkflow, from_fn};
//! use tower_temporal::client::rpc::workflow_service::StartWorkflowExecution;
//! use tower_temporal_test::Frontend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The layer under test: orders go to a task queue of their own, and nothing is paid out.
//! let layer = from_fn(async |mut request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
//!     match request.workflow_type.as_str() {
//!         "Payout" => return Err(Denied::new("no payouts today").into()),
//!         "Order" => request.options.task_queue = "orders".to_owned(),
//!         _ => {}
//!     }
//!     next.run(request).await
//! });
//!
//! let frontend = Frontend::new();
//! frontend.answer::<StartWorkflowExecution, _, _>(async |request| {
//!     Ok(StartWorkflowExecutionResponse {
//!         run_id: format!("run of {}", request.get_ref().workflow_id),
//!         ..Default::default()
//!     })
//! });
//! let interceptors = Interceptors::builder().client(layer).build();
//! let client = frontend.client(ClientOptions::new("default").plugin(interceptors).build()).await?;
//!
//! let start = async |workflow_type| {
//!     let options = WorkflowStartOptions::new("default-queue", "order-1").build();
//!     client.start_workflow(UntypedWorkflow::new(workflow_type), RawValue::empty(), options).await
//! };
//! assert_eq!(start("Order").await?.run_id(), Some("run of order-1"));
//! assert!(start("Payout").await.is_err());
//!
//! // What would have gone over the wire: one call, with the layer's task queue.
//! let sent = frontend.requests::<StartWorkflowExecution>();
//! assert_eq!(sent.len(), 1);
//! assert_eq!(sent[0].get_ref().task_queue.as_ref().unwrap().name, "orders");
//! # Ok(())
//! # }
//! ```
//!
//! # Activities
//!
//! [`Frontend::run_activity`] gives a task to a worker of the task queue, and returns what became of it:
//!
//! ```
//! use temporalio_client::ClientOptions;
//! use temporalio_macros::activities;
//! use temporalio_sdk::{Runtime, Worker, WorkerOptions, activities::{ActivityContext, ActivityError}};
//! use tower_temporal::{ContextKey, Interceptors, propagation::PropagationLayer};
//! use tower_temporal_test::{Frontend, frontend::{ActivityOutcome, activity_task, json}};
//!
//! struct UserId;
//!
//! impl ContextKey for UserId {
//!     type Value = String;
//!     const HEADER: &'static str = "user-id";
//! }
//!
//! struct Activities;
//!
//! #[activities]
//! impl Activities {
//!     #[activity]
//!     async fn greet(_: ActivityContext, greeting: String) -> Result<String, ActivityError> {
//!         Ok(format!("{greeting}, {}", UserId::current().expect("there is a user")))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let frontend = Frontend::new();
//! let client = frontend.client(ClientOptions::new("default").build()).await?;
//! let interceptors = Interceptors::builder().activity_inbound(PropagationLayer::<UserId>::new()).build();
//! let options = WorkerOptions::new("greetings")
//!     .register_activities(Activities)
//!     .worker_plugin(interceptors)
//!     .build();
//! let mut worker = Worker::new(&Runtime::from_current_tokio(Default::default())?, client, options)?;
//! let shut_down = worker.shutdown_handle();
//!
//! let mut task = activity_task("Activities::greet", [json(&"Hello")]);
//! task.header.get_or_insert_default().fields.insert("user-id".to_owned(), json(&"alice"));
//! let (ran, outcome) = tokio::join!(worker.run(), async {
//!     let outcome = frontend.run_activity("greetings", task).await;
//!     shut_down();
//!     outcome
//! });
//! ran?;
//! assert_eq!(outcome, ActivityOutcome::completed([json(&"Hello, alice")]));
//! # Ok(())
//! # }
//! ```
//!
//! # What is not here
//!
//! It is no server: it keeps no workflows, and a call it has no script for is answered with an empty message. Polls for
//! workflow and Nexus tasks stay open until the worker gives them up. What depends on the server's rules belongs in a test
//! with a [`DevServer`](crate::DevServer).

mod activity;
mod record;
mod service;
#[cfg(test)]
mod tests;

pub use activity::{ActivityOutcome, activity_task, json};
pub use service::FrontendFuture;

use activity::Activities;
use record::Records;
use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, errors::ClientConnectError,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::PollActivityTaskQueueResponse;
use tonic::Status;
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal_client::rpc::{self, Body, Rpc};
use tower_temporal_core::BoxError;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Script = Arc<dyn Fn(http::Request<Body>) -> BoxFuture<http::Response<Body>> + Send + Sync>;

/// A Temporal frontend in memory. See the [module](self).
///
/// Clones are the same frontend. It is a tower service, to be put under any stack of [`rpc`] layers.
#[derive(Clone, Default)]
pub struct Frontend {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<HashMap<&'static str, Script>>,
    activities: Activities,
    records: Records,
}

impl Frontend {
    /// A frontend that answers everything with an empty message, and keeps what it is sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontend that does not keep what it is sent: for benchmarks, whose calls are many.
    pub fn without_records() -> Self {
        Self {
            shared: Arc::new(Shared {
                records: Records::disabled(),
                ..Shared::default()
            }),
        }
    }

    /// Answers every call of the method `R` with what `script` returns, instead of what it was answered with before.
    ///
    /// A script may wait, fail, and be called by several calls at once.
    pub fn answer<R, F, Fut>(&self, script: F)
    where
        R: Rpc,
        F: Fn(tonic::Request<R::Input>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Output, Status>> + Send + 'static,
    {
        let script: Script = Arc::new(move |request| {
            let answer = rpc::decode_request::<R>(request).map(&script);
            Box::pin(async move {
                let answer = match answer {
                    Ok(answer) => answer.await,
                    Err(status) => Err(status),
                };
                rpc::encode_response(answer.map(tonic::Response::new))
            })
        });
        lock(&self.shared.scripts).insert(R::PATH, script);
    }

    /// The calls of the method `R` so far, with their metadata.
    ///
    /// # Panics
    ///
    /// If one of them can't be decoded, or the frontend keeps none.
    pub fn requests<R: Rpc>(&self) -> Vec<tonic::Request<R::Input>> {
        self.shared.records.of::<R>()
    }

    /// Waits until there have been `count` calls of the method `R`, and returns all there are.
    ///
    /// # Panics
    ///
    /// As [`requests`](Self::requests) does.
    pub async fn wait_for_requests<R: Rpc>(&self, count: usize) -> Vec<tonic::Request<R::Input>> {
        self.shared.records.wait_for::<R>(count).await
    }

    /// Gives an activity task to a worker of `task_queue`, and waits until the worker reports what became of it.
    ///
    /// The task is one from [`activity_task`], or any other. A task token that is empty is filled in. Nothing is retried: a
    /// worker reports each attempt. A task that no worker asks for waits; an activity that completes later is not
    /// reported until it does.
    pub async fn run_activity(
        &self,
        task_queue: &str,
        task: PollActivityTaskQueueResponse,
    ) -> ActivityOutcome {
        self.shared.activities.run(task_queue, task).await
    }

    /// A client of this frontend.
    ///
    /// # Errors
    ///
    /// If a script answers `GetSystemInfo` with an error, or the options are not valid.
    pub async fn client(&self, options: ClientOptions) -> Result<Client, ClientConnectError> {
        let connection = rpc::connection_options(Self::connection_options(), self.clone());
        Client::connect(connection, options).await
    }

    /// A connection to this frontend through a layer, or a whole `ServiceBuilder` of them, of the gRPC level.
    ///
    /// # Errors
    ///
    /// As for [`client`](Self::client).
    pub async fn connect_through<L, B>(&self, layer: L) -> Result<Connection, ClientConnectError>
    where
        L: Layer<Self>,
        L::Service:
            Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
        <L::Service as Service<http::Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<http::Request<Body>>>::Future: Send,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        rpc::connect(Self::connection_options(), layer.layer(self.clone())).await
    }

    /// Options that name a server, as the SDK wants, which nothing is sent to.
    fn connection_options() -> ConnectionOptions {
        let url = Url::parse("http://frontend.in-memory").expect("it is a URL");
        ConnectionOptions::new(url)
            .identity("tower-temporal-test")
            .build()
    }
}

impl fmt::Debug for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scripts: Vec<_> = lock(&self.shared.scripts).keys().copied().collect();
        f.debug_struct("Frontend")
            .field("scripts", &scripts)
            .finish_non_exhaustive()
    }
}

/// No lock is held while code of a test runs, so nothing is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
