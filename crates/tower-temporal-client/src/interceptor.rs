use crate::ClientService;
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};
use tower_layer::Layer;
use tower_temporal_core::Terminal;

/// A stack of layers as an interceptor of a Temporal client.
///
/// It implements [`temporalio_client::ClientInterceptor`]: give it to
/// [`ClientOptions::client_interceptors`](temporalio_client::ClientOptions). See the [crate](crate) for an example.
pub struct Interceptor<S> {
    // Services need not be `Sync`, and the SDK calls from many threads. The lock is held for a clone.
    stack: Mutex<S>,
}

impl<S: ClientService> Interceptor<S> {
    /// Builds the stack: the first layer added sees a call first.
    pub fn new<L>(layer: L) -> Self
    where
        L: Layer<Terminal, Service = S>,
    {
        Self {
            stack: Mutex::new(layer.layer(Terminal)),
        }
    }

    pub(crate) fn stack(&self) -> S {
        self.stack
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<S> fmt::Debug for Interceptor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptor").finish_non_exhaustive()
    }
}
