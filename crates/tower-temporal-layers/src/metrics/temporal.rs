use super::{Attribute, Instrument, MeterBackend, Metric, Recorder};
use std::time::Duration;
use temporalio_common::telemetry::metrics::{
    CoreMeter, CounterBase, HistogramDurationBase, MetricAttributes, MetricKeyValue,
    MetricParameters, NewAttributes, TemporalMeter, UpDownCounterBase,
};

impl MeterBackend for TemporalMeter {
    fn counter(&self, metric: Metric) -> Instrument<u64> {
        let counter = CoreMeter::counter(&**self, metric.into());
        let meter = self.clone();
        Instrument::new(move |attributes| {
            let mut counter = counter.clone();
            counter.update_attributes(extended(&meter, attributes));
            Recorder::new(move |value| counter.adds(value))
        })
    }

    fn up_down_counter(&self, metric: Metric) -> Instrument<i64> {
        let counter = CoreMeter::up_down_counter(&**self, metric.into());
        let meter = self.clone();
        Instrument::new(move |attributes| {
            let mut counter = counter.clone();
            counter.update_attributes(extended(&meter, attributes));
            Recorder::new(move |value| counter.adds(value))
        })
    }

    fn histogram(&self, metric: Metric) -> Instrument<Duration> {
        let histogram = CoreMeter::histogram_duration(&**self, metric.into());
        let meter = self.clone();
        Instrument::new(move |attributes| {
            let mut histogram = histogram.clone();
            histogram.update_attributes(extended(&meter, attributes));
            Recorder::new(move |value| histogram.records(value))
        })
    }
}

impl From<Metric> for MetricParameters {
    fn from(metric: Metric) -> Self {
        Self::builder()
            .name(metric.name)
            .description(metric.description)
            // What the SDK's own duration histograms have: the exporter says which unit it is.
            .unit("duration")
            .build()
    }
}

/// The meter's own attributes, and these.
fn extended(meter: &TemporalMeter, attributes: &[Attribute<'_>]) -> MetricAttributes {
    let attributes = attributes
        .iter()
        .map(|(key, value)| MetricKeyValue::new(*key, value.to_string()));
    meter.extend_attributes(
        meter.get_default_attributes().clone(),
        NewAttributes::from(attributes),
    )
}
