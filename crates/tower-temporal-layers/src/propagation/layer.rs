use super::Propagation;
use std::{fmt, marker::PhantomData};
use temporalio_common::data_converters::PayloadConverter;
use tower_layer::Layer;
use tower_temporal_core::{ContextKey, ReplaySafe};

/// Carries the value of `K` in a Temporal header. See the [module](super).
pub struct PropagationLayer<K> {
    converter: PayloadConverter,
    key: PhantomData<fn() -> K>,
}

impl<K: ContextKey> PropagationLayer<K> {
    /// Carries the value of `K`, encoded as the SDK encodes by default.
    pub fn new() -> Self {
        Self {
            converter: PayloadConverter::default(),
            key: PhantomData,
        }
    }

    /// Encodes the value with `converter`.
    pub fn with_payload_converter(self, converter: PayloadConverter) -> Self {
        Self { converter, ..self }
    }
}

impl<K: ContextKey> Default for PropagationLayer<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, S> Layer<S> for PropagationLayer<K> {
    type Service = Propagation<K, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Propagation::new(inner, self.converter.clone())
    }
}

/// The value comes from the workflow's input, its history and its own context.
impl<K> ReplaySafe for PropagationLayer<K> {}

impl<K> Clone for PropagationLayer<K> {
    fn clone(&self) -> Self {
        Self {
            converter: self.converter.clone(),
            key: PhantomData,
        }
    }
}

impl<K: ContextKey> fmt::Debug for PropagationLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropagationLayer")
            .field("header", &K::HEADER)
            .finish()
    }
}
