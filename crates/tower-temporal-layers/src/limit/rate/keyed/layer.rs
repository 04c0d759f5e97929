use super::RateGate;
use crate::{
    gate::Gated,
    key::RequestKey,
    limit::{LimitKey, quota::quota},
};
use std::{fmt, time::Duration};
use tower_layer::Layer;

/// Limits how often calls with the same key are made. See the [module](crate::limit).
#[derive(Clone)]
pub struct KeyedRateLimitLayer<Q: RequestKey<Key: LimitKey>> {
    gate: RateGate<Q>,
}

impl<Q: RequestKey<Key: LimitKey>> KeyedRateLimitLayer<Q> {
    /// Lets `calls` with the same key through in `per`. They may come all at once, and then one comes in `per / calls`.
    ///
    /// # Panics
    ///
    /// If `calls` is zero, or `per` is less than a nanosecond for each.
    #[track_caller]
    pub fn new(calls: u32, per: Duration, key: Q) -> Self {
        Self {
            gate: RateGate::new(quota(calls, per), key),
        }
    }

    /// Fails calls that are over the limit, instead of letting them wait.
    pub fn shed(self) -> Self {
        Self {
            gate: self.gate.shed(),
        }
    }
}

impl<Q: RequestKey<Key: LimitKey> + Clone, S> Layer<S> for KeyedRateLimitLayer<Q> {
    type Service = Gated<RateGate<Q>, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.gate.clone(), inner)
    }
}

impl<Q: RequestKey<Key: LimitKey>> fmt::Debug for KeyedRateLimitLayer<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimitLayer")
            .field("gate", &self.gate)
            .finish()
    }
}
