use super::On;
use crate::rpc::{Rpc, Typed};
use std::{fmt, marker::PhantomData};
use tower_layer::Layer;
use tower_temporal_core::SharedService;

/// Applies `layer` to the gRPC method `R` alone, with its messages decoded; every other call passes it by as bytes. See the
/// [module](super).
///
/// The layer is one over `tonic::Request<R::Input>` and `tonic::Response<R::Output>`. What it wraps fails with
/// [`tonic::Status`]; it may fail with whatever becomes a `BoxError`. A status becomes the call's response, as if the server
/// had sent it.
///
/// The service is always ready, since the call says which way it takes; that way's readiness is awaited in its future.
pub const fn on<R: Rpc, L>(layer: L) -> OnLayer<R, L> {
    OnLayer {
        layer,
        method: PhantomData,
    }
}

/// The layer of [`on`].
pub struct OnLayer<R, L> {
    layer: L,
    method: PhantomData<fn() -> R>,
}

impl<R, L, S> Layer<S> for OnLayer<R, L>
where
    L: Layer<Typed<R, SharedService<S>>>,
    S: Clone,
{
    type Service = On<R, S, L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = SharedService::new(inner);
        On::new(inner.clone(), self.layer.layer(Typed::new(inner)))
    }
}

impl<R, L: Clone> Clone for OnLayer<R, L> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            method: PhantomData,
        }
    }
}

impl<R: Rpc, L: fmt::Debug> fmt::Debug for OnLayer<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLayer")
            .field("method", &R::PATH)
            .field("layer", &self.layer)
            .finish()
    }
}
