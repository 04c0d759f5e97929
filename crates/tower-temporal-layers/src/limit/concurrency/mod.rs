//! How many calls are made at a time, all of them or with the same key.

mod future;
mod gate;
mod layer;

pub use self::{
    future::ConcurrencyGateFuture,
    gate::ConcurrencyGate,
    layer::{ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer},
};
