use opentelemetry::propagation::{Extractor, Injector};
use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};
use temporalio_common::data_converters::PayloadConverter;

/// What the carrier is encoded by, whatever the data converter of clients and workers is: the other SDKs expect it so.
pub(super) static CONVERTER: LazyLock<PayloadConverter> = LazyLock::new(PayloadConverter::default);

/// What travels in the header, as Python's SDK writes it: sorted by name, and without what is empty. (The propagator of
/// the trace context writes a `tracestate` even if there is none.)
#[derive(Default)]
pub(super) struct Carrier(pub(super) BTreeMap<String, String>);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }
}

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// The headers of a Nexus operation, which have entries of their own for it.
pub(super) struct NexusHeaders<'a>(pub(super) &'a mut HashMap<String, String>);

impl Injector for NexusHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }
}
