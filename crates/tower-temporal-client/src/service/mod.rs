//! The SDK's client as a tower service.

mod client;
mod definition;
mod execution;
mod future;
mod operation;
mod operations;
mod retry;

pub use self::{
    client::ClientService,
    definition::Definition,
    execution::{ActivityExecution, Execution},
    future::ResponseFuture,
    operation::ClientOperation,
    operations::*,
    retry::IdempotentRetry,
};
