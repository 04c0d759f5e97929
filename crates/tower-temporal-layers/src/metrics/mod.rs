//! Calls, failures, what is in flight, and latency, recorded to OpenTelemetry or to the SDK's own metrics.
//!
//! ```
//! use opentelemetry::metrics::MeterProvider;
//! use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
//! use tower::ServiceBuilder;
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::metrics::{MetricsLayer, ScheduleToStartLatencyLayer};
//! # use tower_temporal_core::probe::{self, ActivityInboundProbe};
//!
//! let exporter = InMemoryMetricExporter::default();
//! let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
//! let meter = provider.meter("orders");
//!
//! // In every stack.
//! let metrics = MetricsLayer::new(&meter);
//! // In the stack of calls into activities.
//! let activity = ServiceBuilder::new()
//!     .layer(metrics)
//!     .layer(ScheduleToStartLatencyLayer::new(&meter));
//! # let stack = activity.service(Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # probe::call::<ActivityInboundProbe, _, _>(stack, 1, |_| Ok(0)).await.unwrap();
//! # });
//! # provider.force_flush().unwrap();
//! # assert_eq!(exporter.get_finished_metrics().unwrap()[0].scope_metrics().next().unwrap().metrics().count(), 3);
//! ```
//!
//! [`MetricsLayer`] keeps, with the labels `category` and `operation`:
//!
//! | metric | kind | |
//! |---|---|---|
//! | `tower_temporal_calls` | counter | calls that were made |
//! | `tower_temporal_failures` | counter | calls that failed, with the label `kind`: the name of the gRPC code that says it best, as `permission_denied`, and `failed` for an application's own failure |
//! | `tower_temporal_in_flight` | up-down counter | calls that are under way in this process |
//! | `tower_temporal_latency` | histogram of durations | from a call to its end, however it ended |
//!
//! A workflow that continues as new, an activity that completes later, what was cancelled and an error that is marked benign are
//! no failures. A
//! call that is dropped before it ends is in no latency.
//!
//! [`ScheduleToStartLatencyLayer`] keeps how long activities wait for a worker: the histogram
//! `custom_activity_schedule_to_start_latency`, from `current_attempt_scheduled_time` to `started_time`, with the labels
//! `workflow_type` and `activity_type`. A clock that runs backwards gives zero.
//!
//! # Where they go
//!
//! The OpenTelemetry is version 0.33; the SDK's own exporters are of 0.32, so for metrics where the SDK's are, use its meter.
//!
//! Both layers record to a [`MeterBackend`]. There are two: an OpenTelemetry [`Meter`](opentelemetry::metrics::Meter), which
//! measures durations in seconds, and the SDK's [`TemporalMeter`](temporalio_common::telemetry::metrics::TemporalMeter), so
//! that the metrics are where the worker's own are, in the unit those are in:
//!
//! ```no_run
//! use std::sync::Arc;
//! use temporalio_common::telemetry::{
//!     PrometheusExporterOptions, TaskQueueLabelStrategy, TelemetryOptions,
//!     metrics::{CoreMeter, NewAttributes, TemporalMeter},
//!     start_prometheus_metric_exporter,
//! };
//! use tower_temporal_layers::metrics::MetricsLayer;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let address = "127.0.0.1:9090".parse::<std::net::SocketAddr>()?;
//! let options = PrometheusExporterOptions::builder().socket_addr(address).build();
//! let prometheus = start_prometheus_metric_exporter(options)?;
//! let meter = TemporalMeter::new(
//!     prometheus.meter.clone(),
//!     NewAttributes::default(),
//!     TaskQueueLabelStrategy::UseNormal,
//! );
//! let metrics = MetricsLayer::new(&meter);
//!
//! // For the `RuntimeOptions` of the worker's runtime: its own metrics go to the same endpoint.
//! let telemetry = TelemetryOptions::builder()
//!     .metrics(prometheus.meter as Arc<dyn CoreMeter>)
//!     .build();
//! # let _ = (metrics, telemetry);
//! # Ok(())
//! # }
//! ```
//!
//! From the example `observability` (`cargo run --bin observability`), whose first activity fails once:
//!
//! ```text
//! custom_activity_schedule_to_start_latency{activity_type=Activities::charge, workflow_type=Order} 0.0043 s in 2
//! custom_activity_schedule_to_start_latency{activity_type=Activities::ship, workflow_type=Order} 0.0000 s in 1
//! tower_temporal_calls{category=activity_inbound, operation=execute_activity} 3
//! tower_temporal_calls{category=client_outbound, operation=start_workflow} 1
//! tower_temporal_calls{category=workflow_inbound, operation=execute} 1
//! tower_temporal_calls{category=workflow_outbound, operation=schedule_activity} 2
//! tower_temporal_failures{category=activity_inbound, kind=failed, operation=execute_activity} 1
//! tower_temporal_in_flight{category=activity_inbound, operation=execute_activity} 0
//! …
//! tower_temporal_latency{category=activity_inbound, operation=execute_activity} 0.0521 s in 3
//! tower_temporal_latency{category=workflow_outbound, operation=schedule_activity} 1.1639 s in 2
//! …
//! ```
//!
//! Instruments are made with the layer, and the attributes of an operation when it is first called; to measure a
//! further call, nothing is allocated here.
//!
//! # Workflows
//!
//! While a workflow is replayed no call, failure or latency is recorded: they have been when the call was made. A call that
//! began in a replay, and ends after it, has no latency that could be known; its failure is counted. `initialize_workflow`, which
//! can't tell a replay, is not counted at all. What is in flight is
//! what this process has in memory, so a workflow that was replayed to get there is in it. Nothing a workflow does depends
//! on any of it. (A workflow task that the server has run again, since it failed or its outcome came too late, is no replay to
//! the SDK: its calls are counted again.)

mod cache;
mod future;
mod instruments;
mod layer;
mod meter;
mod open_telemetry;
mod schedule_to_start;
mod service;
mod temporal;
#[cfg(test)]
mod tests;

pub use self::{
    future::MetricsFuture,
    layer::MetricsLayer,
    meter::{Attribute, Instrument, MeterBackend, Metric, Recorder},
    schedule_to_start::{ScheduleToStartLatency, ScheduleToStartLatencyLayer},
    service::Metrics,
};
