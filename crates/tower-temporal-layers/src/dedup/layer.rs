use super::{ByIdentity, ByKey, Dedup, Store};
use crate::key::RequestKey;
use std::fmt::{self, Display};
use temporalio_common::data_converters::PayloadConverter;
use tower_layer::Layer;

/// Answers an activity that has been done already from a store. See the [module](super).
#[derive(Clone)]
pub struct DedupLayer<T, Q = ByIdentity> {
    pub(super) store: T,
    pub(super) key: Q,
    pub(super) converter: PayloadConverter,
}

impl<T: Store> DedupLayer<T> {
    /// Keeps outputs in `store`.
    pub fn new(store: T) -> Self {
        Self {
            store,
            key: ByIdentity,
            converter: PayloadConverter::default(),
        }
    }
}

impl<T, Q> DedupLayer<T, Q> {
    /// Names activities in the store by their type and `key`.
    pub fn key<R: RequestKey<Key: Display>>(self, key: R) -> DedupLayer<T, ByKey<R>> {
        DedupLayer {
            store: self.store,
            key: ByKey(key),
            converter: self.converter,
        }
    }

    /// Encodes what is stored with `converter`.
    pub fn with_payload_converter(self, converter: PayloadConverter) -> Self {
        Self { converter, ..self }
    }
}

impl<T: Clone, Q: Clone, S> Layer<S> for DedupLayer<T, Q> {
    type Service = Dedup<S, T, Q>;

    fn layer(&self, inner: S) -> Self::Service {
        Dedup::new(inner, self.clone())
    }
}

impl<T, Q> fmt::Debug for DedupLayer<T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupLayer")
            .field("store", &std::any::type_name::<T>())
            .finish_non_exhaustive()
    }
}
