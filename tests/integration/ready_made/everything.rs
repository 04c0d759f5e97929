//! All ready-made layers at once, around the workflow that makes every call.

use super::{Memory, UserId};
use crate::workflow::{
    everything::{SAID, everything},
    layers::Log,
};
use opentelemetry::{metrics::MeterProvider, trace::TracerProvider};
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use std::time::Duration;
use tokio::sync::mpsc;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_temporal::{
    BoxError, CallInfo, Intercept, Interceptors, Operation, Request,
    audit::{AuditLayer, AuditRecord},
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    catch_panic::CatchPanicLayer,
    dedup::DedupLayer,
    intercept,
    limit::{KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer},
    map_error::{Failed, MapErrorLayer},
    metrics::{MetricsLayer, ScheduleToStartLatencyLayer},
    on,
    otel::{OtelLayer, WorkflowIdGenerator},
    propagation::PropagationLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
    validate::ValidateLayer,
    workflow::{self, ScheduleActivity, StartTimer},
};

const SECOND: Duration = Duration::from_secs(1);

/// Does nothing, in every hook.
#[derive(Clone)]
struct Nothing;

impl Intercept for Nothing {
    type State<O: Operation> = ();

    fn before<O: Operation>(&self, _: &mut Request<O>) -> Result<(), BoxError> {
        Ok(())
    }
}

fn key(call: &CallInfo<'_>) -> Option<&'static str> {
    Some(call.operation)
}

/// Stacks of all layers for clients and activities, and of those for workflows that are safe to replay.
fn all_layers(records: mpsc::Sender<AuditRecord<String>>) -> Interceptors {
    let tracer = SdkTracerProvider::builder()
        .with_id_generator(WorkflowIdGenerator::default())
        .build()
        .tracer("test");
    let meter = SdkMeterProvider::default().meter("test");
    let everywhere = ServiceBuilder::new()
        .layer(OtelLayer::new(tracer).with_workflow_ids())
        .layer(TraceLayer::new())
        .layer(MetricsLayer::new(&meter))
        .layer(PropagationLayer::<UserId>::new())
        .layer(AuditLayer::new(records).who::<UserId>())
        .layer(AuthorizeLayer::new(|_: &CallInfo<'_>| true))
        .layer(ValidateLayer::new(|text: &String, _| match text.len() {
            0..1000 => Ok(()),
            _ => Err("too long"),
        }))
        .layer(MapErrorLayer::new(|_: &mut Failed| ()))
        .layer(intercept(Nothing));
    let outside = ServiceBuilder::new()
        .layer(everywhere.clone())
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::new(60 * SECOND))
        .layer(AsyncAuthorizeLayer::new(|_: &CallInfo<'_>| async {
            Ok::<_, BoxError>(())
        }))
        .layer(RateLimitLayer::new(1000, SECOND))
        .layer(KeyedRateLimitLayer::new(1000, SECOND, key))
        .layer(KeyedConcurrencyLimitLayer::new(100, key));
    let outbound = ServiceBuilder::new()
        .layer(everywhere.clone())
        .layer(on::<StartTimer, _>(MapRequestLayer::new(
            |mut request: Request<StartTimer>| {
                request.options_mut().duration += Duration::from_millis(1);
                request
            },
        )))
        .layer(on::<ScheduleActivity, _>(workflow::TimeoutLayer::new(
            60 * SECOND,
        )));
    Interceptors::builder()
        .client(outside.clone())
        .workflow_inbound(everywhere)
        .workflow_outbound(outbound)
        .activity_inbound(
            ServiceBuilder::new()
                .layer(outside.clone())
                .layer(ScheduleToStartLatencyLayer::new(&meter))
                .layer(DedupLayer::new(Memory::new())),
        )
        .activity_outbound(outside)
        .build()
}

#[tokio::test]
async fn all_layers_together_change_nothing() {
    for max_cached_workflows in [100, 0] {
        let (send, mut receive) = mpsc::channel(10_000);
        let interceptors = all_layers(send);
        let (said, ..) = everything(interceptors, Log::default(), max_cached_workflows).await;
        assert_eq!(said, SAID, "with {max_cached_workflows} cached workflows");
        let mut records = 0;
        while receive.try_recv().is_ok() {
            records += 1;
        }
        assert!(records > 20, "{records} records");
    }
}
