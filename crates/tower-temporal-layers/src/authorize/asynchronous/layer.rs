use super::{AsyncAuthorize, AsyncAuthorizeGate};
use crate::gate::Gated;
use std::fmt;
use tower_layer::Layer;

/// Lets only those calls pass that a policy allows which is asked and answers later. See the [module](crate::authorize).
///
/// It is for clients and activities: what answers is not in a workflow's history.
#[derive(Clone, Copy)]
pub struct AsyncAuthorizeLayer<A> {
    gate: AsyncAuthorizeGate<A>,
}

impl<A: AsyncAuthorize> AsyncAuthorizeLayer<A> {
    /// Lets those calls pass that `policy` allows.
    pub const fn new(policy: A) -> Self {
        Self {
            gate: AsyncAuthorizeGate::new(policy),
        }
    }
}

impl<A: Clone, S> Layer<S> for AsyncAuthorizeLayer<A> {
    type Service = Gated<AsyncAuthorizeGate<A>, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated::new(self.gate.clone(), inner)
    }
}

impl<A> fmt::Debug for AsyncAuthorizeLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncAuthorizeLayer")
            .field("gate", &self.gate)
            .finish()
    }
}
