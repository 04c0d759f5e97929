use super::ConcurrencyGate;
use crate::{gate::Gated, key::RequestKey, limit::LimitKey};
use tower_layer::Layer;

/// Limits how many calls with the same key are made at a time. See the [module](crate::limit).
#[derive(Clone, Debug)]
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
        assert!(calls > 0, "a limit lets at least one call through");
        Self {
            gate: ConcurrencyGate::new(calls, key),
        }
    }

    /// Fails calls that are over the limit, instead of letting them wait. When there will be room is not known.
    pub fn shed(self) -> Self {
        Self {
            gate: self.gate.shed(),
        }
    }
}

impl<Q: RequestKey<Key: LimitKey> + Clone, S> Layer<S> for KeyedConcurrencyLimitLayer<Q> {
    type Service = Gated<ConcurrencyGate<Q>, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.gate.clone(), inner)
    }
}
