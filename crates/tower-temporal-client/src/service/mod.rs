//! The SDK's client as a tower service.
//!
//! [`ClientService`] answers a request type per call of the client, each made like the SDK's own call and typed by
//! the SDK's own definitions:
//!
//! ```no_run
//! use std::time::Duration;
//! use temporalio_client::{Client, WorkflowIdReusePolicy, WorkflowStartOptions};
//! use tower::{BoxError, ServiceBuilder, retry::RetryLayer};
//! use tower_temporal_client::service::{
//!     ClientService, ClientServiceExt, IdempotentRetry, QueryWorkflow, StartWorkflow,
//! };
//! # use temporalio_common::{HasWorkflowDefinition, QueryDefinition, WorkflowDefinition};
//! # struct Run;
//! # impl WorkflowDefinition for Run {
//! #     type Input = String;
//! #     type Output = ();
//! #     fn name(&self) -> &str { "Order" }
//! # }
//! # impl HasWorkflowDefinition for Run { type Run = Run; }
//! # struct Items;
//! # impl QueryDefinition for Items {
//! #     type Workflow = Run;
//! #     type Input = ();
//! #     type Output = Vec<String>;
//! #     fn name(&self) -> &str { "items" }
//! # }
//! # struct Order;
//! # #[allow(non_upper_case_globals)]
//! # impl Order { const run: Run = Run; const items: Items = Items; }
//!
//! // `Order::run` and `Order::items` are what `#[workflow]` and `#[query]` generate.
//! # async fn example(client: Client) -> Result<(), BoxError> {
//! let temporal = ServiceBuilder::new()
//!     // The SDK's connection retries by itself for ten seconds, unless it is told not to: see `IdempotentRetry`.
//!     .timeout(Duration::from_secs(30))
//!     .layer(RetryLayer::new(IdempotentRetry::new()))
//!     .service(ClientService::new(client));
//!
//! // A start is repeated if its id can't be used twice.
//! let options = WorkflowStartOptions::new("orders", "order-1")
//!     .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
//!     .build();
//! let start = StartWorkflow::new(Order::run, "twelve apples".to_owned(), options);
//! let handle = temporal.send(start).await?;
//!
//! let query = QueryWorkflow::new(&handle, Order::items, (), Default::default());
//! let items: Vec<String> = temporal.send(query).await?;
//! # drop(items);
//! # Ok(())
//! # }
//! ```
//!
//! What a program knows by name only is an `UntypedWorkflow`, `UntypedSignal`, `UntypedQuery` or `UntypedUpdate` of the SDK, with
//! a `RawValue` as its input.
//!
//! A stack serves many request types. [`send`](ClientServiceExt::send) calls a clone of it, once that is ready for this one; a bare
//! `ready()` can't tell for which it asks. There is also how to hold a stack in the state of a handler.
//!
//! # Requests
//!
//! A request is a [`Request<O>`](tower_temporal_core::Request) of an operation `O` of this module, as the requests in
//! an interceptor's stack are. So it carries extensions and, where the call has them, Temporal headers, and the layers
//! of `tower-temporal-layers` take it as they are. It is `Clone` where its input is, whatever definition it is for:
//! `retry`, `hedge` and `buffer` take it too.
//!
//! Its extensions are for the layers around the service, and end there: what the SDK's client does for a request begins with
//! none, and layers of the client's own stack get none. The Temporal headers go on.
//!
//! [`FailAsyncActivity`] with the SDK's `ApplicationFailure` is not `Clone`, since that is not. Give it a failure of your own that is,
//! and becomes one.
//!
//! The operations are named after the SDK's methods; [`OPERATIONS`] lists them. Workflows and activities are named by
//! id, or by a handle: see [`Execution`].
//!
//! # Waiting
//!
//! Some calls take as long as the workflow or activity does: [`GetWorkflowResult`], [`ExecuteWorkflowUpdate`], [`StartWorkflowUpdate`]
//! (which waits until a worker has accepted the update), [`GetWorkflowUpdateResult`], those with a start, and [`GetActivityResult`].
//! They are [long polls](tower_temporal_core::Operation::is_long_poll) to layers. A [`tower::timeout`] around the stack ends the wait,
//! which is right where the caller gives up, as one of HTTP does. The `TimeoutLayer` of `tower-temporal-layers` leaves them alone, so that one
//! stack can have a deadline for what should be quick. A limit of concurrency counts waits like calls: give them a
//! stack of their own, as the example `http_api` does, or they leave no room for anything else.
//!
//! # Streams
//!
//! [`ListWorkflows`], [`ListSchedules`], [`ListActivities`] and [`FetchWorkflowHistory`] are answered at once, with a stream. Its pages
//! are fetched as it is read, from the SDK's client: the layers around this service see neither how long they
//! take nor that one fails, so timeouts, limits and retries here do nothing for them. The client's own stack sees each page
//! of workflows, schedules and histories, and `rpc_options` are for each page.
//!
//! # This, or the interceptor's stack?
//!
//! | | [`ClientService`] in a stack | [`Interceptor`](crate::Interceptor) with a stack |
//! |---|---|---|
//! | sees | the calls made through it | every call of the client, also those that handles and the SDK itself make |
//! | a call is | what the caller asked for: `execute_workflow_update` | what it is made of: `start_workflow_update`, `poll_workflow_update` |
//! | input and output are | typed: the workflow's own | the SDK's, erased |
//! | may call inward | any number of times: retries, hedges, balancing over several clients | once |
//! | fits | where the caller is written with tower: handlers of axum or tonic, a stack per tenant | where code has a `Client` and is to stay as it is |
//!
//! They go together: what a [`ClientService`] calls goes through the interceptors of its client, except for calls about
//! standalone activities, which the SDK has no interceptors for. A layer that does the same in both places, such as a
//! trace, is seen twice.
//!
//! # Errors
//!
//! The service fails with the SDK's own error of each call. What the SDK returns as an error though the server has
//! answered (`AlreadyStarted`, a query or update that is refused, a workflow that has failed) is no failure to layers
//! that count or log them: see [`is_failure`](tower_temporal_core::error::is_failure).

mod client;
mod definition;
mod execution;
mod ext;
mod future;
mod operation;
mod operations;
mod request_id;
mod retry;

pub use self::{
    client::ClientService,
    definition::Definition,
    execution::{ActivityExecution, Execution},
    ext::ClientServiceExt,
    future::ResponseFuture,
    operation::ClientOperation,
    operations::*,
    request_id::{REQUEST_ID, RequestIdLayer, TakeRequestId},
    retry::IdempotentRetry,
};
