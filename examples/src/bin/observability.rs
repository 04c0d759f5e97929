//! What one workflow leaves behind: logs, a trace and metrics.
//!
//! `cargo run --bin observability`

use opentelemetry::{
    KeyValue,
    metrics::MeterProvider,
    trace::{SpanId, Status, TracerProvider},
};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ResourceMetrics},
    },
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use std::time::Duration;
use temporalio_client::{Client, ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower::ServiceBuilder;
use tower_temporal::{
    Interceptors,
    metrics::{MetricsLayer, ScheduleToStartLatencyLayer},
    otel::{OtelLayer, WorkflowIdGenerator},
    trace::TraceLayer,
};
use tower_temporal_test::DevServer;
use tracing_subscriber::EnvFilter;

struct Activities;

#[activities]
impl Activities {
    /// It fails at first, and is tried again.
    #[activity]
    async fn charge(ctx: ActivityContext) -> Result<(), ActivityError> {
        if ctx.info().attempt == 1 {
            return Err(anyhow::anyhow!("the bank is closed").into());
        }
        Ok(())
    }

    #[activity]
    async fn ship(_: ActivityContext) -> Result<(), ActivityError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Order;

#[workflow_methods]
impl Order {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let options = || ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        ctx.execute_activity(Activities::charge, (), options())
            .await?;
        Ok(ctx
            .execute_activity(Activities::ship, (), options())
            .await?)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What `TraceLayer` writes: failures, unless `RUST_LOG` asks for more.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("off,tower_temporal_layers=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .without_time()
        .init();

    // In place of these, an application has exporters that send to a collector.
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_id_generator(WorkflowIdGenerator::default())
        .with_simple_exporter(spans.clone())
        .build();
    let metrics = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder()
        .with_periodic_exporter(metrics.clone())
        .build();
    let meter = meters.meter("orders");

    // The set-up.
    let stack = ServiceBuilder::new()
        .layer(OtelLayer::new(tracers.tracer("orders")).with_workflow_ids())
        .layer(TraceLayer::new())
        .layer(MetricsLayer::new(&meter));
    let interceptors = Interceptors::builder()
        .everywhere(stack)
        .activity_inbound(ScheduleToStartLatencyLayer::new(&meter))
        .build();

    let server = DevServer::start().await?;
    let options = ClientOptions::new(server.namespace())
        .plugin(interceptors)
        .build();
    let client = Client::new(server.connect().await?, options)?;
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let options = WorkerOptions::new("orders")
        .register_workflow::<Order>()?
        .register_activities(Activities)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let shut_down = worker.shutdown_handle();
    let (ran, result) = tokio::join!(worker.run(), async {
        let options = WorkflowStartOptions::new("orders", "order-1").build();
        let order = client.start_workflow(Order::run, (), options).await?;
        let result = order.get_result(WorkflowGetResultOptions::default()).await;
        shut_down();
        anyhow::Ok(result?)
    });
    ran?;
    result?;

    meters.force_flush()?;
    println!("\nTrace");
    print_tree(&spans.get_finished_spans()?, SpanId::INVALID, 0);
    println!("\nMetrics");
    if let Some(last) = metrics.get_finished_metrics()?.last() {
        print_metrics(last);
    }
    Ok(())
}

/// The spans below `parent`, each below its own.
fn print_tree(spans: &[SpanData], parent: SpanId, depth: usize) {
    let mut children: Vec<_> = spans
        .iter()
        .filter(|span| span.parent_span_id == parent)
        .collect();
    children.sort_by_key(|span| span.start_time);
    for span in children {
        let name = format!("{:indent$}{}", "", span.name, indent = 2 * depth);
        let time = span.end_time.duration_since(span.start_time);
        let error = match &span.status {
            Status::Error { description } => format!("  {description}"),
            _ => String::new(),
        };
        println!("{name:46} {:>7.1?}{error}", time.unwrap_or_default());
        print_tree(spans, span.span_context.span_id(), depth + 1);
    }
}

fn print_metrics(exported: &ResourceMetrics) {
    let mut lines = Vec::new();
    for metric in exported.scope_metrics().flat_map(|scope| scope.metrics()) {
        let mut add = |attributes: Vec<&KeyValue>, value: String| {
            let attributes = attributes
                .iter()
                .map(|it| format!("{}={}", it.key, it.value));
            let mut attributes: Vec<_> = attributes.collect();
            attributes.sort();
            lines.push(format!(
                "{}{{{}}} {value}",
                metric.name(),
                attributes.join(", ")
            ));
        };
        match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum
                .data_points()
                .for_each(|point| add(point.attributes().collect(), point.value().to_string())),
            AggregatedMetrics::I64(MetricData::Sum(sum)) => sum
                .data_points()
                .for_each(|point| add(point.attributes().collect(), point.value().to_string())),
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                for point in histogram.data_points() {
                    let value = format!("{:.4} s in {}", point.sum(), point.count());
                    add(point.attributes().collect(), value);
                }
            }
            _ => {}
        }
    }
    lines.sort();
    println!("{}", lines.join("\n"));
}
