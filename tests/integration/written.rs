//! What `TraceLayer` writes, of all tests of this binary.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, OnceLock},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// Fields as text, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// An event, and the fields that its span had by then.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) span: Fields,
    pub(crate) fields: Fields,
}

impl Line {
    pub(crate) fn message(&self) -> &str {
        self.fields.get("message").unwrap_or_default()
    }
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

struct Recorder;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = cx.span(id).expect("it is new");
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        let span = cx.span(id).expect("it is there");
        let mut extensions = span.extensions_mut();
        values.record(extensions.get_mut::<Fields>().expect("it has fields"));
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = cx.event_span(event);
        let span = span.and_then(|span| span.extensions().get::<Fields>().cloned());
        let line = Line {
            level: *event.metadata().level(),
            span: span.unwrap_or_default(),
            fields,
        };
        LINES.lock().unwrap().push(line);
    }
}

/// From here on all is kept that `TraceLayer` writes, and spans of these tests are there.
pub(crate) fn begin() {
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| {
        let targets = Targets::new()
            .with_target("tower_temporal_layers::trace", LevelFilter::DEBUG)
            .with_target("integration", LevelFilter::INFO);
        let subscriber = tracing_subscriber::registry().with(Recorder.with_filter(targets));
        tracing::subscriber::set_global_default(subscriber)
            .expect("no other test has a subscriber for all of them");
    });
}

/// What was written of calls to and from the workflows that `is_ours` knows by their ids.
pub(crate) fn of_workflows(is_ours: impl Fn(&str) -> bool) -> Vec<Line> {
    let lines = LINES.lock().unwrap();
    let ours = |line: &&Line| line.span.get("workflow_id").is_some_and(&is_ours);
    lines.iter().filter(ours).cloned().collect()
}
