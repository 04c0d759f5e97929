use parking_lot::RwLock;
use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// What is made once for each key, and then only read.
#[derive(Debug)]
pub(super) struct Cache<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// The value of `key`, made by `make` if there is none yet.
    pub(super) fn get<Q>(&self, key: &Q, make: impl FnOnce() -> V) -> V
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Eq + Hash + ?Sized,
    {
        let values = self.0.read();
        if let Some(value) = values.get(key) {
            return value.clone();
        }
        drop(values);
        self.0
            .write()
            .entry(key.to_owned())
            .or_insert_with(make)
            .clone()
    }
}
