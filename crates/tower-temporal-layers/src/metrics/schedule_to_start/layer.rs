use super::{ScheduleToStartLatency, service::Histogram};
use crate::metrics::MeterBackend;
use std::sync::Arc;
use tower_layer::Layer;

/// Records how long activities wait for a worker. See the [module](super::super).
///
/// It is for stacks of calls into activities; in others it records nothing.
#[derive(Clone, Debug)]
pub struct ScheduleToStartLatencyLayer {
    histogram: Arc<Histogram>,
}

impl ScheduleToStartLatencyLayer {
    /// Records to `meter`: an OpenTelemetry `Meter` or the SDK's `TemporalMeter`.
    pub fn new(meter: &impl MeterBackend) -> Self {
        Self {
            histogram: Arc::new(Histogram::new(meter)),
        }
    }
}

impl<S> Layer<S> for ScheduleToStartLatencyLayer {
    type Service = ScheduleToStartLatency<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ScheduleToStartLatency {
            inner,
            histogram: self.histogram.clone(),
        }
    }
}
