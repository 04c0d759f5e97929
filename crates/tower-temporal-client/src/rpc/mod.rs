//! Below the operations: any tower service as the SDK's connection, and every gRPC method typed.

mod body;
mod method;

pub use self::{
    body::{Body, into_tonic},
    method::{Rpc, Waits, cloud_service, health, operator_service, test_service, workflow_service},
};
