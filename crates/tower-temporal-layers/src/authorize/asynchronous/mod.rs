//! Policies that have to ask somebody.

mod future;
mod gate;
mod layer;

pub use self::{
    future::AsyncAuthorizeGateFuture,
    gate::{AsyncAuthorize, AsyncAuthorizeGate},
    layer::AsyncAuthorizeLayer,
};
