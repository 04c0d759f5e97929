use super::at_level::{event_at, span_at};
use crate::{CallInfo, Failure, Outcome};
use std::{fmt, time::Duration};
use tower_temporal_core::{HeaderMap, Headers};
use tracing::{Level, Span, field::Empty};

/// Makes the span of a call.
///
/// Closures `FnMut(&CallInfo) -> Span` implement it.
pub trait MakeSpan {
    /// The span of `call`.
    fn make_span(&mut self, call: &CallInfo<'_>) -> Span;
}

impl<F: FnMut(&CallInfo<'_>) -> Span> MakeSpan for F {
    fn make_span(&mut self, call: &CallInfo<'_>) -> Span {
        self(call)
    }
}

/// Does something when a call is made.
///
/// Closures `FnMut(&CallInfo, &Span)` implement it, and `()` does nothing.
pub trait OnRequest {
    /// `call` is about to be made, in `span`.
    fn on_request(&mut self, call: &CallInfo<'_>, span: &Span);
}

impl<F: FnMut(&CallInfo<'_>, &Span)> OnRequest for F {
    fn on_request(&mut self, call: &CallInfo<'_>, span: &Span) {
        self(call, span);
    }
}

impl OnRequest for () {
    fn on_request(&mut self, _: &CallInfo<'_>, _: &Span) {}
}

/// Does something when a call has ended and has not failed.
///
/// Closures `FnOnce(Outcome, Option<Duration>, &Span)` implement it, and `()` does nothing.
pub trait OnResponse {
    /// The call in `span` has ended in `outcome`, `latency` after it was made. The latency is not known of a call that began
    /// while its workflow was replayed.
    fn on_response(self, outcome: Outcome, latency: Option<Duration>, span: &Span);
}

impl<F: FnOnce(Outcome, Option<Duration>, &Span)> OnResponse for F {
    fn on_response(self, outcome: Outcome, latency: Option<Duration>, span: &Span) {
        self(outcome, latency, span);
    }
}

impl OnResponse for () {
    fn on_response(self, _: Outcome, _: Option<Duration>, _: &Span) {}
}

/// Does something when a call has failed.
///
/// Closures `FnOnce(&Failure, Option<Duration>, &Span)` implement it, and `()` does nothing.
pub trait OnFailure {
    /// The call in `span` has failed, `latency` after it was made. The latency is not known of a call that began while its
    /// workflow was replayed.
    fn on_failure(self, failure: &Failure<'_>, latency: Option<Duration>, span: &Span);
}

impl<F: FnOnce(&Failure<'_>, Option<Duration>, &Span)> OnFailure for F {
    fn on_failure(self, failure: &Failure<'_>, latency: Option<Duration>, span: &Span) {
        self(failure, latency, span);
    }
}

impl OnFailure for () {
    fn on_failure(self, _: &Failure<'_>, _: Option<Duration>, _: &Span) {}
}

/// A span `temporal`: see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct DefaultMakeSpan {
    level: Level,
    include_headers: bool,
}

impl DefaultMakeSpan {
    /// Spans on the level `INFO`, without headers.
    pub const fn new() -> Self {
        Self {
            level: Level::INFO,
            include_headers: false,
        }
    }

    /// Spans on `level`.
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Whether a span has the call's Temporal headers, in a field `headers`: those that are text as they are, of others how
    /// long they are. They may hold what should not be logged, so by default it has none.
    pub const fn include_headers(mut self, include_headers: bool) -> Self {
        self.include_headers = include_headers;
        self
    }
}

impl Default for DefaultMakeSpan {
    fn default() -> Self {
        Self::new()
    }
}

impl MakeSpan for DefaultMakeSpan {
    fn make_span(&mut self, call: &CallInfo<'_>) -> Span {
        let CallInfo { target, caller, .. } = call;
        span_at!(
            self.level,
            "temporal",
            category = call.category.as_str(),
            operation = call.operation,
            name = target.name,
            workflow_type = target.workflow_type.or(caller.workflow_type),
            workflow_id = target.workflow_id.or(caller.workflow_id),
            run_id = target.run_id.or(caller.run_id),
            activity_type = target.activity_type,
            activity_id = target.activity_id,
            update_id = target.update_id,
            schedule_id = target.schedule_id,
            task_queue = target.task_queue.or(caller.task_queue),
            attempt = target.attempt,
            resumed = call.is_resumed.then_some(true),
            headers = (self.include_headers && call.headers().are_carried())
                .then(|| tracing::field::debug(HeaderTexts(call.headers()))),
            outcome = Empty,
            latency_ms = Empty,
        )
    }
}

/// Headers by name, as far as they are text.
struct HeaderTexts<'a>(Headers<'a>);

impl fmt::Debug for HeaderTexts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        for map in self.0.maps() {
            match map {
                HeaderMap::Payloads(map) => {
                    headers.extend(map.iter().map(|(name, it)| (name.as_str(), &*it.data)));
                }
                HeaderMap::Strings(map) => {
                    headers.extend(map.iter().map(|(name, it)| (name.as_str(), it.as_bytes())));
                }
                _ => {}
            }
        }
        headers.sort_unstable();
        let mut f = f.debug_map();
        for (name, data) in headers {
            match std::str::from_utf8(data) {
                Ok(text) => f.entry(&format_args!("{name}"), &format_args!("{text}")),
                Err(_) => {
                    let length = data.len();
                    f.entry(&format_args!("{name}"), &format_args!("<{length} bytes>"))
                }
            };
        }
        f.finish()
    }
}

/// An event `started`.
#[derive(Clone, Copy, Debug)]
pub struct DefaultOnRequest {
    level: Level,
}

impl DefaultOnRequest {
    /// Events on the level `DEBUG`.
    pub const fn new() -> Self {
        Self {
            level: Level::DEBUG,
        }
    }

    /// Events on `level`.
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }
}

impl Default for DefaultOnRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl OnRequest for DefaultOnRequest {
    fn on_request(&mut self, _: &CallInfo<'_>, _: &Span) {
        event_at!(self.level, "started");
    }
}

/// Fills in the span, and an event `finished` with the outcome and the latency.
#[derive(Clone, Copy, Debug)]
pub struct DefaultOnResponse {
    level: Level,
}

impl DefaultOnResponse {
    /// Events on the level `DEBUG`.
    pub const fn new() -> Self {
        Self {
            level: Level::DEBUG,
        }
    }

    /// Events on `level`.
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }
}

impl Default for DefaultOnResponse {
    fn default() -> Self {
        Self::new()
    }
}

impl OnResponse for DefaultOnResponse {
    fn on_response(self, outcome: Outcome, latency: Option<Duration>, span: &Span) {
        let (outcome, latency_ms) = (outcome.as_str(), latency.map(milliseconds));
        record(span, outcome, latency_ms);
        event_at!(self.level, outcome, latency_ms, "finished");
    }
}

/// Fills in the span, and an event `failed` with the outcome, the latency and the error's text.
#[derive(Clone, Copy, Debug)]
pub struct DefaultOnFailure {
    level: Level,
}

impl DefaultOnFailure {
    /// Events on the level `ERROR`.
    pub const fn new() -> Self {
        Self {
            level: Level::ERROR,
        }
    }

    /// Events on `level`.
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }
}

impl Default for DefaultOnFailure {
    fn default() -> Self {
        Self::new()
    }
}

impl OnFailure for DefaultOnFailure {
    fn on_failure(self, failure: &Failure<'_>, latency: Option<Duration>, span: &Span) {
        let (outcome, latency_ms) = (failure.kind.as_str(), latency.map(milliseconds));
        record(span, outcome, latency_ms);
        event_at!(self.level, outcome, latency_ms, error = %failure, "failed");
    }
}

fn milliseconds(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1e3
}

fn record(span: &Span, outcome: &'static str, latency_ms: Option<f64>) {
    span.record("outcome", outcome);
    if let Some(latency_ms) = latency_ms {
        span.record("latency_ms", latency_ms);
    }
}
