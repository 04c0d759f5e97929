use std::{fmt, sync::Arc, time::Duration};

/// Where measurements go.
///
/// It is implemented for OpenTelemetry's [`Meter`](opentelemetry::metrics::Meter) and for the SDK's
/// [`TemporalMeter`](temporalio_common::telemetry::metrics::TemporalMeter). Implement it for another library's registry to
/// have the layers of this module record there.
pub trait MeterBackend {
    /// An instrument that adds up.
    fn counter(&self, metric: Metric) -> Instrument<u64>;

    /// An instrument that adds up what may be negative.
    fn up_down_counter(&self, metric: Metric) -> Instrument<i64>;

    /// An instrument that keeps how durations are distributed.
    fn histogram(&self, metric: Metric) -> Instrument<Duration>;
}

/// What an instrument is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name, in snake case.
    pub name: &'static str,
    /// A description for people.
    pub description: &'static str,
}

impl Metric {
    pub(super) const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description }
    }
}

/// A label and its value.
pub type Attribute<'a> = (&'static str, &'a str);

/// An instrument that has been given no attributes yet.
#[derive(Clone)]
pub struct Instrument<V>(Arc<Bind<V>>);

type Bind<V> = dyn Fn(&[Attribute<'_>]) -> Recorder<V> + Send + Sync;

impl<V> Instrument<V> {
    /// An instrument, as the function that gives it attributes.
    pub fn new(bind: impl Fn(&[Attribute<'_>]) -> Recorder<V> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bind))
    }

    /// The instrument with `attributes`. It is kept, and bound once for each set of attributes.
    pub fn bind(&self, attributes: &[Attribute<'_>]) -> Recorder<V> {
        (self.0)(attributes)
    }
}

impl<V> fmt::Debug for Instrument<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrument").finish_non_exhaustive()
    }
}

/// An instrument with its attributes.
pub struct Recorder<V>(Arc<dyn Fn(V) + Send + Sync>);

impl<V> Recorder<V> {
    /// A recorder, as the function that records a value.
    pub fn new(record: impl Fn(V) + Send + Sync + 'static) -> Self {
        Self(Arc::new(record))
    }

    /// Records `value`.
    pub fn record(&self, value: V) {
        (self.0)(value);
    }
}

impl<V> Clone for Recorder<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> fmt::Debug for Recorder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}
