use crate::limit::LimitKey;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
        // A panic while it was held was one in a key's `Eq` or `Hash`, which has left the map as it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn semaphore(&self) -> Arc<Semaphore> {
        self.semaphore.clone().expect("it is there until the drop")
    }

    pub(super) fn permit(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
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
