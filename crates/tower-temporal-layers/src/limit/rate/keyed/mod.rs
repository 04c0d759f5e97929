//! How often calls with the same key are made.

mod future;
mod gate;
mod layer;

pub use self::{future::RateGateFuture, gate::RateGate, layer::KeyedRateLimitLayer};
