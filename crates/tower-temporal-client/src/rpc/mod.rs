//! Below the operations: any tower service as the SDK's connection, and every gRPC method typed.

mod body;
mod connect;
mod either;
pub mod long_poll;
mod method;
pub mod on;
pub mod operations;
mod status;
mod typed;
mod unary;

pub use self::{
    body::{Body, into_tonic},
    connect::{connect, connection_options},
    either::EitherFuture,
    long_poll::{UnlessLongPollLayer, is_long_poll, unless_long_poll},
    method::{Rpc, Waits, cloud_service, health, operator_service, test_service, workflow_service},
    on::{OnLayer, on},
    operations::{OperationsLayer, RpcService, operations},
    typed::{Typed, TypedFuture, decode_request, encode_response},
};
