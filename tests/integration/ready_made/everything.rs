//! All ready-made layers at once, around the workflow that makes every call.

use super::Memory;
use crate::{
    fixtures::UserId,
    metrics::Exported,
    workflow::{
        everything::{SAID, everything},
        layers::Log,
    },
    written,
};
use opentelemetry::{
    metrics::{Meter, MeterProvider},
    trace::{SpanId, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::sync::mpsc;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_temporal::{
    BoxError, CallInfo, Category, Intercept, Interceptors, Operation, Request,
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
fn all_layers(
    tracer: SdkTracer,
    meter: &Meter,
    records: mpsc::Sender<AuditRecord<String>>,
) -> Interceptors {
    let everywhere = ServiceBuilder::new()
        .layer(OtelLayer::new(tracer).with_workflow_ids())
        .layer(TraceLayer::new())
        .layer(MetricsLayer::new(meter))
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
                .layer(ScheduleToStartLatencyLayer::new(meter))
                .layer(DedupLayer::new(Memory::new())),
        )
        .activity_outbound(outside)
        .build()
}

/// What the layers leave of workflows that make every call. What a client asks while it waits differs from run to run, and is
/// left out; so is how long anything took.
#[derive(Debug, PartialEq)]
struct Left {
    /// Spans of OpenTelemetry, each with its parent's name.
    spans: BTreeMap<(String, String), usize>,
    /// Metrics, by name and attributes.
    totals: BTreeMap<String, i64>,
    /// What `TraceLayer` has written: operation, message and outcome.
    lines: BTreeMap<(String, String, String), usize>,
    /// Records: operation and outcome.
    records: BTreeMap<(&'static str, &'static str), usize>,
}

fn count<K: Ord>(of: impl IntoIterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in of {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

async fn left(max_cached_workflows: usize) -> Left {
    written::begin();
    let exporter = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_id_generator(WorkflowIdGenerator::default())
        .with_simple_exporter(exporter.clone())
        .build();
    let metrics = Exported::new();
    let (send, mut receive) = mpsc::channel(10_000);
    let interceptors = all_layers(
        tracers.tracer("test"),
        &metrics.provider.meter("test"),
        send,
    );
    let (said, ..) = everything(interceptors, Log::default(), max_cached_workflows).await;
    assert_eq!(said, SAID, "with {max_cached_workflows} cached workflows");

    let mut records = Vec::new();
    while let Ok(record) = receive.try_recv() {
        records.push(record);
    }
    let ids: BTreeSet<_> = records
        .iter()
        .flat_map(|record| [&record.target, &record.caller])
        .filter_map(|target| target.as_target().workflow_id)
        .collect();
    let lines = written::of_workflows(|id| ids.contains(id));
    let of_clients = |category: Option<&str>| category == Some(Category::ClientOutbound.as_str());
    let spans = exporter.get_finished_spans().unwrap();
    let parent = |span: &SpanData| match span.parent_span_id {
        SpanId::INVALID => "nothing".to_owned(),
        id => {
            let found = spans.iter().find(|it| it.span_context.span_id() == id);
            found
                .unwrap_or_else(|| panic!("no parent of {span:#?}"))
                .name
                .to_string()
        }
    };
    Left {
        spans: count(
            spans
                .iter()
                .map(|span| (span.name.to_string(), parent(span))),
        ),
        totals: metrics
            .totals()
            .into_iter()
            .filter(|(name, _)| !of_clients(name.split([' ', '=']).nth(2)))
            .filter(|(name, _)| !name.contains("latency"))
            .collect(),
        lines: count(
            lines
                .iter()
                .filter(|line| !of_clients(line.span.get("category")))
                .map(|line| {
                    let outcome = line.span.get("outcome").unwrap_or("-");
                    let operation = line.span.get("operation").unwrap();
                    (operation.into(), line.message().into(), outcome.into())
                }),
        ),
        records: count(
            records
                .iter()
                .filter(|record| record.category != Category::ClientOutbound)
                .map(|record| (record.operation, record.outcome.as_str())),
        ),
    }
}

#[tokio::test]
async fn all_layers_together_change_nothing_and_tell_the_same_with_replay() {
    let warm = left(100).await;
    let calls = "tower_temporal_calls category=workflow_outbound operation=start_child_workflow";
    assert_eq!(warm.totals.get(calls), Some(&4), "{:#?}", warm.totals);
    let run = (
        "RunWorkflow:Child".to_owned(),
        "StartChildWorkflow:Child".to_owned(),
    );
    assert_eq!(warm.spans.get(&run), Some(&4), "{:#?}", warm.spans);
    assert_eq!(warm.records.get(&("execute", "continued_as_new")), Some(&1));
    let ends = |message: &str| -> usize {
        let lines = warm.lines.iter();
        let of = |(key, count): (&(_, String, _), &usize)| (key.1 == message).then_some(*count);
        lines.filter_map(of).sum()
    };
    let recorded: usize = warm.records.values().sum();
    let ended = ends("finished") + ends("failed");
    assert_eq!(ended, recorded, "{warm:#?}");
    // The timers of the two activities' timeouts are given up.
    assert_eq!(ends("started"), ended + 2, "{:#?}", warm.lines);

    let replayed = left(0).await;
    assert_eq!(replayed, warm);
}
