//! What travels with a request, from HTTP to HTTP.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName},
    middleware::Next,
    response::Response,
};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt,
    propagation::TextMapPropagator,
    trace::{SpanKind, TraceContextExt, Tracer},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracer};
use std::collections::HashMap;
use tower_temporal::ContextKey;

/// The HTTP header of [`RequestId`].
pub const REQUEST_ID: &str = "x-request-id";
/// The HTTP headers of a trace, as the W3C names them.
pub const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// The id of the HTTP request that everything happens for.
pub struct RequestId;

impl ContextKey for RequestId {
    type Value = String;
    const HEADER: &'static str = REQUEST_ID;
}

/// Runs the rest of the HTTP stack with the request's id, in a span under the caller's.
pub(super) async fn scope(
    State(tracer): State<SdkTracer>,
    request: Request,
    next: Next,
) -> Response {
    let caller = TraceContextPropagator::new().extract(&trace_headers(request.headers()));
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let span = tracer
        .span_builder(format!("{} {route}", request.method()))
        .with_kind(SpanKind::Server)
        .start_with_context(&tracer, &caller);
    let context = caller.with_span(span);
    let request_id = header(request.headers(), REQUEST_ID);
    let response = next.run(request).with_context(context.clone());
    let response = match request_id {
        Some(id) => RequestId::scope(id, response).await,
        None => response.await,
    };
    let status = i64::from(response.status().as_u16());
    let status = KeyValue::new("http.response.status_code", status);
    context.span().set_attribute(status);
    response
}

fn trace_headers(headers: &HeaderMap) -> HashMap<String, String> {
    let names = TRACE.into_iter();
    names
        .filter_map(|name| Some((name.to_owned(), header(headers, name)?)))
        .collect()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// The headers for an HTTP request that is made in this context: in an activity, under its own span.
pub(super) fn outgoing() -> HeaderMap {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Context::current(), &mut headers);
    if let Some(id) = RequestId::current() {
        headers.insert(REQUEST_ID.to_owned(), id.to_string());
    }
    let headers = headers.into_iter();
    // A value that is no header, such as a request id of a workflow that was not started here, is left out.
    headers
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, value.try_into().ok()?))
        })
        .collect()
}
