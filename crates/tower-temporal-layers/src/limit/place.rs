use super::LimitKey;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The keys in use: one semaphore for each.
pub(super) struct Keys<K>(Mutex<HashMap<K, Arc<Semaphore>>>);

impl<K: LimitKey> Keys<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// A place of a call with `key`, of which `limit` may be under way.
    pub(super) fn place(self: &Arc<Self>, key: K, limit: usize) -> Place<K> {
        let mut keys = self.lock();
        let semaphore = match keys.get(&key) {
            Some(semaphore) => semaphore.clone(),
            None => {
                let semaphore = Arc::new(Semaphore::new(limit));
                keys.insert(key.clone(), semaphore.clone());
                semaphore
            }
        };
        drop(keys);
        Place {
            permit: None,
            semaphore: Some(semaphore),
            key,
            keys: self.clone(),
        }
    }

    /// Whether anybody has a place with `key`, or waits for one.
    pub(super) fn is_in_use(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
        self.0.lock()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// The place of a call among those with the same key: waiting, and then with a permit.
///
/// The last one to go takes the key with it.
pub struct Place<K: LimitKey> {
    permit: Option<OwnedSemaphorePermit>,
    semaphore: Option<Arc<Semaphore>>,
    key: K,
    keys: Arc<Keys<K>>,
}

impl<K: LimitKey> Place<K> {
    /// Takes a permit if there is one, and nobody waits for it.
    pub(super) fn take(mut self) -> Result<Self, Self> {
        match self.semaphore().try_acquire_owned() {
            Ok(permit) => {
                self.permit = Some(permit);
                Ok(self)
            }
            Err(_) => Err(self),
        }
    }

    pub(super) const fn key(&self) -> &K {
        &self.key
    }

    fn semaphore(&self) -> Arc<Semaphore> {
        self.semaphore.clone().expect("it is there until the drop")
    }
}

impl<K: LimitKey> Drop for Place<K> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut keys = self.keys.lock();
        drop(self.semaphore.take());
        // Places are made and dropped with the lock held, so the count can't change.
        if keys
            .get(&self.key)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            keys.remove(&self.key);
        }
    }
}

impl<K: LimitKey> fmt::Debug for Place<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("permit", &self.permit.is_some())
            .finish_non_exhaustive()
    }
}

/// Waits for the permit of a place. Those who wait are served in their order.
pub(super) struct Acquire<K: LimitKey> {
    // Before the place, which counts who holds the semaphore.
    permit: Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>,
    place: Option<Place<K>>,
}

impl<K: LimitKey> Acquire<K> {
    pub(super) fn new(place: Place<K>) -> Self {
        Self {
            permit: Box::pin(place.semaphore().acquire_owned()),
            place: Some(place),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Place<K>> {
        let permit = ready!(self.permit.as_mut().poll(cx)).expect("it is never closed");
        let mut place = self.place.take().expect("it is not polled when done");
        place.permit = Some(permit);
        Poll::Ready(place)
    }
}
