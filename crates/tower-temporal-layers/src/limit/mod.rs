//! Limits that fit Temporal: how often, and how many at a time, for all calls or by a key.
//!
//! ```
//! use std::time::Duration;
//! use tower::ServiceBuilder;
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::{
//!     CallInfo,
//!     limit::{KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer},
//! };
//! # use tower_temporal_core::probe::{self, ActivityInboundProbe};
//!
//! // For activities: 100 starts in a second, 10 of them with the same tenant, and 4 at a time of each type.
//! let stack = ServiceBuilder::new()
//!     .layer(RateLimitLayer::new(100, Duration::from_secs(1)))
//!     .layer(KeyedRateLimitLayer::new(10, Duration::from_secs(1), |call: &CallInfo<'_>| {
//!         Some(call.headers().get("tenant")?.data.clone())
//!     }))
//!     .layer(KeyedConcurrencyLimitLayer::new(4, |call: &CallInfo<'_>| {
//!         call.target.activity_type.map(str::to_owned)
//!     }))
//!     .service(Terminal);
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! # assert_eq!(probe::call::<ActivityInboundProbe, _, _>(stack, 1, |_| Ok(7)).await.unwrap(), 7);
//! # });
//! ```
//!
//! The layers are `Clone`, and clones share the limit. So one layer, cloned into the stacks of several clients or workers,
//! limits them together. For a limit on all calls at a time there is [`tower::limit::GlobalConcurrencyLimitLayer`].
//!
//! # Waiting, or not
//!
//! A call that is over the limit waits. With `shed` it fails instead, with [`Overloaded`](tower_temporal_core::Overloaded):
//! `RESOURCE_EXHAUSTED` for a client; an activity fails with a `next_retry_delay`, so that the server keeps it until there is
//! room. An activity that waits takes a slot of its worker and its `start_to_close` timeout runs, so shedding suits activities
//! better, unless the waits are short.
//!
//! [`RateLimitLayer`] waits in `poll_ready`, as tower's own limits do, so that `load_shed` and the like work around it. A key
//! is only known with the request, so the keyed limits wait when they are called: they are a [`Gate`](crate::gate::Gate).
//! They are not aware of each other, and a call that waits for one may have been let through by the other.
//!
//! Waiting calls of a concurrency limit are served in their order. Those of a rate limit try again when there should be room,
//! and who comes first is served first.
//!
//! # Keys
//!
//! A key comes from a [`RequestKey`](crate::key::RequestKey): a closure, or
//! [`by_value`](crate::key::by_value) for the user a call is made for. A call without a key is not limited. Keys that
//! are not in use are forgotten: of a concurrency limit at once, of a rate limit when their number has doubled since
//! the last time.
//!
//! # Workflows
//!
//! Limits wait for the clock and for other calls, so they can't be used in workflows: it does not compile.

mod concurrency;
mod keyed;
mod quota;
mod rate;

use std::hash::Hash;

pub use self::{
    concurrency::{ConcurrencyAdmission, ConcurrencyGate, KeyedConcurrencyLimitLayer, Place},
    keyed::{KeyedRateLimitLayer, RateAdmission, RateGate},
    rate::{RateLimit, RateLimitFuture, RateLimitLayer},
};

/// What a limit can tell calls apart by. It is implemented for every type that qualifies.
pub trait LimitKey: Clone + Eq + Hash + Unpin {}

impl<K: Clone + Eq + Hash + Unpin> LimitKey for K {}
