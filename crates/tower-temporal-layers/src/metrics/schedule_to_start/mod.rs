//! How long activities wait for a worker.

mod layer;
mod service;

pub use self::{layer::ScheduleToStartLatencyLayer, service::ScheduleToStartLatency};
