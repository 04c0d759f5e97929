//! How often calls are made.

mod future;
mod layer;
mod service;

pub use self::{future::RateLimitFuture, layer::RateLimitLayer, service::RateLimit};
