//! One trace from client to activity, in a real exporter: with and without replay, and across languages.

use crate::{
    python::PythonWorker,
    support::{PATIENCE, client, in_history, patiently, plain_client, unique, with_worker},
};
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{FutureExt, SpanId, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider};
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowQueryOptions,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::{
    error::ApplicationFailure, protos::temporal::api::history::v1::history_event::Attributes,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    SyncWorkflowContext, WorkerOptions, WorkerOptionsBuilder, WorkflowContext, WorkflowContextView,
    WorkflowResult,
    activities::{ActivityContext, ActivityError},
    opentelemetry::OpenTelemetryPlugin,
};
use temporalio_workflow::workflows::WorkflowImplementation;
use tower_temporal::{
    Interceptors,
    otel::{OtelLayer, WorkflowIdGenerator},
};

type Run<W> = <W as WorkflowImplementation>::Run;

fn in_time() -> ActivityOptions {
    ActivityOptions::start_to_close_timeout(PATIENCE)
}

/// The trace and the span that surround the code being run, and the tenant in its baggage.
fn here() -> String {
    let context = Context::current();
    let span = context.span().span_context().clone();
    let tenant = context.baggage().get("tenant").cloned();
    let tenant = tenant.map_or("none".to_owned(), |tenant| tenant.to_string());
    format!("{} {} {tenant}", span.trace_id(), span.span_id())
}

struct Activities;

#[activities]
impl Activities {
    #[activity(name = "rust_activity")]
    async fn rust_activity(_: ActivityContext) -> Result<String, ActivityError> {
        Ok(here())
    }

    /// Only its name is of use: the Python worker runs it.
    #[activity(name = "python_activity")]
    async fn python_activity(_: ActivityContext) -> Result<String, ActivityError> {
        Err(anyhow::anyhow!("it is Python's").into())
    }
}

/// A workflow with all that has a span.
#[workflow]
#[derive(Default)]
struct Trip {
    is_noted: bool,
    is_over: bool,
}

#[workflow_methods]
impl Trip {
    /// It continues as new once, and then waits for its end.
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, is_second: bool) -> WorkflowResult<String> {
        if !is_second {
            match ctx.continue_as_new(true, ContinueAsNewOptions::default())? {}
        }
        // A timer between them: each is in a workflow task of its own.
        let seen = ctx
            .execute_activity(Activities::rust_activity, (), in_time())
            .await?;
        ctx.timer(Duration::from_millis(1)).await;
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(PATIENCE)
            .build();
        let local = ctx.execute_local_activity(Activities::rust_activity, (), options);
        local.await?;
        let id = format!("{}-child", ctx.workflow_id());
        let options = ChildWorkflowOptions::workflow_id(id);
        let child = ctx.start_child_workflow(Leg::run, (), options).await?;
        child.result().await?;
        ctx.wait_condition(|trip| trip.is_over).await?;
        Ok(seen)
    }

    #[signal]
    fn note(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.is_noted = true;
    }

    #[query]
    fn is_noted(&self, _: &WorkflowContextView) -> bool {
        self.is_noted
    }

    #[update_validator(end)]
    fn validate_end(
        &self,
        _: &WorkflowContextView,
        _is_over: &bool,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    /// An update that calls something.
    #[update]
    async fn end(
        ctx: &mut WorkflowContext<Self>,
        is_over: bool,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        ctx.execute_activity(Activities::rust_activity, (), in_time())
            .await?;
        ctx.state_mut(|trip| trip.is_over = is_over);
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Leg;

#[workflow_methods]
impl Leg {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        Ok(())
    }
}

/// A workflow of Rust's that calls Python, which calls Rust.
#[workflow]
#[derive(Default)]
struct Abroad;

#[workflow_methods]
impl Abroad {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, python: String) -> WorkflowResult<[String; 2]> {
        let options = ActivityOptions::with_start_to_close_timeout(PATIENCE)
            .task_queue(python.clone())
            .build();
        let tenant = ctx
            .execute_activity(Activities::python_activity, (), options)
            .await?;
        let options = ChildWorkflowOptions::builder()
            .workflow_id(format!("{}-child", ctx.workflow_id()))
            .task_queue(python)
            .build();
        let child = ctx
            .start_child_workflow(PythonWorkflow::run, (), options)
            .await?;
        Ok([tenant, child.result().await?])
    }
}

/// Only its name is of use: the Python worker runs it.
#[workflow]
#[derive(Default)]
struct PythonWorkflow;

#[workflow_methods]
impl PythonWorkflow {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        Err(ApplicationFailure::non_retryable(anyhow::anyhow!("it is Python's")).into())
    }
}

fn worker(queue: &str) -> WorkerOptions {
    registered(queue).build()
}

fn registered(queue: &str) -> WorkerOptionsBuilder {
    WorkerOptions::new(queue)
        .register_workflow::<Trip>()
        .unwrap()
        .register_workflow::<Leg>()
        .unwrap()
        .register_workflow::<Abroad>()
        .unwrap()
        .register_activities(Activities)
}

/// A span as it was exported.
#[derive(Debug, Deserialize)]
struct Span {
    name: String,
    trace: String,
    id: String,
    parent: String,
}

/// A tracer, and what it exports.
struct Exported {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
}

impl Exported {
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_id_generator(WorkflowIdGenerator::default())
            .with_simple_exporter(exporter.clone())
            .build();
        Self { exporter, provider }
    }

    fn tracer(&self) -> SdkTracer {
        self.provider.tracer("test")
    }

    fn layer(&self) -> OtelLayer {
        OtelLayer::new(self.tracer()).with_workflow_ids()
    }

    /// Runs `test` in a span `test`, with a tenant in its baggage.
    async fn in_span<T>(&self, test: impl Future<Output = T>) -> T {
        let span = self.tracer().start_with_context("test", &Context::new());
        let context = Context::new().with_span(span);
        let context = context.with_baggage([KeyValue::new("tenant", "acme")]);
        let test = test.with_context(context.clone());
        let output = patiently("what runs in a span", test).await;
        context.span().end();
        output
    }

    fn spans(&self) -> Vec<Span> {
        let spans = self.exporter.get_finished_spans().unwrap();
        let spans = spans.into_iter().map(|span| Span {
            name: span.name.into_owned(),
            trace: span.span_context.trace_id().to_string(),
            id: span.span_context.span_id().to_string(),
            parent: span.parent_span_id.to_string(),
        });
        spans.collect()
    }
}

fn interceptors(layer: OtelLayer) -> Interceptors {
    Interceptors::builder().everywhere(layer).build()
}

/// Every span of one trace as its name and those of its ancestors, sorted.
fn families(spans: &[Span]) -> Vec<String> {
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len(), "none is exported twice: {spans:#?}");
    let root = SpanId::INVALID.to_string();
    let mut families: Vec<_> = spans
        .iter()
        .map(|span| {
            assert_eq!(span.trace, spans[0].trace, "one trace: {spans:#?}");
            let mut names = vec![span.name.as_str()];
            let mut parent = &span.parent;
            while *parent != root {
                let found = spans.iter().find(|it| it.id == *parent);
                let found = found.unwrap_or_else(|| panic!("no parent of {span:?} in {spans:#?}"));
                names.push(&found.name);
                parent = &found.parent;
            }
            names.join(" < ")
        })
        .collect();
    families.sort();
    families
}

/// Makes a whole trip, and says what its activity saw.
async fn trip(client: &Client, queue: &str) -> String {
    let options = WorkflowStartOptions::new(queue, queue).build();
    let start = client.start_workflow(Trip::run, false, options);
    start.await.unwrap();
    // A signal would have the server reject the first run's continue-as-new, and the task is run again: not as a replay.
    let plain = plain_client().await;
    in_history(
        &plain,
        queue,
        "the second run",
        |attributes| match attributes {
            Attributes::WorkflowExecutionStartedEventAttributes(started) => {
                (!started.continued_execution_run_id.is_empty()).then_some(())
            }
            _ => None,
        },
    )
    .await;
    let handle = client.get_workflow_handle::<Run<Trip>>(queue);
    handle
        .signal(Trip::note, (), WorkflowSignalOptions::default())
        .await
        .unwrap();
    handle
        .query(Trip::is_noted, (), WorkflowQueryOptions::default())
        .await
        .unwrap();
    let options = WorkflowExecuteUpdateOptions::builder().build();
    handle
        .execute_update(Trip::end, true, options)
        .await
        .unwrap();
    handle
        .get_result(WorkflowGetResultOptions::default())
        .await
        .unwrap()
}

fn expected_of_a_trip() -> Vec<String> {
    let first = "RunWorkflow:Trip < StartWorkflow:Trip < test";
    let second = format!("RunWorkflow:Trip < {first}");
    let activity = |parent: &str| {
        let start = format!("StartActivity:rust_activity < {parent}");
        [format!("RunActivity:rust_activity < {start}"), start]
    };
    let update = "StartWorkflowUpdate:end < test";
    let mut expected: Vec<_> = [
        "test",
        "StartWorkflow:Trip < test",
        first,
        &second,
        &format!("StartChildWorkflow:Leg < {second}"),
        &format!("RunWorkflow:Leg < StartChildWorkflow:Leg < {second}"),
        "SignalWorkflow:note < test",
        "HandleSignal:note < SignalWorkflow:note < test",
        "QueryWorkflow:is_noted < test",
        "HandleQuery:is_noted < QueryWorkflow:is_noted < test",
        update,
        &format!("ValidateUpdate:end < {update}"),
        &format!("HandleUpdate:end < {update}"),
    ]
    .map(str::to_owned)
    .into();
    // One activity, and a local one.
    expected.extend([activity(&second), activity(&second)].concat());
    expected.extend(activity(&format!("HandleUpdate:end < {update}")));
    expected.sort();
    expected
}

/// What a trip exports whose worker keeps that many workflows in memory.
async fn exported_by_a_trip(layer: fn(&Exported) -> OtelLayer, cached: usize) -> Exported {
    let exported = Exported::new();
    let client = client(interceptors(layer(&exported))).await;
    let queue = unique("otel");
    let mut options = worker(&queue);
    options.max_cached_workflows = cached;
    let test = exported.in_span(trip(&client, &queue));
    let seen = with_worker(&client, options, test).await;
    assert!(seen.ends_with(" acme"), "the baggage arrives: {seen}");
    exported
}

#[tokio::test]
async fn all_that_a_client_leads_to_is_one_trace() {
    let exported = exported_by_a_trip(Exported::layer, 100).await;
    assert_eq!(families(&exported.spans()), expected_of_a_trip());
}

/// Each workflow task begins with a replay then, but the first.
#[tokio::test]
async fn a_replay_exports_nothing_twice_and_changes_no_parent() {
    let exported = exported_by_a_trip(Exported::layer, 0).await;
    assert_eq!(families(&exported.spans()), expected_of_a_trip());
}

#[tokio::test]
async fn without_workflow_ids_all_is_in_the_trace_of_the_client_after_a_replay_too() {
    let exported = exported_by_a_trip(|exported| OtelLayer::new(exported.tracer()), 0).await;
    let spans = exported.spans();
    // Each has a parent that was exported.
    let families = families(&spans);
    let names = |families: &[String]| -> Vec<String> {
        let name = |family: &String| family.split(" < ").next().unwrap().to_owned();
        let mut names: Vec<_> = families.iter().map(name).collect();
        names.sort();
        names
    };
    assert_eq!(names(&families), names(&expected_of_a_trip()));
}

/// The layer in clients and activities, the SDK's own plugin in workflows: it reads our header, and we read its.
///
/// The plugin's tracer is of an older OpenTelemetry and makes no spans here, so the context goes through it unchanged.
#[tokio::test]
async fn the_header_is_understood_by_the_rust_sdk_s_own_plugin() {
    let exported = Exported::new();
    let layer = exported.layer();
    let interceptors = Interceptors::builder()
        .client(layer.clone())
        .activity_inbound(layer)
        .build();
    let client = client(interceptors).await;
    let queue = unique("otel-sdk");
    let options = registered(&queue)
        .worker_plugin(OpenTelemetryPlugin::builder().build())
        .build();
    let test = exported.in_span(trip(&client, &queue));
    let seen = with_worker(&client, options, test).await;
    assert!(seen.ends_with(" acme"), "the baggage arrives: {seen}");
    let families = families(&exported.spans());
    let run = "RunActivity:rust_activity < StartWorkflow:Trip < test".to_owned();
    assert!(families.contains(&run), "{families:#?}");
    let update = "RunActivity:rust_activity < StartWorkflowUpdate:end < test".to_owned();
    assert!(families.contains(&update), "{families:#?}");
}

#[tokio::test]
async fn a_trace_goes_from_rust_to_python_and_back() {
    let python = unique("otel-python");
    let Some(worker_of_python) = PythonWorker::start("otel_worker.py", &python).await else {
        return;
    };
    let exported = Exported::new();
    let client = client(interceptors(exported.layer())).await;
    let queue = format!("{python}-rust");
    let test = exported.in_span(async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client
            .start_workflow(Abroad::run, python.clone(), options)
            .await
            .unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        result.await.unwrap()
    });
    let [tenant, seen] = with_worker(&client, worker(&queue), test).await;
    assert_eq!(tenant, "acme", "in Python");
    assert!(seen.ends_with(" acme"), "in Rust, through Python: {seen}");

    let of_python: Vec<Span> = serde_json::from_str(&worker_of_python.end().await).unwrap();
    let mut spans = exported.spans();
    spans.extend(of_python);
    let run = "RunWorkflow:Abroad < StartWorkflow:Abroad < test";
    let start_python = format!("StartChildWorkflow:PythonWorkflow < {run}");
    let mut expected = [
        "test".to_owned(),
        "StartWorkflow:Abroad < test".to_owned(),
        run.to_owned(),
        // From Rust to Python.
        format!("StartActivity:python_activity < {run}"),
        format!("RunActivity:python_activity < StartActivity:python_activity < {run}"),
        start_python.clone(),
        // In Python what a workflow does is next to its `RunWorkflow`, which has no duration.
        format!("RunWorkflow:PythonWorkflow < {start_python}"),
        format!("CompleteWorkflow:PythonWorkflow < {start_python}"),
        // And back.
        format!("StartActivity:rust_activity < {start_python}"),
        format!("RunActivity:rust_activity < StartActivity:rust_activity < {start_python}"),
    ];
    expected.sort();
    assert_eq!(families(&spans), expected);
}
