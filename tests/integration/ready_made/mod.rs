//! The ready-made layers, in the stacks of real clients and workers. Tracing and propagation have tests of their own.

mod activities;
mod clients;
mod everything;
mod workflows;

use moka::future::Cache;
use std::convert::Infallible;
use tower_temporal::dedup::{Payload, Store};

/// A store in memory.
#[derive(Clone)]
struct Memory(Cache<String, Payload>);

impl Memory {
    fn new() -> Self {
        Self(Cache::new(1000))
    }
}

impl Store for Memory {
    type Error = Infallible;

    async fn get(&self, key: &str) -> Result<Option<Payload>, Infallible> {
        Ok(self.0.get(key).await)
    }

    async fn put(&self, key: &str, output: Payload) -> Result<(), Infallible> {
        self.0.insert(key.to_owned(), output).await;
        Ok(())
    }
}
