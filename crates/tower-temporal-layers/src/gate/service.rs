use super::{Gate, GateFuture};
use std::task::{Context, Poll};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request};

/// The service of [`GateLayer`](super::GateLayer), and of every layer that is made of a [`Gate`].
#[derive(Clone, Debug)]
pub struct Gated<G, S> {
    gate: G,
    inner: S,
}

impl<G, S> Gated<G, S> {
    /// Lets `gate` say when `inner` may be called.
    pub const fn new(gate: G, inner: S) -> Self {
        Self { gate, inner }
    }
}

impl<O, G, S> Service<Request<O>> for Gated<G, S>
where
    O: Operation,
    G: Gate,
    S: Service<Request<O>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = GateFuture<O, G, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let admission = self.gate.admit(&request);
        // The clone stays; the service that was made ready goes with the call.
        let not_ready = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, not_ready);
        GateFuture::new(admission, ready, request)
    }
}
