use crate::ClientOutboundService;
use std::fmt;
use tower_layer::Layer;
use tower_temporal_core::{Terminal, call::SharedStack};

/// A stack of layers as an interceptor of a Temporal client.
///
/// It implements [`temporalio_client::ClientInterceptor`]: give it to
/// [`ClientOptions::client_interceptors`](temporalio_client::ClientOptions). See the [crate](crate) for an example.
pub struct Interceptor<S> {
    pub(crate) stack: SharedStack<S>,
}

impl<S: ClientOutboundService> Interceptor<S> {
    /// Builds the stack: the first layer added sees a call first.
    pub fn new<L>(layer: L) -> Self
    where
        L: Layer<Terminal, Service = S>,
    {
        Self {
            stack: SharedStack::new(layer.layer(Terminal)),
        }
    }
}

impl<S> fmt::Debug for Interceptor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptor").finish_non_exhaustive()
    }
}
