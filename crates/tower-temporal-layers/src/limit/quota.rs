use governor::{Quota, clock::Clock};
use std::{num::NonZeroU32, time::Duration};
use tower_temporal_core::Overloaded;

/// `calls` in `per`, all of them at once if need be.
///
/// # Panics
///
/// If either is zero.
#[track_caller]
pub(super) fn quota(calls: u32, per: Duration) -> Quota {
    let calls = NonZeroU32::new(calls).expect("a rate limit lets at least one call through");
    Quota::with_period(per / calls.get())
        .expect("a rate limit is for some time: at least a nanosecond for each call")
        .allow_burst(calls)
}

/// The clock that tokio's timers go by.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokioClock;

impl Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// How long to wait, from what `governor` says when there is no room.
pub(super) fn wait(not_until: &governor::NotUntil<std::time::Instant>) -> Duration {
    not_until.wait_time_from(TokioClock.now())
}

/// The error of a call that does not wait.
pub(super) const fn overloaded(wait: Duration) -> Overloaded {
    Overloaded {
        retry_after: Some(wait),
    }
}
