//! The start of a workflow through each of the ready-made layers.

use crate::{
    Case, Variant,
    client::{self, start},
    pass::PassLayer,
};
use opentelemetry::{metrics::MeterProvider, trace::TracerProvider};
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use std::{rc::Rc, sync::Arc, time::Duration};
use temporalio_client::ClientInterceptor;
use tokio::runtime::Runtime;
use tower_layer::Layer;
use tower_temporal::{
    CallInfo, ContextKey, Terminal,
    audit::{AuditLayer, AuditRecord},
    authorize::AuthorizeLayer,
    catch_panic::CatchPanicLayer,
    client::{ClientOutboundService, Interceptor},
    limit::{
        ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer,
    },
    map_error::{Failed, MapErrorLayer},
    metrics::MetricsLayer,
    otel::OtelLayer,
    propagation::PropagationLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
    validate::ValidateLayer,
};

/// The name of what is measured here.
pub const SCENARIO: &str = "ready-made layers: start_workflow";

/// A stack whose only layer does nothing: what the others are compared with.
pub const NOTHING: Variant = Variant::Layer("nothing");

/// More calls than there will be.
const UNLIMITED: u32 = 100_000_000;

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

pub(crate) fn cases(runtime: &Rc<Runtime>) -> Vec<Case> {
    let second = Duration::from_secs(1);
    let tracer = SdkTracerProvider::default().tracer("benches");
    let meter = SdkMeterProvider::default().meter("benches");
    let task_queue = |call: &CallInfo<'_>| call.target.task_queue.map(str::to_owned);

    let layers = [
        ("nothing", interceptor(PassLayer)),
        ("TraceLayer, no subscriber", interceptor(TraceLayer::new())),
        (
            "OtelLayer, no exporter",
            interceptor(OtelLayer::new(tracer)),
        ),
        (
            "MetricsLayer, no reader",
            interceptor(MetricsLayer::new(&meter)),
        ),
        (
            "AuditLayer",
            interceptor(AuditLayer::new(|_: AuditRecord<()>| ())),
        ),
        (
            "AuthorizeLayer",
            interceptor(AuthorizeLayer::new(|_: &CallInfo<'_>| Ok::<_, String>(()))),
        ),
        (
            "ValidateLayer",
            interceptor(ValidateLayer::new(|_: &u64, _| Ok::<_, String>(()))),
        ),
        ("TimeoutLayer", interceptor(TimeoutLayer::new(second))),
        (
            "RateLimitLayer",
            interceptor(RateLimitLayer::new(UNLIMITED, second)),
        ),
        (
            "ConcurrencyLimitLayer",
            interceptor(ConcurrencyLimitLayer::new(UNLIMITED as usize)),
        ),
        (
            "KeyedRateLimitLayer",
            interceptor(KeyedRateLimitLayer::new(UNLIMITED, second, task_queue)),
        ),
        (
            "KeyedConcurrencyLimitLayer",
            interceptor(KeyedConcurrencyLimitLayer::new(
                UNLIMITED as usize,
                task_queue,
            )),
        ),
        ("CatchPanicLayer", interceptor(CatchPanicLayer::new())),
        (
            "MapErrorLayer",
            interceptor(MapErrorLayer::new(|_: &mut Failed| ())),
        ),
    ];
    let mut cases: Vec<_> = layers
        .into_iter()
        .map(|(name, interceptor)| case(runtime, name, interceptor, false))
        .collect();
    let propagation = || interceptor(PropagationLayer::<UserId>::new());
    cases.push(case(
        runtime,
        "PropagationLayer, no value",
        propagation(),
        false,
    ));
    cases.push(case(
        runtime,
        "PropagationLayer, a value",
        propagation(),
        true,
    ));
    cases
}

fn interceptor<L>(layer: L) -> Arc<dyn ClientInterceptor>
where
    L: Layer<Terminal>,
    L::Service: ClientOutboundService,
{
    Arc::new(Interceptor::new(layer))
}

fn case(
    runtime: &Rc<Runtime>,
    name: &'static str,
    interceptor: Arc<dyn ClientInterceptor>,
    with_value: bool,
) -> Case {
    let runtime = runtime.clone();
    Case::new(SCENARIO, Variant::Layer(name), move || {
        let runtime = runtime.clone();
        let client = runtime.block_on(client::connect(vec![interceptor.clone()]));
        move |calls| {
            let calls = start(&client, calls);
            if with_value {
                runtime.block_on(UserId::scope("alice".to_owned(), calls));
            } else {
                runtime.block_on(calls);
            }
        }
    })
}
