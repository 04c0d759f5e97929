//! Ready-made middleware for Temporal calls.
//!
//! Each layer is written once and serves every operation of every category where it makes sense. Each has a cargo feature
//! of its own:
//!
//! | layer | feature | what it does | in workflows |
//! |---|---|---|---|
//! | [`AuditLayer`](audit::AuditLayer) | `audit` | a record of every call, to a sink of yours | yes |
//! | [`AuthorizeLayer`](authorize::AuthorizeLayer) | `authorize` | lets only those calls pass that a policy allows | yes |
//! | [`AsyncAuthorizeLayer`](authorize::AsyncAuthorizeLayer) | `authorize` | the same, for a policy that has to ask | no |
//! | [`CatchPanicLayer`](catch_panic::CatchPanicLayer) | `catch-panic` | makes errors of panics | no |
//! | [`DedupLayer`](dedup::DedupLayer) | `dedup` | answers a repeated activity from a store | no |
//! | [`RateLimitLayer`](limit::RateLimitLayer) | `limit` | how often calls are made | no |
//! | [`KeyedRateLimitLayer`](limit::KeyedRateLimitLayer) | `limit` | the same, by a key from the request | no |
//! | [`KeyedConcurrencyLimitLayer`](limit::KeyedConcurrencyLimitLayer) | `limit` | how many calls with a key are made at a time | no |
//! | [`MapErrorLayer`](map_error::MapErrorLayer) | `map-error` | says how failures are reported and retried | yes |
//! | [`MetricsLayer`](metrics::MetricsLayer) | `metrics` | counts and times every call | yes |
//! | [`ScheduleToStartLatencyLayer`](metrics::ScheduleToStartLatencyLayer) | `metrics` | how long activities wait for a worker | |
//! | [`OtelLayer`](otel::OtelLayer) | `otel` | OpenTelemetry spans, and their context in a Temporal header | yes |
//! | [`PropagationLayer`](propagation::PropagationLayer) | `propagation` | carries a typed value in a Temporal header | yes |
//! | [`TimeoutLayer`](timeout::TimeoutLayer) | `timeout` | deadlines of a client's requests and of activities | no |
//! | [`TraceLayer`](trace::TraceLayer) | `trace` | a `tracing` span around every call | yes |
//! | [`ValidateLayer`](validate::ValidateLayer) | `validate` | looks at typed arguments | yes |
//!
//! Those that need not wait are made of [`Intercept`](tower_temporal_core::Intercept), those that do of [`gate::Gate`]. Your own
//! can be too.

#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "authorize")]
pub mod authorize;
mod call_info;
#[cfg(feature = "catch-panic")]
pub mod catch_panic;
#[cfg(feature = "dedup")]
pub mod dedup;
pub mod gate;
#[cfg(any(feature = "otel", feature = "propagation"))]
mod header;
pub mod key;
#[cfg(feature = "limit")]
pub mod limit;
#[cfg(feature = "map-error")]
pub mod map_error;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(feature = "propagation")]
pub mod propagation;
#[cfg(all(test, any(feature = "metrics", feature = "otel")))]
mod test_support;
#[cfg(feature = "timeout")]
pub mod timeout;
#[cfg(feature = "trace")]
pub mod trace;
#[cfg(feature = "validate")]
pub mod validate;

pub use self::call_info::{CallInfo, Outcome};
