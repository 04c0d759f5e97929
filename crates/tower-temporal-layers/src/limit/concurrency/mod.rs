//! How many calls with the same key are made at a time.

mod future;
mod gate;
mod layer;
mod place;

pub use self::{
    future::ConcurrencyAdmission, gate::ConcurrencyGate, layer::KeyedConcurrencyLimitLayer,
    place::Place,
};
