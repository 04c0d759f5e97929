use super::{Operations, RpcService};
use tower_layer::Layer;
use tower_temporal_core::{SharedService, Terminal};

/// Applies `layer` to the calls that no interceptor of the SDK sees. See the [module](super).
///
/// The stack is built once, here, and cloned for every call.
pub fn operations<L>(layer: L) -> OperationsLayer<L::Service>
where
    L: Layer<Terminal>,
    L::Service: RpcService,
{
    OperationsLayer {
        stack: layer.layer(Terminal),
    }
}

/// The layer of [`operations`].
#[derive(Clone, Debug)]
pub struct OperationsLayer<T> {
    stack: T,
}

impl<T, S> Layer<S> for OperationsLayer<T>
where
    T: Clone,
    S: Clone,
{
    type Service = Operations<T, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Operations {
            stack: self.stack.clone(),
            inner: SharedService::new(inner),
        }
    }
}
