//! How often calls are made.

mod future;
mod keyed;
mod layer;
mod line;
mod service;

pub use self::{
    future::RateLimitFuture,
    keyed::{KeyedRateLimitLayer, RateGate, RateGateFuture},
    layer::RateLimitLayer,
    service::RateLimit,
};
