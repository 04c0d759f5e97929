//! The core model of tower-temporal: Temporal calls as typed [`tower::Service`]s.
//!
//! Every call that Temporal's Rust SDK lets an interceptor see is an [`Operation`]: a marker type that names the
//! call's input, output and error. A middleware is a service over [`Request<O>`], a stack of them is written with
//! [`tower::ServiceBuilder`], and the innermost service of every stack is [`Terminal`], which continues with the SDK's
//! own next step.
//!
//! ```text
//!  user code ─▶ SDK client / worker ─▶ adapter ─▶ stack of layers ─▶ Terminal ─▶ the SDK's own next step
//! ```
//!
//! Applications use the `tower-temporal` crate, which re-exports what is here. This crate is what a crate of
//! layers depends on: it knows no category's adapter.
//!
//! # Writing a middleware
//!
//! [`Intercept`] makes a layer for every operation of three hooks: before a call, around it, and after it. Its documentation
//! has tracing and propagation in twenty lines each. What has to wait before a call, in clients and activities, is a `Gate`
//! of `tower-temporal-layers`. Where neither is enough, a middleware is an ordinary generic tower service:
//!
//! ```
//! use std::task::{Context, Poll};
//! use tower_layer::{Layer, layer_fn};
//! use tower_service::Service;
//! use tower_temporal_core::{Operation, Request};
//!
//! /// Prints the name of every call that passes.
//! #[derive(Clone, Debug)]
//! struct Print<S>(S);
//!
//! impl<S, O> Service<Request<O>> for Print<S>
//! where
//!     O: Operation,
//!     S: Service<Request<O>>,
//! {
//!     type Response = S::Response;
//!     type Error = S::Error;
//!     type Future = S::Future;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
//!         self.0.poll_ready(cx)
//!     }
//!
//!     fn call(&mut self, request: Request<O>) -> S::Future {
//!         println!("{} {}", O::NAME, request.target());
//!         self.0.call(request)
//!     }
//! }
//!
//! let layer = layer_fn(Print);
//! # let _ = Layer::layer(&layer, tower_temporal_core::Terminal);
//! ```
//!
//! Its future should stay a named type that is generic over the inner one, as here: then it is `Send` in clients, where the
//! SDK needs that, and need not be in workflows, where nothing is. A `Box<dyn Future + Send>` does not compile in a workflow's
//! stack.
//!
//! For one operation, [`on`] applies any layer to that operation alone, and [`from_fn`] makes a layer from an async
//! function.

pub mod call;
pub mod catch_panic;
pub mod error;
pub mod failure;
mod from_fn;
mod headers;
mod intercept;
mod on;
mod operation;
#[cfg(any(test, feature = "test-util"))]
pub mod probe;
mod queued;
mod rendezvous;
mod replay_safe;
mod request;
pub mod scope;
mod shared_service;
mod target;
mod terminal;

#[doc(no_inline)]
pub use tower::BoxError;

pub use self::{
    error::{CallError, Denied, Ending, ErrorKind, Invalid, Overloaded},
    from_fn::{FromFn, FromFnFuture, FromFnLayer, Next, NextFuture, from_fn},
    headers::{HeaderMap, HeaderMapMut, Headers, HeadersMut, InvalidHeaderValue},
    intercept::{Intercept, InterceptFuture, InterceptLayer, Intercepted, intercept},
    on::{On, OnFuture, OnLayer, on},
    operation::{Category, Operation, Repeatable},
    queued::Queued,
    replay_safe::{AssertReplaySafe, ReplaySafe, assert_replay_safe},
    request::Request,
    scope::{ContextKey, Scope},
    shared_service::SharedService,
    target::{OwnedTarget, Target},
    terminal::{Terminal, TerminalFuture},
};
