use crate::{CallInfo, Outcome};
use std::time::Duration;
use tracing::{Span, debug, error, field::Empty, info_span};

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

/// Does something when a call has succeeded.
///
/// Closures `FnOnce(Duration, &Span)` implement it, and `()` does nothing.
pub trait OnResponse {
    /// The call in `span` has succeeded, `latency` after it was made.
    fn on_response(self, latency: Duration, span: &Span);
}

impl<F: FnOnce(Duration, &Span)> OnResponse for F {
    fn on_response(self, latency: Duration, span: &Span) {
        self(latency, span);
    }
}

impl OnResponse for () {
    fn on_response(self, _: Duration, _: &Span) {}
}

/// Does something when a call has ended with an error, failure or not.
///
/// Closures `FnOnce(Outcome, Duration, &Span)` implement it, and `()` does nothing.
pub trait OnFailure {
    /// The call in `span` has ended with an error, `latency` after it was made.
    fn on_failure(self, outcome: Outcome, latency: Duration, span: &Span);
}

impl<F: FnOnce(Outcome, Duration, &Span)> OnFailure for F {
    fn on_failure(self, outcome: Outcome, latency: Duration, span: &Span) {
        self(outcome, latency, span);
    }
}

impl OnFailure for () {
    fn on_failure(self, _: Outcome, _: Duration, _: &Span) {}
}

/// A span `temporal` on the level `INFO`: see the [module](super).
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultMakeSpan;

impl MakeSpan for DefaultMakeSpan {
    fn make_span(&mut self, call: &CallInfo<'_>) -> Span {
        let CallInfo { target, caller, .. } = call;
        info_span!(
            "temporal",
            category = call.category.as_str(),
            operation = call.operation,
            name = target.name,
            workflow_type = target.workflow_type.or(caller.workflow_type),
            workflow_id = target.workflow_id.or(caller.workflow_id),
            run_id = target.run_id.or(caller.run_id),
            activity_type = target.activity_type,
            activity_id = target.activity_id,
            schedule_id = target.schedule_id,
            task_queue = target.task_queue,
            attempt = target.attempt,
            outcome = Empty,
            latency_ms = Empty,
        )
    }
}

/// An event on the level `DEBUG`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultOnRequest;

impl OnRequest for DefaultOnRequest {
    fn on_request(&mut self, _: &CallInfo<'_>, _: &Span) {
        debug!("started");
    }
}

/// Fills in the span, and an event on the level `DEBUG`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultOnResponse;

impl OnResponse for DefaultOnResponse {
    fn on_response(self, latency: Duration, span: &Span) {
        record(span, "ok", latency);
        debug!("finished");
    }
}

/// Fills in the span, and an event: on the level `ERROR` for a failure, on `DEBUG` for another outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultOnFailure;

impl OnFailure for DefaultOnFailure {
    fn on_failure(self, outcome: Outcome, latency: Duration, span: &Span) {
        if outcome.is_failure {
            record(span, outcome.kind.type_name(), latency);
            error!(kind = ?outcome.kind, "failed");
        } else {
            record(span, "ok", latency);
            debug!("finished");
        }
    }
}

fn record(span: &Span, outcome: &'static str, latency: Duration) {
    span.record("outcome", outcome);
    span.record("latency_ms", latency.as_secs_f64() * 1e3);
}
