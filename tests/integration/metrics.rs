//! What the metrics layers keep, in OpenTelemetry and on the Prometheus endpoint of the SDK's runtime.

use crate::{
    fixtures::{self, Work},
    support::{client, unique, with_worker, with_worker_on},
};
use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData},
};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, UntypedWorkflow, Url, WorkflowCountOptions,
    WorkflowDescribeOptions, WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_common::{
    error::ApplicationFailure,
    telemetry::{
        PrometheusExporterOptions, TaskQueueLabelStrategy, TelemetryOptions,
        metrics::{CoreMeter, NewAttributes, TemporalMeter},
        start_prometheus_metric_exporter,
    },
};
use temporalio_sdk::{Runtime, WorkerOptions, activities::ActivityError, runtime::RuntimeOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::AbortHandle,
};
use tonic::transport::Endpoint;
use tower_temporal::{
    Interceptors,
    metrics::{MeterBackend, MetricsLayer, ScheduleToStartLatencyLayer},
    rpc,
};
use tower_temporal_test::DevServer;

fn interceptors(meter: &impl MeterBackend) -> Interceptors {
    Interceptors::builder()
        .everywhere(MetricsLayer::new(meter))
        .activity_inbound(ScheduleToStartLatencyLayer::new(meter))
        .build()
}

/// A worker whose activity fails when it is asked to, for good.
fn worker(queue: &str) -> WorkerOptions {
    fixtures::worker(queue, async |_, input| match input.as_str() {
        "fail" => {
            let failure = ApplicationFailure::non_retryable(anyhow::anyhow!("as it should"));
            Err(ActivityError::application(failure))
        }
        _ => Ok(input),
    })
}

/// Runs the workflow, and says whether it completed.
async fn work(client: &Client, queue: &str, input: &str) -> bool {
    let options = WorkflowStartOptions::new(queue, unique(queue)).build();
    let handle = client
        .start_workflow(Work::run, input.to_owned(), options)
        .await
        .unwrap();
    handle
        .get_result(WorkflowGetResultOptions::default())
        .await
        .is_ok()
}

/// An OpenTelemetry meter provider, and what it exports.
pub(crate) struct Exported {
    pub(crate) provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Exported {
    pub(crate) fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder()
            .with_periodic_exporter(exporter.clone())
            .build();
        Self { provider, exporter }
    }

    /// Sums, and of histograms how many values there were, by metric and attributes.
    pub(crate) fn totals(&self) -> BTreeMap<String, i64> {
        self.provider.force_flush().unwrap();
        let exported = self.exporter.get_finished_metrics().unwrap();
        let mut totals = BTreeMap::new();
        let last = exported.last().expect("something was exported");
        for metric in last.scope_metrics().flat_map(|scope| scope.metrics()) {
            let mut add = |attributes: Vec<&KeyValue>, total: i64| {
                totals.insert(named(metric.name(), attributes), total);
            };
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => sum
                    .data_points()
                    .for_each(|point| add(point.attributes().collect(), point.value() as i64)),
                AggregatedMetrics::I64(MetricData::Sum(sum)) => sum
                    .data_points()
                    .for_each(|point| add(point.attributes().collect(), point.value())),
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    assert_eq!(metric.unit(), "s");
                    for point in histogram.data_points() {
                        let seconds = 0.0..60.0;
                        assert!(seconds.contains(&point.sum()), "{metric:?}");
                        add(point.attributes().collect(), point.count() as i64);
                    }
                }
                other => panic!("an instrument that is none of ours: {other:?}"),
            }
        }
        totals
    }
}

fn named(metric: &str, attributes: Vec<&KeyValue>) -> String {
    let mut attributes: Vec<_> = attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    attributes.sort();
    format!("{metric} {}", attributes.join(" "))
}

/// One call each of what a workflow with an activity is made of.
const CALLS: [&str; 4] = [
    "category=client_outbound operation=start_workflow",
    "category=workflow_inbound operation=execute",
    "category=workflow_outbound operation=schedule_activity",
    "category=activity_inbound operation=execute_activity",
];

const WAIT: &str =
    "custom_activity_schedule_to_start_latency activity_type=Activities::work workflow_type=Work";

#[tokio::test]
async fn calls_are_measured_in_open_telemetry() {
    let exported = Exported::new();
    let client = client(interceptors(&exported.provider.meter("test"))).await;
    let queue = unique("metrics");
    with_worker(&client, worker(&queue), async {
        assert!(work(&client, &queue, "text").await);
    })
    .await;
    let totals = exported.totals();
    for call in CALLS {
        assert_eq!(
            totals.get(&format!("tower_temporal_calls {call}")),
            Some(&1),
            "{totals:#?}"
        );
        assert_eq!(
            totals.get(&format!("tower_temporal_latency {call}")),
            Some(&1),
            "{totals:#?}"
        );
        assert_eq!(
            totals.get(&format!("tower_temporal_in_flight {call}")),
            Some(&0),
            "{totals:#?}"
        );
    }
    assert_eq!(totals.get(WAIT), Some(&1), "{totals:#?}");
    let failures = totals.keys().find(|name| name.contains("failures"));
    assert_eq!(failures, None);
}

/// Each task of the workflow begins with a replay then, but the first.
#[tokio::test]
async fn a_replay_counts_nothing_twice_and_loses_no_failure() {
    let exported = Exported::new();
    let client = client(interceptors(&exported.provider.meter("test"))).await;
    let queue = unique("metrics-replay");
    let mut options = worker(&queue);
    options.max_cached_workflows = 0;
    with_worker(&client, options, async {
        assert!(!work(&client, &queue, "fail").await);
    })
    .await;
    let totals = exported.totals();
    for call in CALLS {
        assert_eq!(
            totals.get(&format!("tower_temporal_calls {call}")),
            Some(&1),
            "{totals:#?}"
        );
        assert_eq!(
            totals.get(&format!("tower_temporal_in_flight {call}")),
            Some(&0),
            "{totals:#?}"
        );
    }
    let [_, execute, _, activity] = CALLS;
    for call in [execute, activity] {
        let (category, operation) = call.split_once(' ').unwrap();
        let failures = format!("tower_temporal_failures {category} kind=failed {operation}");
        assert_eq!(totals.get(&failures), Some(&1), "{totals:#?}");
    }
    let latency = format!("tower_temporal_latency {execute}");
    assert_eq!(totals.get(&latency), None, "its start was in another task");
}

/// The SDK's Prometheus endpoint, with what fills it.
struct Prometheus {
    address: SocketAddr,
    core: Arc<dyn CoreMeter>,
    meter: TemporalMeter,
    serving: AbortHandle,
}

impl Prometheus {
    fn start() -> Self {
        let options = PrometheusExporterOptions::builder()
            .socket_addr(([127, 0, 0, 1], 0).into())
            .build();
        let started = start_prometheus_metric_exporter(options).unwrap();
        let meter = TemporalMeter::new(
            started.meter.clone(),
            NewAttributes::default(),
            TaskQueueLabelStrategy::UseNormal,
        );
        Self {
            address: started.bound_addr,
            core: started.meter,
            meter,
            serving: started.abort_handle,
        }
    }

    /// What a Prometheus server would get. `reqwest` can't be used beside the SDK without a crypto provider, even for plain
    /// HTTP.
    async fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = b"GET /metrics HTTP/1.0\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.0 200 OK"), "{response}");
        response
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn calls_are_measured_on_the_worker_s_prometheus_endpoint() {
    let prometheus = Prometheus::start();
    let telemetry = TelemetryOptions::builder()
        .metrics(prometheus.core.clone())
        .build();
    let options = RuntimeOptions::builder()
        .telemetry_options(telemetry)
        .build()
        .unwrap();
    let runtime = Runtime::from_current_tokio(options).unwrap();

    let client = client(interceptors(&prometheus.meter)).await;
    let queue = unique("metrics-prometheus");
    with_worker_on(&runtime, &client, worker(&queue), async {
        assert!(work(&client, &queue, "text").await);
        assert!(!work(&client, &queue, "fail").await);
    })
    .await;

    let text = prometheus.scrape().await;
    for line in [
        r#"tower_temporal_calls{category="client_outbound",operation="start_workflow"} 2"#,
        r#"tower_temporal_calls{category="workflow_inbound",operation="execute"} 2"#,
        r#"tower_temporal_calls{category="activity_inbound",operation="execute_activity"} 2"#,
        r#"tower_temporal_failures{category="activity_inbound",kind="failed",operation="execute_activity"} 1"#,
        r#"tower_temporal_in_flight{category="workflow_inbound",operation="execute"} 0"#,
        r#"tower_temporal_latency_count{category="workflow_outbound",operation="schedule_activity"} 2"#,
        r#"custom_activity_schedule_to_start_latency_count{activity_type="Activities::work",workflow_type="Work"} 2"#,
    ] {
        assert!(text.lines().any(|it| it == line), "no {line} in\n{text}");
    }
    let own = "temporal_workflow_completed";
    assert!(
        text.lines().any(|line| line.starts_with(own)),
        "the worker's own metrics are there too:\n{text}"
    );
}

/// The SDK's own metrics of a connection that is made of a service.
#[tokio::test]
async fn the_sdk_counts_the_requests_that_go_through_a_service() {
    let prometheus = Prometheus::start();
    let server = DevServer::shared().await;
    let endpoint = Endpoint::from_shared(server.address().to_owned()).unwrap();
    let options = ConnectionOptions::new(Url::parse("http://not-looked-at").unwrap())
        .metrics_meter(prometheus.meter.clone())
        .build();
    let channel = endpoint.connect().await.unwrap();
    let connection = rpc::over(channel).connect(options).await.unwrap();
    let options = ClientOptions::new(server.namespace()).build();
    let client = Client::new(connection, options).unwrap();
    let nobody = client.get_workflow_handle::<UntypedWorkflow>(unique("nobody"));
    for _ in 0..2 {
        client
            .count_workflows("", WorkflowCountOptions::default())
            .await
            .unwrap();
        let described = nobody.describe(WorkflowDescribeOptions::default()).await;
        described.expect_err("there is no such workflow");
    }

    let text = prometheus.scrape().await;
    let count = |metric: &str, operation: &str| {
        let operation = format!("operation=\"{operation}\"");
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{metric}{{")) && line.contains(&operation));
        let line = line.unwrap_or_else(|| panic!("no {metric} of {operation} in\n{text}"));
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(count("request", "CountWorkflowExecutions"), "2");
    let latency = "request_latency_count";
    assert_eq!(count(latency, "CountWorkflowExecutions"), "2");
    let failure = "request_failure";
    assert_eq!(count(failure, "DescribeWorkflowExecution"), "2");
}
