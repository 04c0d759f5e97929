use super::{
    MetricsFuture,
    instruments::{InFlight, Instruments},
};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;
use tower_temporal_core::{Operation, Request};

/// The service of [`MetricsLayer`](super::MetricsLayer).
#[derive(Clone, Debug)]
pub struct Metrics<S> {
    pub(super) inner: S,
    pub(super) instruments: Arc<Instruments>,
}

impl<O, S> Service<Request<O>> for Metrics<S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = MetricsFuture<O, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let in_flight = InFlight::start(self.instruments.of::<O>(), request.context().clone());
        MetricsFuture::new(self.inner.call(request), in_flight)
    }
}
