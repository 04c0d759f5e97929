//! Deadlines that know Temporal: of a client's requests, and of an activity's attempt.
//!
//! ```
//! use std::time::Duration;
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::timeout::TimeoutLayer;
//! # use tower_layer::Layer;
//! # use tower_temporal_core::probe::{self, ClientProbe};
//!
//! // For a client: ten seconds for each call, and the server is told.
//! let client = TimeoutLayer::new(Duration::from_secs(10)).layer(Terminal);
//! // For activities: a second less than the server gives them.
//! let activity = TimeoutLayer::deadline().margin(Duration::from_secs(1)).layer(Terminal);
//! # let _ = activity;
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! # assert_eq!(probe::call::<ClientProbe, _, _>(client.clone(), 1, |_| Ok(7)).await.unwrap(), 7);
//! # let start = tokio::time::Instant::now();
//! # let late = tower_temporal_core::call::Call::<ClientProbe, _, _>::new(client, 1.into(), (), |_| Box::pin(std::future::pending()));
//! # assert_eq!(late.await.unwrap_err().to_string(), "middleware failed: request timed out");
//! # assert_eq!(start.elapsed().as_secs(), 10);
//! # });
//! ```
//!
//! A call that takes longer is dropped, and fails with tower's [`Elapsed`]: `DEADLINE_EXCEEDED` for a client, a retryable
//! failure for an activity. Four things are more than [`tower::timeout`] does:
//!
//! - **The server is told.** Each request of a client's call carries the deadline (`rpc_options.timeout`), unless it has a
//!   shorter one already. So the server does not work on what nobody waits for.
//! - **Long polls are left alone.** Waiting for a workflow's result, or an update's, is made of calls that wait at the server
//!   for as long as it takes. They get a deadline only with [`long_polls`](TimeoutLayer::long_polls).
//! - **An activity's own deadline counts.** The server gives up an attempt when its `start_to_close` or `schedule_to_close`
//!   timeout is over, and then nobody learns how far the activity got. The layer ends it a
//!   [`margin`](TimeoutLayer::margin) earlier, so that the failure is reported, and retried as a failure.
//! - **Waiting inside counts.** The server's clock runs while an activity waits for a limit. So the layer is always ready, and
//!   waits for what is inside with the request in hand: put limits inside of it, and what reacts to readiness, such as
//!   `load_shed`, too.
//!
//! An activity's deadline is a time of the server's clock, and is compared with this machine's, as in Temporal's Go SDK. Clocks
//! that differ by less than the margin do no harm.
//!
//! # Workflows
//!
//! The clock is not in a workflow's history, so this layer can't be used in workflows: it does not compile. The worker crate
//! has one for them, made of workflow timers: `workflow::TimeoutLayer`.
//!
//! [`tower::timeout`]: https://docs.rs/tower/latest/tower/timeout/
//! [`Elapsed`]: tower::timeout::error::Elapsed

mod future;
mod layer;
mod service;

pub use self::{future::TimeoutFuture, layer::TimeoutLayer, service::Timeout};
