//! Says how failures are reported: which are not retried, when the others are, and with what details.
//!
//! ```
//! use std::time::Duration;
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::map_error::{Failed, MapErrorLayer};
//! # use tower::ServiceBuilder;
//! # use tower_temporal_core::{Next, Request, from_fn, probe::{self, ActivityInboundProbe}};
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the card was declined: {code}")]
//! struct Declined {
//!     code: String,
//! }
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the bank is busy")]
//! struct Busy;
//!
//! // For activities.
//! let layer = MapErrorLayer::new(|failed: &mut Failed| {
//!     if let Some(code) = failed.find::<Declined>().map(|declined| declined.code.clone()) {
//!         failed.type_name("Declined").non_retryable().details(code);
//!     }
//!     if failed.find::<Busy>().is_some() {
//!         failed.retry_after(Duration::from_secs(60));
//!     }
//! });
//! # let declined = from_fn(async |_: Request<ActivityInboundProbe>, _: Next<ActivityInboundProbe>| {
//! #     Err::<u32, _>(Declined { code: "expired".to_owned() })
//! # });
//! # let stack = ServiceBuilder::new().layer(layer).layer(declined).service(Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let error = probe::call::<ActivityInboundProbe, _, _>(stack, 1, |_| Ok(7)).await.unwrap_err();
//! # assert_eq!(error.to_string(), "middleware failed: the card was declined: expired");
//! # });
//! ```
//!
//! The closure sees each failure, whether it is the call's own or of a layer inside. What is no failure passes: an activity that
//! completes later or was cancelled, a workflow that continues as new, a failure marked benign.
//!
//! When it changes something, the failure that is reported has the message it had, what the closure says, and else what
//! it said before, details included; the error as it was is its cause, so a message can be there twice. When it does not,
//! the error passes untouched.
//!
//! Details that have not been encoded yet, as those an activity fails with, are encoded by the SDK's default payload converter
//! then.
//!
//! [`replace`](Failed::replace) is for any error in place of the one there is. In a client's stack it is the only change that
//! matters: a client's errors are not retried by the server.
//!
//! # What can be found
//!
//! [`find`](Failed::find) looks through the causes of the error for one of a type. An error that an activity returns with `?`
//! goes through `anyhow`, which keeps its text and its causes but not its type. An activity keeps it with
//! `ApplicationFailure::new(error)`, as in `.map_err(ApplicationFailure::new)?`.
//!
//! # Workflows
//!
//! The layer is replay-safe. The closure is workflow code, and has to do the same on replay.

mod failed;
mod layer;

pub use self::{failed::Failed, layer::MapErrorLayer};
