//! The SDK's client as a tower service.
//!
//! [`ClientService`] answers a request type per call of the client, each made like the SDK's own call and typed by
//! the SDK's own definitions:
//!
//! ```no_run
//! use std::time::Duration;
//! use temporalio_client::{Client, UntypedWorkflow, WorkflowStartOptions};
//! use temporalio_common::data_converters::RawValue;
//! use tower::{BoxError, ServiceBuilder, ServiceExt, retry::RetryLayer};
//! use tower_temporal_client::service::{
//!     ClientService, DescribeWorkflow, IdempotentRetry, StartWorkflow,
//! };
//!
//! # async fn example(client: Client) -> Result<(), BoxError> {
//! let temporal = ServiceBuilder::new()
//!     .timeout(Duration::from_secs(10))
//!     .layer(RetryLayer::new(IdempotentRetry::new()))
//!     .service(ClientService::new(client));
//!
//! // With a workflow of this program: `StartWorkflow::new(OrderWorkflow::run, order, options)`.
//! let order = UntypedWorkflow::new("Order");
//! let options = WorkflowStartOptions::new("orders", "order-1").build();
//! let start = StartWorkflow::new(order, RawValue::empty(), options);
//! let handle = temporal.clone().oneshot(start).await?;
//!
//! let describe = DescribeWorkflow::new(&handle, Default::default());
//! let description = temporal.oneshot(describe).await?;
//! println!("{:?}", description.status());
//! # Ok(())
//! # }
//! ```
//!
//! Since it serves many request types, call it with [`oneshot`](tower::ServiceExt::oneshot) on a clone, which names the
//! request; a bare `ready()` can't tell for which it asks.
//!
//! # Requests
//!
//! A request is a [`Request<O>`](tower_temporal_core::Request) of an operation `O` of this module, as the requests in
//! an interceptor's stack are. So it carries extensions and, where the call has them, Temporal headers, and the layers
//! of `tower-temporal-layers` take it as they are. It is `Clone` where its input is, whatever definition it is for:
//! `retry`, `hedge` and `buffer` take it too.
//!
//! The operations are named after the SDK's methods; [`OPERATIONS`] lists them. Workflows and activities are named by
//! id, or by a handle: see [`Execution`].
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
