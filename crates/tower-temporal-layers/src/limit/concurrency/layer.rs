use super::ConcurrencyGate;
use crate::{
    gate::Gated,
    key::{EveryCall, RequestKey},
    limit::LimitKey,
};
use std::{fmt, time::Duration};
use tower_layer::Layer;

macro_rules! options {
    () => {
        /// Fails calls that are over the limit, instead of letting them wait. They are told to come again after `retry_after`:
        /// when there will be room is not known, so it is a guess of yours.
        pub fn shed(self, retry_after: Duration) -> Self {
            Self {
                gate: self.gate.shed(retry_after),
            }
        }

        /// Limits long polls too. Without it they pass: they wait at the server, for hours if need be, and would keep places
        /// that others could use.
        pub fn long_polls(self) -> Self {
            Self {
                gate: self.gate.long_polls(),
            }
        }
    };
}

/// Limits how many calls are made at a time. See the [module](crate::limit).
///
/// A value, with its clones, is one limit for all that it is applied to: several workers are limited together. For a limit
/// of each, give each a value of its own, or use tower's `concurrency_limit`, which makes a limit for each stack.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimitLayer {
    gate: ConcurrencyGate<EveryCall>,
}

impl ConcurrencyLimitLayer {
    /// Lets `calls` be under way at a time.
    ///
    /// # Panics
    ///
    /// If `calls` is zero.
    #[track_caller]
    pub fn new(calls: usize) -> Self {
        Self {
            gate: ConcurrencyGate::new(calls, EveryCall).keeping(()),
        }
    }

    options! {}
}

/// Limits how many calls with the same key are made at a time. See the [module](crate::limit).
#[derive(Clone)]
pub struct KeyedConcurrencyLimitLayer<Q: RequestKey<Key: LimitKey>> {
    gate: ConcurrencyGate<Q>,
}

impl<Q: RequestKey<Key: LimitKey>> KeyedConcurrencyLimitLayer<Q> {
    /// Lets `calls` with the same key be under way at a time.
    ///
    /// # Panics
    ///
    /// If `calls` is zero.
    #[track_caller]
    pub fn new(calls: usize, key: Q) -> Self {
        Self {
            gate: ConcurrencyGate::new(calls, key),
        }
    }

    options! {}
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = Gated<ConcurrencyGate<EveryCall>, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.gate.clone(), inner)
    }
}

impl<Q: RequestKey<Key: LimitKey> + Clone, S> Layer<S> for KeyedConcurrencyLimitLayer<Q> {
    type Service = Gated<ConcurrencyGate<Q>, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.gate.clone(), inner)
    }
}

impl<Q: RequestKey<Key: LimitKey>> fmt::Debug for KeyedConcurrencyLimitLayer<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedConcurrencyLimitLayer")
            .field("gate", &self.gate)
            .finish()
    }
}
