//! Temporal client operations as typed tower services.
//!
//! Every call that a Temporal client makes, from `start_workflow` to `heartbeat_async_activity`, is an
//! [`Operation`](tower_temporal_core::Operation) of this crate. [`Interceptor`] makes a stack of layers over them the
//! interceptor of an SDK client:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use temporalio_client::ClientOptions;
//! use tower::ServiceBuilder;
//! use tower_temporal_client::Interceptor;
//! use tower_temporal_layers::{limit::ConcurrencyLimitLayer, timeout::TimeoutLayer};
//!
//! let stack = ServiceBuilder::new()
//!     .layer(TimeoutLayer::new(Duration::from_secs(10)))
//!     .layer(ConcurrencyLimitLayer::new(100));
//!
//! let options = ClientOptions::new("default")
//!     .client_interceptors(vec![Arc::new(Interceptor::new(stack))])
//!     .build();
//! # let _ = options;
//! ```
//!
//! The stack is built once and cloned for every call, as is the norm with tower: limits are shared between all calls of
//! the client, and of its clones.
//!
//! Waiting for a workflow's result is made of calls that the server holds for up to twenty seconds. [`tower::timeout`] would end
//! them and the wait, and each would have a place in a concurrency limit of [`tower::limit`]; the layers of `tower-temporal-layers`
//! leave them alone.
//!
//! # Operations
//!
//! Operations are named after the SDK's methods. `start_workflow` is [`StartWorkflow`], and so on;
//! [`OPERATIONS`] lists them all.
//!
//! # Below the operations
//!
//! [`rpc`] makes any tower service the connection of an SDK client, and has every gRPC method typed.
//!
//! # The client as a service
//!
//! In [`service`] it is the other way round: the SDK's client is itself a tower service, with a request type per call.
//!
//! # Errors
//!
//! A layer next to the SDK sees the operation's own error and can match on it. What a middleware fails with becomes the
//! `Rpc` variant of the operation's error, with the status that
//! [`error::status`](tower_temporal_core::error::status) finds: a timeout is `DEADLINE_EXCEEDED`, shed load
//! `RESOURCE_EXHAUSTED`, a denial `PERMISSION_DENIED`.

#[macro_use]
mod macros;
mod interceptor;
mod operations;
mod retry;
pub mod rpc;
mod sdk_error;
pub mod service;

pub use self::{interceptor::Interceptor, operations::*};
