//! What travels with a request, from HTTP to HTTP.

use axum::{extract::Request, http::HeaderMap, middleware::Next, response::Response};
use tower_temporal::ContextKey;

/// The HTTP header of [`RequestId`].
pub const REQUEST_ID: &str = "x-request-id";
/// The HTTP header of [`TraceParent`].
pub const TRACEPARENT: &str = "traceparent";

/// The id of the HTTP request that everything happens for.
pub struct RequestId;

impl ContextKey for RequestId {
    type Value = String;
    const HEADER: &'static str = REQUEST_ID;
}

/// The span of the caller, as the W3C writes it.
pub struct TraceParent;

impl ContextKey for TraceParent {
    type Value = String;
    const HEADER: &'static str = TRACEPARENT;
}

/// Runs the rest of the HTTP stack with the context that the request's headers have.
pub(super) async fn scope(request: Request, next: Next) -> Response {
    let request_id = header(request.headers(), REQUEST_ID);
    let traceparent = header(request.headers(), TRACEPARENT);
    let response = within::<TraceParent, _>(traceparent, next.run(request));
    within::<RequestId, _>(request_id, response).await
}

async fn within<K: ContextKey, F: Future>(value: Option<K::Value>, future: F) -> F::Output {
    match value {
        Some(value) => K::scope(value, future).await,
        None => future.await,
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// The headers for an HTTP request that is made in this context.
pub(super) fn outgoing() -> impl Iterator<Item = (&'static str, String)> {
    let request_id = RequestId::current().map(|id| (REQUEST_ID, id.to_string()));
    let traceparent = TraceParent::current().map(|parent| (TRACEPARENT, parent.to_string()));
    [request_id, traceparent].into_iter().flatten()
}
