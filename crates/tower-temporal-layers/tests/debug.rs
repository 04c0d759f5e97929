//! Every layer can be printed, and so can its service, whatever closures it is made of.

#![cfg(feature = "full")]

use std::{convert::Infallible, fmt::Debug, future::ready, time::Duration};
use tower_layer::Layer;
use tower_temporal_core::{BoxError, Terminal};
use tower_temporal_layers::{
    CallInfo, Failure, Outcome,
    audit::{AuditLayer, AuditRecord},
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    dedup::{DedupLayer, Payload, Store},
    limit::{KeyedConcurrencyLimitLayer, KeyedRateLimitLayer},
    map_error::{Failed, MapErrorLayer},
    trace::TraceLayer,
    validate::ValidateLayer,
};
use tracing::{Span, info_span};

/// A store that is not `Debug`.
#[derive(Clone)]
struct Nowhere;

impl Store for Nowhere {
    type Error = Infallible;

    async fn get(&self, _: &str) -> Result<Option<Payload>, Infallible> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Payload) -> Result<(), Infallible> {
        Ok(())
    }
}

#[track_caller]
fn check<L: Layer<Terminal, Service: Debug> + Debug>(name: &str, layer: L) {
    let printed = format!("{layer:?}");
    assert!(printed.starts_with(name), "{printed}");
    let printed = format!("{:?}", layer.layer(Terminal));
    assert!(printed.contains("Terminal"), "{printed}");
}

#[test]
fn layers_of_closures_and_their_services_can_be_printed() {
    const SECOND: Duration = Duration::from_secs(1);
    fn key(call: &CallInfo<'_>) -> Option<&'static str> {
        Some(call.operation)
    }
    check("AuditLayer", AuditLayer::new(|_: AuditRecord| ()));
    check(
        "AuthorizeLayer",
        AuthorizeLayer::new(|_: &CallInfo<'_>| true),
    );
    check(
        "AsyncAuthorizeLayer",
        AsyncAuthorizeLayer::new(|_: &CallInfo<'_>| ready(Ok::<_, BoxError>(()))),
    );
    check(
        "DedupLayer",
        DedupLayer::new(Nowhere).key(|call: &CallInfo<'_>| key(call)),
    );
    check(
        "KeyedConcurrencyLimitLayer",
        KeyedConcurrencyLimitLayer::new(1, |call: &CallInfo<'_>| key(call)),
    );
    check(
        "KeyedRateLimitLayer",
        KeyedRateLimitLayer::new(1, SECOND, |call: &CallInfo<'_>| key(call)),
    );
    check("MapErrorLayer", MapErrorLayer::new(|_: &mut Failed| ()));
    check(
        "TraceLayer",
        TraceLayer::new()
            .make_span_with(|_: &CallInfo<'_>| info_span!("call"))
            .on_request(|_: &CallInfo<'_>, _: &Span| ())
            .on_response(|_: Outcome, _: Option<Duration>, _: &Span| ())
            .on_failure(|_: &Failure<'_>, _: Option<Duration>, _: &Span| ()),
    );
    check(
        "ValidateLayer",
        ValidateLayer::new(|_: &String, _: &CallInfo<'_>| Ok::<_, String>(())),
    );
}
