//! Ready-made middleware for Temporal calls.
//!
//! Each layer is written once and serves every operation of every category where it makes sense. Each has a cargo feature
//! of its own:
//!
//! | layer | feature | what it does | in workflows |
//! |---|---|---|---|
//! | [`PropagationLayer`](propagation::PropagationLayer) | `propagation` | carries a typed value in a Temporal header | yes |
//! | [`TraceLayer`](trace::TraceLayer) | `trace` | a `tracing` span around every call | yes |

#[cfg(feature = "trace")]
mod call_info;
#[cfg(feature = "propagation")]
pub mod propagation;
#[cfg(feature = "trace")]
pub mod trace;

#[cfg(feature = "trace")]
pub use self::call_info::{CallInfo, Outcome};
