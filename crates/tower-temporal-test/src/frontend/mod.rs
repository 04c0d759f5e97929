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
pub use service::{FrontendFuture, Next};

use activity::Activities;
use parking_lot::Mutex;
use record::Records;
use service::Usual;
use std::{collections::HashMap, fmt, pin::Pin, sync::Arc, time::Duration};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, RetryOptions, Url, errors::ClientConnectError,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::PollActivityTaskQueueResponse;
use tonic::Status;
use tower_temporal_client::rpc::{self, Body, Rpc};
use tower_temporal_core::BoxError;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Answer = Result<http::Response<Body>, BoxError>;
type Script = Arc<dyn Fn(Usual, http::Request<Body>) -> BoxFuture<Answer> + Send + Sync>;

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
    /// A script may wait, fail, and be called by several calls at once. Where it accepts a worker's report of an activity,
    /// [`run_activity`](Self::run_activity) has its outcome; where it fails one, the worker's client reports again, as the SDK
    /// does it.
    pub fn answer<R, F, Fut>(&self, script: F)
    where
        R: Rpc,
        F: Fn(tonic::Request<R::Input>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Output, Status>> + Send + 'static,
    {
        self.intercept::<R, _, _, _>(move |request, _| {
            let answer = script(request);
            async move { answer.await.map(tonic::Response::new) }
        });
    }

    /// Answers every call of the method `R` as [`answer`](Self::answer) does, by a script that can do more: leave the answer to
    /// the frontend with [`next.run(request)`](Next::run), answer with metadata, and fail as a connection does.
    ///
    /// A [`Status`] is what the server answers. Any other error is one of the way to it: `tonic::ConnectError`, for one, is
    /// what a channel fails with that does not reach its server.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use tower_temporal::client::rpc::workflow_service::RespondActivityTaskCompleted;
    /// use tower_temporal_test::Frontend;
    ///
    /// let frontend = Frontend::new();
    /// let is_first = AtomicBool::new(true);
    /// // The first report arrives, but its answer is lost.
    /// frontend.intercept::<RespondActivityTaskCompleted, _, _, _>(move |request, next| {
    ///     let is_first = is_first.swap(false, Ordering::SeqCst);
    ///     async move {
    ///         let answer = next.run(request).await?;
    ///         if is_first { Err(tonic::Status::unavailable("lost")) } else { Ok(answer) }
    ///     }
    /// });
    /// ```
    pub fn intercept<R, F, Fut, E>(&self, script: F)
    where
        R: Rpc,
        F: Fn(tonic::Request<R::Input>, Next<R>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<tonic::Response<R::Output>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let script: Script = Arc::new(move |usual, request| {
            let answer =
                rpc::decode_request::<R>(request).map(|request| script(request, Next::new(usual)));
            Box::pin(async move {
                let answer = match answer {
                    Ok(answer) => answer.await.map_err(Into::into),
                    Err(status) => Err(status.into()),
                };
                match answer {
                    Ok(response) => Ok(rpc::encode_response(Ok(response))),
                    Err(error) => Ok(error.downcast::<Status>()?.into_http()),
                }
            })
        });
        self.shared.scripts.lock().insert(R::PATH, script);
    }

    /// The calls of the method `R` so far, with their metadata.
    ///
    /// # Panics
    ///
    /// If one of them can't be decoded, or the frontend keeps none.
    pub fn requests<R: Rpc>(&self) -> Vec<tonic::Request<R::Input>> {
        self.shared.records.of::<R>()
    }

    /// Takes the calls of the method `R` so far: they are kept no longer, nor counted by
    /// [`wait_for_requests`](Self::wait_for_requests).
    ///
    /// # Panics
    ///
    /// As [`requests`](Self::requests) does.
    pub fn take_requests<R: Rpc>(&self) -> Vec<tonic::Request<R::Input>> {
        self.shared.records.take::<R>()
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
    /// reported until it does, by its token or its ids.
    ///
    /// A future that is dropped takes its task back, if no worker has it yet.
    ///
    /// # Panics
    ///
    /// If a task has the token of one that has not ended.
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

    /// The options of a connection to a frontend, for a client that is connected by hand: through layers of the gRPC level, or
    /// with options of your own.
    ///
    /// They name a server, as the SDK wants, which nothing is sent to. A call that fails is tried again as often as the SDK does,
    /// but after milliseconds; after `RESOURCE_EXHAUSTED`, and for the polls of a worker, the SDK takes no options and waits for some
    /// 200 milliseconds to 10 seconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower::timeout::TimeoutLayer;
    /// use tower_temporal::rpc;
    /// use tower_temporal_test::Frontend;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let frontend = Frontend::new();
    /// let connection = rpc::over(frontend.clone())
    ///     .short_calls(TimeoutLayer::new(Duration::from_secs(5)))
    ///     .connect(Frontend::connection_options())
    ///     .await?;
    /// # drop(connection);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection_options() -> ConnectionOptions {
        let url = Url::parse("http://frontend.in-memory").expect("it is a URL");
        let retries = RetryOptions::builder()
            .initial_interval(Duration::from_millis(1))
            .max_interval(Duration::from_millis(10))
            .build();
        ConnectionOptions::new(url)
            .identity("tower-temporal-test")
            .retry_options(retries)
            .build()
    }
}

impl fmt::Debug for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scripts: Vec<_> = self.shared.scripts.lock().keys().copied().collect();
        f.debug_struct("Frontend")
            .field("scripts", &scripts)
            .finish_non_exhaustive()
    }
}
