use super::{Attribute, Instrument, MeterBackend, Metric, Recorder};
use opentelemetry::{KeyValue, metrics::Meter};
use std::time::Duration;

/// In seconds, as OpenTelemetry has durations. Its default buckets are made for milliseconds.
const BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    3600.0,
];

impl MeterBackend for Meter {
    fn counter(&self, metric: Metric) -> Instrument<u64> {
        let counter = self
            .u64_counter(metric.name)
            .with_description(metric.description)
            .build();
        Instrument::new(move |attributes| {
            let (counter, attributes) = (counter.clone(), key_values(attributes));
            Recorder::new(move |value| counter.add(value, &attributes))
        })
    }

    fn up_down_counter(&self, metric: Metric) -> Instrument<i64> {
        let counter = self
            .i64_up_down_counter(metric.name)
            .with_description(metric.description)
            .build();
        Instrument::new(move |attributes| {
            let (counter, attributes) = (counter.clone(), key_values(attributes));
            Recorder::new(move |value| counter.add(value, &attributes))
        })
    }

    fn histogram(&self, metric: Metric) -> Instrument<Duration> {
        let histogram = self
            .f64_histogram(metric.name)
            .with_description(metric.description)
            .with_unit("s")
            .with_boundaries(BUCKETS.into())
            .build();
        Instrument::new(move |attributes| {
            let (histogram, attributes) = (histogram.clone(), key_values(attributes));
            Recorder::new(move |value: Duration| histogram.record(value.as_secs_f64(), &attributes))
        })
    }
}

fn key_values(attributes: &[Attribute<'_>]) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| KeyValue::new(*key, value.to_string()))
        .collect()
}
