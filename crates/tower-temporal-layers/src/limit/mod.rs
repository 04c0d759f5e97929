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
//! limits them together. For all calls, by no key, there are [`RateLimitLayer`] and [`ConcurrencyLimitLayer`].
//!
//! # Waiting, or not
//!
//! A call that is over the limit waits. With `shed` it fails instead, with [`Overloaded`](tower_temporal_core::Overloaded):
//! `RESOURCE_EXHAUSTED` for a client; an activity fails with a `next_retry_delay`, and the server keeps it for that long.
//!
//! - An activity that *waits* takes a slot of its worker, and its `start_to_close` timeout runs. Put a
//!   [`TimeoutLayer`](crate::timeout::TimeoutLayer) outside of the limit,
//!   which ends it before the server does.
//! - An activity that is *shed* has failed an attempt, and that counts for the `maximum_attempts` of its retry policy: bound its
//!   tries by `schedule_to_close` rather than by their number. Nothing is reserved for it. Many that are shed at once are told
//!   the same time, come back together, and those that find no room then are shed again.
//!
//! So shed where few calls are over the limit, or the waits are long. What is best for a whole task queue is not to have
//! activities come that can't run: the worker's own `max_outstanding_activities`, and the server's limit of a task queue's rate.
//!
//! [`RateLimitLayer`] waits in `poll_ready`, as tower's own limits do, so that `load_shed` and the like work around it. What is
//! inside has to be ready before it takes of the rate. A concurrency limit has to let long polls pass, and a key is only known
//! with the request, so the others wait when they are called: they are a [`Gate`](crate::gate::Gate). Two limits
//! in a stack are independent: a call may hold a place in one while it waits for the other.
//!
//! Waiting calls of a concurrency limit are served in their order. Those of a rate limit try again when there should be room,
//! and who comes first is served first.
//!
//! # Long polls
//!
//! A client that waits for a workflow's result, or for an update's, makes calls that wait at the server. Concurrency limits let
//! them pass, since they would keep places for hours in which others could be made, unless
//! [`long_polls`](ConcurrencyLimitLayer::long_polls) says otherwise. To a rate they are calls like any other.
//!
//! # Keys
//!
//! A key comes from a [`RequestKey`](crate::key::RequestKey): a closure, or
//! [`by_value`](crate::key::by_value) for the user a call is made for. A call without a key is not limited. Keys that
//! are not in use are forgotten: of a concurrency limit at once, of a rate limit from time to time, after as
//! many calls as there are keys.
//!
//! # Workflows
//!
//! Limits wait for the clock and for other calls, so they can't be used in workflows: it does not compile.

mod concurrency;
mod quota;
mod rate;

use std::hash::Hash;

pub use self::{
    concurrency::{
        ConcurrencyGate, ConcurrencyGateFuture, ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer,
        Place,
    },
    rate::{
        KeyedRateLimitLayer, RateGate, RateGateFuture, RateLimit, RateLimitFuture, RateLimitLayer,
    },
};

/// What a limit can tell calls apart by. It is implemented for every type that qualifies.
pub trait LimitKey: Clone + Eq + Hash {}

impl<K: Clone + Eq + Hash> LimitKey for K {}
