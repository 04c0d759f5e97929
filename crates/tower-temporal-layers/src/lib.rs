//! Ready-made middleware for Temporal calls.
//!
//! Each layer is written once and serves every operation of every category where it makes sense. Each has a cargo feature
//! of its own:
//!
//! | layer | feature | what it does | in workflows |
//! |---|---|---|---|
//! | [`MetricsLayer`](metrics::MetricsLayer) | `metrics` | counts and times every call | yes |
//! | [`ScheduleToStartLatencyLayer`](metrics::ScheduleToStartLatencyLayer) | `metrics` | how long activities wait for a worker | |
//! | [`OtelLayer`](otel::OtelLayer) | `otel` | OpenTelemetry spans, and their context in a Temporal header | yes |
//! | [`PropagationLayer`](propagation::PropagationLayer) | `propagation` | carries a typed value in a Temporal header | yes |
//! | [`TraceLayer`](trace::TraceLayer) | `trace` | a `tracing` span around every call | yes |

#[cfg(any(feature = "metrics", feature = "otel", feature = "trace"))]
mod call_info;
#[cfg(any(feature = "otel", feature = "propagation"))]
mod header;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(feature = "propagation")]
pub mod propagation;
#[cfg(all(test, any(feature = "metrics", feature = "otel")))]
mod test_support;
#[cfg(feature = "trace")]
pub mod trace;

#[cfg(any(feature = "metrics", feature = "otel", feature = "trace"))]
pub use self::call_info::{CallInfo, Outcome};
