//! How often calls with the same key are made.

mod future;
mod gate;
mod layer;

pub use self::{future::RateAdmission, gate::RateGate, layer::KeyedRateLimitLayer};
