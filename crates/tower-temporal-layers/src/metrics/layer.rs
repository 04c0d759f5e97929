use super::{MeterBackend, Metrics, instruments::Instruments};
use std::sync::Arc;
use tower_layer::Layer;
use tower_temporal_core::ReplaySafe;

/// Counts and times every call. See the [module](super).
#[derive(Clone, Debug)]
pub struct MetricsLayer {
    instruments: Arc<Instruments>,
}

impl MetricsLayer {
    /// Records to `meter`: an OpenTelemetry `Meter` or the SDK's `TemporalMeter`.
    ///
    /// The instruments are made here. Clone the layer for further stacks.
    pub fn new(meter: &impl MeterBackend) -> Self {
        Self {
            instruments: Arc::new(Instruments::new(meter)),
        }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Metrics {
            inner,
            instruments: self.instruments.clone(),
        }
    }
}

/// It reads a clock for what it records, and nothing a workflow does depends on that.
impl ReplaySafe for MetricsLayer {}
