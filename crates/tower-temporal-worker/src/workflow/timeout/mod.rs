//! A deadline for calls of and into a workflow, kept by a workflow timer.
//!
//! `tower`'s own timeout looks at the machine's clock, which is another one at every replay. This one starts a timer of the
//! workflow, which is in its history.

mod error;
mod future;
mod layer;
mod operations;
mod service;

pub use self::{
    error::TimeoutError,
    future::TimeoutFuture,
    layer::TimeoutLayer,
    operations::{HasCancellationToken, TimerContext},
    service::Timeout,
};
