use crate::limit::{
    LimitKey,
    place::{Acquire, Keys, Place},
};
use governor::Quota;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// Those who wait for a rate limit: a line for each key.
///
/// Only the first in a line looks for room. If all did, all would wake for each that gets through, and some might never.
pub(super) struct Lines<K> {
    keys: Arc<Keys<K>>,
    /// From one that gets through to the next.
    period: Duration,
}

impl<K: LimitKey> Lines<K> {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            keys: Arc::new(Keys::new()),
            period: quota.replenish_interval(),
        }
    }

    /// What `check` says, or how long to wait at least. Nobody overtakes those who wait with the same key.
    pub(super) fn pass(
        &self,
        key: &K,
        check: impl FnOnce() -> Result<(), Duration>,
    ) -> Result<(), Duration> {
        match self.keys.is_in_use(key) {
            true => Err(self.period),
            false => check(),
        }
    }

    /// Has one more wait, behind the others.
    pub(super) fn join(&self, key: K) -> InLine<K> {
        InLine::Behind(Acquire::new(self.keys.place(key, 1)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// One who waits. When it is dropped the next comes first.
pub(super) enum InLine<K: LimitKey> {
    Behind(Acquire<K>),
    First {
        place: Place<K>,
        sleep: Pin<Box<Sleep>>,
    },
}

impl<K: LimitKey> InLine<K> {
    /// Waits until it comes first and `check` lets it through.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        check: impl Fn(&K) -> Result<(), Duration>,
    ) -> Poll<()> {
        loop {
            match self {
                Self::Behind(acquire) => {
                    let place = ready!(acquire.poll(cx));
                    let Err(wait) = check(place.key()) else {
                        return Poll::Ready(());
                    };
                    let sleep = Box::pin(sleep(wait));
                    *self = Self::First { place, sleep };
                }
                Self::First { place, sleep } => {
                    ready!(sleep.as_mut().poll(cx));
                    let Err(wait) = check(place.key()) else {
                        return Poll::Ready(());
                    };
                    sleep.set(tokio::time::sleep(wait));
                }
            }
        }
    }
}
