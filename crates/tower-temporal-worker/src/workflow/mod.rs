//! Calls into workflows, and calls that workflows make.
//!
//! *Inbound* are [`InitializeWorkflow`], [`ExecuteWorkflow`], [`HandleSignal`], [`HandleQuery`], [`HandleUpdate`] and
//! [`ValidateUpdate`]; *outbound* are timers, activities, child workflows, signals, continue-as-new and Nexus operations.
//! [`interceptor`] makes a stack for each direction the interceptor of a worker's workflows:
//!
//! ```
//! use temporalio_sdk::WorkerOptions;
//! use tower::ServiceBuilder;
//! use tower_temporal_core::{Next, Request, from_fn};
//! use tower_temporal_worker::workflow::{self, ScheduleActivity};
//!
//! let outbound = ServiceBuilder::new().layer(from_fn(
//!     async |mut request: Request<ScheduleActivity>, next: Next<ScheduleActivity>| {
//!         request.options_mut().summary.get_or_insert_with(|| "scheduled by Orders".to_owned());
//!         next.run(request).await
//!     },
//! ));
//!
//! let options = WorkerOptions::new("orders")
//!     .workflow_interceptor(workflow::interceptor(ServiceBuilder::new(), outbound))
//!     .build();
//! # let _ = options;
//! ```
//!
//! # Replay
//!
//! A workflow is replayed from its history when a worker restarts or has evicted it from its cache, and layers are replayed with it. Stacks
//! are built anew for each workflow a worker holds in memory, from the layers given here, so a layer's service can keep
//! state of one workflow. They take only layers that are [`ReplaySafe`](tower_temporal_core::ReplaySafe).
//!
//! The SDK polls an outbound call once when it is made, and from then on only while the workflow's code awaits it. A layer
//! that waits for a workflow timer before it calls inward goes on only then.
//!
//! `initialize_workflow`, `handle_query`, `validate_update` and `continue_as_new` are synchronous in the SDK: a layer that
//! waits there fails the operation with an error that names it.
//!
//! Workflows of a WASM component (the SDK's feature `wasm-workflows`) are not intercepted: the SDK applies no native interceptor
//! to them.
//!
//! # Errors
//!
//! What a middleware fails with
//!
//! - fails the workflow, with an [`ApplicationFailure`](temporalio_common::error::ApplicationFailure), in
//!   `execute` and `handle_signal`. A signal that is refused, with [`Denied`](tower_temporal_core::Denied) or
//!   [`Invalid`](tower_temporal_core::Invalid), is dropped instead, with a `tracing` warning: nobody waits who could be told,
//!   and whoever can send signals could fail the workflow;
//! - rejects the update or fails the query in `handle_update`, `validate_update` and `handle_query`;
//! - fails the call in outbound operations, as the workflow code that made it sees it. A timer can't fail in the SDK:
//!   there it fails the workflow, or the update, that started the timer. A child workflow that is not started fails with
//!   `ChildWorkflowStartError::Cancelled`, the only variant that can carry a cause: look at its failure before you take it for
//!   a cancellation;
//! - fails the workflow's first task in `initialize_workflow`, since the SDK has no other way there. The workflow's
//!   `#[init]` runs all the same, and nothing else of it. A layer that fails or panics after that, or keeps the request's
//!   input to itself and fails, panics through the SDK and ends the worker: let it fail before it calls inward.
//!
//! A panic fails the workflow task, as a panic in workflow code does. In `validate_update` it rejects the update.
//!
//! # Context values
//!
//! A [`ContextKey`](tower_temporal_core::ContextKey)'s value belongs to the workflow's context here.
//! [`ContextValues::current`] reads it and [`ContextScope::scope`] sets it.

mod cancellation;
mod ending;
mod error;
mod handler;
mod interceptor;
mod operations;
mod scope;
mod table;
mod timeout;

pub use self::{
    error::{InitializeWorkflowError, StartNexusOperationError, StartTimerError},
    interceptor::interceptor,
    operations::*,
    scope::{ContextScope, ContextValues, SyncScoped, WorkflowScope, WorkflowScoped},
    timeout::{
        HasCancellationToken, Timeout, TimeoutError, TimeoutFuture, TimeoutLayer, TimerContext,
    },
};
