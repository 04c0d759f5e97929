use super::Gated;
use tower_layer::Layer;

/// Puts a [`Gate`](super::Gate) before every call. See the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct GateLayer<G> {
    gate: G,
}

impl<G> GateLayer<G> {
    /// Lets `gate` say when a call may be made.
    pub const fn new(gate: G) -> Self {
        Self { gate }
    }
}

impl<G: Clone, S> Layer<S> for GateLayer<G> {
    type Service = Gated<G, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.gate.clone(), inner)
    }
}
