use super::{Attribute, Instrument, MeterBackend, Metric, Recorder, cache::Cache};
use crate::Outcome;
use std::{
    any::TypeId,
    sync::Arc,
    time::{Duration, Instant},
};
use tower_temporal_core::{ErrorKind, Operation, Scope};

/// The instruments of a [`MetricsLayer`](super::MetricsLayer), and what has been made of them for each operation.
#[derive(Debug)]
pub(super) struct Instruments {
    calls: Instrument<u64>,
    failures: Instrument<u64>,
    in_flight: Instrument<i64>,
    latency: Instrument<Duration>,
    operations: Cache<TypeId, Arc<OfOperation>>,
}

impl Instruments {
    pub(super) fn new(meter: &impl MeterBackend) -> Self {
        Self {
            calls: meter.counter(Metric::new("tower_temporal_calls", "Calls that were made")),
            failures: meter.counter(Metric::new("tower_temporal_failures", "Calls that failed")),
            in_flight: meter.up_down_counter(Metric::new(
                "tower_temporal_in_flight",
                "Calls that are under way",
            )),
            latency: meter.histogram(Metric::new(
                "tower_temporal_latency",
                "From a call to its end",
            )),
            operations: Cache::default(),
        }
    }

    pub(super) fn of<O: Operation>(&self) -> Arc<OfOperation> {
        self.operations.get(&TypeId::of::<O>(), || {
            let attributes = [("category", O::CATEGORY.as_str()), ("operation", O::NAME)];
            Arc::new(OfOperation {
                attributes,
                calls: self.calls.bind(&attributes),
                in_flight: self.in_flight.bind(&attributes),
                latency: self.latency.bind(&attributes),
                failures: self.failures.clone(),
                failures_of: Cache::default(),
            })
        })
    }
}

/// What is recorded for one operation.
#[derive(Debug)]
pub(super) struct OfOperation {
    attributes: [Attribute<'static>; 2],
    calls: Recorder<u64>,
    in_flight: Recorder<i64>,
    latency: Recorder<Duration>,
    failures: Instrument<u64>,
    failures_of: Cache<ErrorKind, Recorder<u64>>,
}

impl OfOperation {
    fn failed(&self, kind: ErrorKind) {
        let failures = self.failures_of.get(&kind, || {
            let [category, operation] = self.attributes;
            self.failures
                .bind(&[category, operation, ("kind", kind.as_str())])
        });
        failures.record(1);
    }
}

/// A call that is under way: in flight until it is dropped.
pub(super) struct InFlight<O: Operation> {
    instruments: Arc<OfOperation>,
    context: O::Context,
    /// None if the call began in a replay, or may have.
    start: Option<Instant>,
}

impl<O: Operation> InFlight<O> {
    pub(super) fn start(instruments: Arc<OfOperation>, context: O::Context) -> Self {
        let is_live = O::Scope::is_live(&context);
        if is_live {
            instruments.calls.record(1);
        }
        instruments.in_flight.record(1);
        Self {
            instruments,
            context,
            start: is_live.then(Instant::now),
        }
    }

    pub(super) fn end<T, E: 'static>(self, result: &Result<T, E>) {
        if !O::Scope::is_live(&self.context) {
            return;
        }
        if let Some(start) = self.start {
            self.instruments.latency.record(start.elapsed());
        }
        if let Some(kind) = Outcome::of::<O, T, E>(result).failure() {
            self.instruments.failed(kind);
        }
    }
}

impl<O: Operation> Drop for InFlight<O> {
    fn drop(&mut self) {
        self.instruments.in_flight.record(-1);
    }
}
