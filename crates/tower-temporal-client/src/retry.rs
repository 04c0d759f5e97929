//! What the policies for [`tower::retry`] share.

use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{
    retry::{
        backoff::{
            Backoff, ExponentialBackoff, ExponentialBackoffMaker, InvalidBackoff, MakeBackoff,
        },
        budget::{Budget, TpsBudget},
    },
    util::rng::HasherRng,
};

/// How often a call is made again, and when.
///
/// At first: three times, after 50 ms, twice as long each time, with up to half as much added at random, and at most 2 s; and no
/// more than a fifth of the calls that were seen to need none, plus ten in a second.
#[derive(Clone)]
pub(crate) struct Attempts {
    retries: u32,
    min: Duration,
    max: Duration,
    budget: Arc<TpsBudget>,
    /// It is there from the first retry of a call on.
    backoff: Option<ExponentialBackoff>,
}

impl Attempts {
    const JITTER: f64 = 0.5;

    pub(crate) fn new() -> Self {
        Self {
            retries: 3,
            min: Duration::from_millis(50),
            max: Duration::from_secs(2),
            budget: Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2)),
            backoff: None,
        }
    }

    pub(crate) fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    pub(crate) fn waits(self, min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        let attempts = Self { min, max, ..self };
        attempts.maker()?;
        Ok(attempts)
    }

    pub(crate) fn budget(self, budget: Arc<TpsBudget>) -> Self {
        Self { budget, ..self }
    }

    /// The call needs no retry.
    pub(crate) fn deposit(&self) {
        self.budget.deposit();
    }

    /// The wait before the call is made again, which is at least this long. Nothing: it is not made again.
    pub(crate) fn next(&mut self, at_least: Duration) -> Option<Sleep> {
        if self.retries == 0 || !self.budget.withdraw() {
            return None;
        }
        self.retries -= 1;
        let mut backoff = self.backoff.take().unwrap_or_else(|| {
            let maker = self.maker();
            maker
                .expect("the waits were looked at when they were set")
                .make_backoff()
        });
        let end = backoff.next_backoff().deadline();
        self.backoff = Some(backoff);
        Some(sleep_until(end.max(Instant::now() + at_least)))
    }

    /// A generator of its own for each call, or all would wait for the same random times.
    fn maker(&self) -> Result<ExponentialBackoffMaker, InvalidBackoff> {
        ExponentialBackoffMaker::new(self.min, self.max, Self::JITTER, HasherRng::new())
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("retries", &self.retries)
            .field("min", &self.min)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}
