//! Every layer passes on whether what is inside is ready.

#![cfg(feature = "full")]

use moka::future::Cache;
use opentelemetry::{metrics::MeterProvider, trace::TracerProvider};
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use std::{convert::Infallible, time::Duration};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal_core::{
    BoxError, ContextKey, Intercept, Operation, Request, intercept, probe::ActivityInboundProbe,
};
use tower_temporal_layers::{
    CallInfo,
    audit::{AuditLayer, AuditRecord},
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    catch_panic::CatchPanicLayer,
    dedup::{DedupLayer, Payload, Store},
    gate::{Gate, GateLayer},
    limit::{
        ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer,
    },
    map_error::{Failed, MapErrorLayer},
    metrics::{MetricsLayer, ScheduleToStartLatencyLayer},
    otel::OtelLayer,
    propagation::PropagationLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
    validate::ValidateLayer,
};
use tower_test::mock::{self, Mock, Spawn};

type Call = Request<ActivityInboundProbe>;
type Inner = Mock<Call, u32>;

const SECOND: Duration = Duration::from_secs(1);

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

#[derive(Clone)]
struct Memory(Cache<String, Payload>);

impl Store for Memory {
    type Error = Infallible;

    async fn get(&self, key: &str) -> Result<Option<Payload>, Infallible> {
        Ok(self.0.get(key).await)
    }

    async fn put(&self, key: &str, output: Payload) -> Result<(), Infallible> {
        self.0.insert(key.to_owned(), output).await;
        Ok(())
    }
}

/// As a hook it does nothing, and as a gate it is open.
#[derive(Clone)]
struct Nothing;

impl Intercept for Nothing {
    type State<O: Operation> = ();

    fn before<O: Operation>(&self, _: &mut Request<O>) -> Result<(), BoxError> {
        Ok(())
    }
}

impl Gate for Nothing {
    type Permit = ();
    type Future = std::future::Ready<Result<(), BoxError>>;

    fn admit<O: Operation>(&self, _: &Request<O>) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

/// A layer around what is not ready, around what has failed, and around what is ready.
async fn check<L>(name: &str, layer: L)
where
    L: Layer<Inner>,
    L::Service: Service<Call, Response = u32, Error = BoxError>,
{
    let spawn = || mock::spawn_with(|inner: Inner| layer.layer(inner));
    let (mut service, mut handle) = spawn();
    handle.allow(0);
    assert!(
        service.poll_ready().is_pending(),
        "{name} is ready too soon"
    );
    handle.allow(1);
    assert!(service.is_woken(), "{name} is not woken");
    assert!(is_ready(&mut service), "{name} is not ready in time");
    let (answer, sent) = tokio::join!(service.call(call()), async {
        let (request, send) = handle.next_request().await?;
        send.send_response(7);
        Some(request.value)
    });
    assert_eq!(sent, Some(1), "{name} has called inward");
    assert_eq!(answer.expect(name), 7);

    let (mut service, mut handle) = spawn();
    handle.send_error("out of order");
    match service.poll_ready() {
        std::task::Poll::Ready(Err(error)) => {
            assert_eq!(error.to_string(), "out of order", "{name}")
        }
        other => panic!("{name} hides that what is inside has failed: {other:?}"),
    }
}

fn is_ready<S: Service<Call, Error = BoxError>>(service: &mut Spawn<S>) -> bool {
    matches!(service.poll_ready(), std::task::Poll::Ready(Ok(())))
}

fn call() -> Call {
    Request::new(1.into(), ())
}

fn key(call: &CallInfo<'_>) -> Option<&'static str> {
    Some(call.operation)
}

#[tokio::test]
async fn every_layer_but_the_timeout_is_ready_when_what_is_inside_is() {
    let (records, _kept) = tokio::sync::mpsc::channel::<AuditRecord>(10);
    let meter = SdkMeterProvider::default().meter("test");
    let tracer = SdkTracerProvider::default().tracer("test");
    let store = Memory(Cache::new(10));
    macro_rules! check_each {
        ($($layer:expr,)*) => { $(check(stringify!($layer), $layer).await;)* };
    }
    check_each! {
        AuditLayer::new(records),
        AuthorizeLayer::new(|_: &CallInfo<'_>| true),
        AsyncAuthorizeLayer::new(|_: &CallInfo<'_>| std::future::ready(Ok::<_, BoxError>(()))),
        CatchPanicLayer::new(),
        ConcurrencyLimitLayer::new(1),
        DedupLayer::new(store),
        GateLayer::new(Nothing),
        intercept(Nothing),
        KeyedConcurrencyLimitLayer::new(1, key),
        KeyedRateLimitLayer::new(1, SECOND, key),
        MapErrorLayer::new(|_: &mut Failed| ()),
        MetricsLayer::new(&meter),
        OtelLayer::new(tracer),
        PropagationLayer::<UserId>::new(),
        RateLimitLayer::new(1, SECOND),
        ScheduleToStartLatencyLayer::new(&meter),
        TraceLayer::new(),
        ValidateLayer::new(|_: &String, _: &CallInfo<'_>| Ok::<_, String>(())),
    }
}

#[tokio::test]
async fn the_timeout_waits_for_what_is_inside_when_it_is_called() {
    let layer = TimeoutLayer::deadline();
    let (mut service, mut handle) = mock::spawn_with(|inner: Inner| layer.layer(inner));
    handle.allow(0);
    assert!(is_ready(&mut service));
    let mut answer = tokio_test::task::spawn(service.call(call()));
    assert!(answer.poll().is_pending());
    handle.allow(1);
    assert!(answer.is_woken());
    assert!(answer.poll().is_pending(), "it has called inward");
    let (_, send) = handle.next_request().await.unwrap();
    send.send_response(7);
    assert_eq!(answer.await.unwrap(), 7);

    let (mut service, mut handle) = mock::spawn_with(|inner: Inner| layer.layer(inner));
    handle.send_error("out of order");
    assert!(is_ready(&mut service));
    let error = service.call(call()).await.unwrap_err();
    assert_eq!(error.to_string(), "out of order");
}
