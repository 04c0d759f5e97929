//! Limits that fit Temporal: how often, and how many at a time, for all calls or by a key.
//!
//! ```
//! use std::time::Duration;
//! use tower::ServiceBuilder;
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::{
//!     CallInfo,
//!     key::EveryCall,
//!     limit::{KeyedConcurrencyLimitLayer, KeyedRateLimitLayer},
//! };
//! # use tower_temporal_core::probe::{self, ActivityInboundProbe};
//!
//! // For activities: 10 starts in a second with the same tenant, 4 at a time of each type, and 100 starts in a second in all.
//! let stack = ServiceBuilder::new()
//!     .layer(KeyedRateLimitLayer::new(10, Duration::from_secs(1), |call: &CallInfo<'_>| {
//!         Some(call.headers().get("tenant")?.data.clone())
//!     }))
//!     .layer(KeyedConcurrencyLimitLayer::new(4, |call: &CallInfo<'_>| {
//!         call.target.activity_type.map(str::to_owned)
//!     }))
//!     .layer(KeyedRateLimitLayer::new(100, Duration::from_secs(1), EveryCall))
//!     .service(Terminal);
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! # assert_eq!(probe::call::<ActivityInboundProbe, _, _>(stack, 1, |_| Ok(7)).await.unwrap(), 7);
//! # });
//! ```
//!
//! For all calls, by no key, there are [`RateLimitLayer`] and [`ConcurrencyLimitLayer`].
//!
//! One value of a layer is one limit, with its clones, whatever it is applied to. So two workers that have their stacks from
//! one `Interceptors` are limited together, and so are a client and a worker that are given clones. tower's `concurrency_limit`
//! makes a limit for each stack instead. For a limit of each worker use that, or give each a value of its own.
//!
//! Do not share a concurrency limit between calls of which one is made inside of the other, such as activities and the client they
//! call, unless it sheds: activities that have all the places would wait for another.
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
//! - A call for an activity's `info` can't wait: it fails. In an activity's outbound stack put a limit around
//!   heartbeats alone, with `on`.
//!
//! So shed where few calls are over the limit, or the waits are long. What is best for a whole task queue is not to have
//! activities come that can't run: the activity slots of the worker's `tuner`, its `max_worker_activities_per_second`, and for all
//! workers together `max_task_queue_activities_per_second`.
//!
//! Waiting calls are served in their order, those with the same key among themselves. Nobody overtakes them: where one clone of
//! a rate limit sheds and another does not, calls of the first are refused while those of the second wait. A call that is
//! dropped gives its place up.
//!
//! # Which goes inside of which
//!
//! [`RateLimitLayer`] waits in `poll_ready`, as tower's own limits do, so that `load_shed` and the like work around it. It
//! counts a call only once what is inside is ready. A concurrency limit has to let long polls pass, and a key is only known
//! with the request, so the others wait when they are called: they are a [`Gate`](crate::gate::Gate).
//!
//! What waits in `poll_ready` has given a call its place before any gate or policy is asked, be that outside or inside of it:
//! [`RateLimitLayer`], and tower's `rate_limit`, `concurrency_limit` and `buffer`. A call that is refused then has been counted,
//! and one that waits at a gate keeps the place. With tower's `concurrency_limit(64)` and a [`KeyedConcurrencyLimitLayer`] of
//! one, 64 calls of the same tenant keep all others out, and one of them runs.
//!
//! Gates and policies are asked one after another, from the outside in. So where there are any, limit everything by a
//! [`ConcurrencyLimitLayer`], or a [`KeyedRateLimitLayer`] with the key [`EveryCall`](crate::key::EveryCall), and put it
//! inside. Or put a [`TimeoutLayer`](crate::timeout::TimeoutLayer) in between: what is inside of that is asked when a call has
//! got there.
//! Gates are independent all the same: a call holds its place in an outer one while it waits for an inner.
//!
//! A service that waits in `poll_ready` has its place in the line until it gets through or is dropped. So clone one for each
//! call, as clients and workers do: one that is kept and not asked again, as `load_shed` may keep it, holds up all behind it.
//! With `shed` nothing waits.
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
mod place;
mod quota;
mod rate;

use std::hash::Hash;

pub use self::{
    concurrency::{
        ConcurrencyGate, ConcurrencyGateFuture, ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer,
    },
    place::Place,
    rate::{
        KeyedRateLimitLayer, RateGate, RateGateFuture, RateLimit, RateLimitFuture, RateLimitLayer,
    },
};

/// What a limit can tell calls apart by. It is implemented for every type that qualifies.
pub trait LimitKey: Clone + Eq + Hash {}

impl<K: Clone + Eq + Hash> LimitKey for K {}
