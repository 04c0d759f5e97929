use super::{HEADER, Otel, OtelLayer, WorkflowIdGenerator};
use crate::test_support::{
    ExecuteActivity, ExecuteWorkflow, HandleSignal, ScheduleActivity, StartTimer, StartWorkflow,
    Surroundings, TestScope, call,
};
use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{
        FutureExt as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
        TraceId, TraceState, TracerProvider,
    },
};
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::{Ready, pending, ready},
    sync::{Arc, atomic::Ordering},
    task::{self, Poll},
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Category, Denied, HeaderMap, HeaderMapMut, Headers as CallHeaders, HeadersMut,
    Operation, Request,
    probe::{ProbeError, ProbeInput},
};

type Headers = HashMap<String, Payload>;

/// A layer, and what it exports.
struct Exported {
    exporter: InMemorySpanExporter,
    layer: OtelLayer,
    _provider: SdkTracerProvider,
}

impl Exported {
    /// Without workflow ids.
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_id_generator(WorkflowIdGenerator::default())
            .with_simple_exporter(exporter.clone())
            .build();
        Self {
            exporter,
            layer: OtelLayer::new(provider.tracer("test")),
            _provider: provider,
        }
    }

    fn with_workflow_ids() -> Self {
        let mut this = Self::new();
        this.layer = this.layer.with_workflow_ids();
        this
    }

    fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }

    /// Every span as `name < its parent's name`, in the order in which they ended.
    fn family(&self) -> Vec<String> {
        let spans = self.spans();
        let trace = spans[0].span_context.trace_id();
        spans
            .iter()
            .map(|span| {
                assert_eq!(span.span_context.trace_id(), trace, "one trace");
                let is_parent = |it: &&SpanData| it.span_context.span_id() == span.parent_span_id;
                let parent = match span.parent_span_id {
                    SpanId::INVALID => "nothing",
                    _ => spans
                        .iter()
                        .find(is_parent)
                        .map_or("unknown", |it| &it.name),
                };
                format!("{} < {parent}", span.name)
            })
            .collect()
    }

    fn stack(&self) -> Otel<Inside> {
        self.layer.layer(Inside)
    }

    /// Makes a call through a stack of its own.
    async fn pass<O: Call>(&self, headers: Headers, surroundings: &Arc<Surroundings>) -> Seen {
        pass::<O>(&self.stack(), headers, surroundings).await
    }
}

/// The operations of these tests.
trait Call: Operation<Input = ProbeInput, Context = Arc<Surroundings>> {}

impl<O: Operation<Input = ProbeInput, Context = Arc<Surroundings>>> Call for O {}

/// What a call has inside.
struct Seen {
    headers: Headers,
    context: Context,
}

/// Stands for what is inside a stack.
#[derive(Clone)]
struct Inside;

impl<O: Call> Service<Request<O>> for Inside {
    type Response = Seen;
    type Error = ProbeError;
    type Future = Ready<Result<Seen, ProbeError>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), ProbeError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        ready(Ok(Seen {
            headers: request.headers.clone(),
            context: Context::current(),
        }))
    }
}

async fn pass<O: Call>(
    stack: &Otel<Inside>,
    headers: Headers,
    surroundings: &Arc<Surroundings>,
) -> Seen {
    let input = ProbeInput { value: 0, headers };
    call::<O, _>(stack.clone(), input, surroundings)
        .await
        .unwrap()
}

fn outside() -> Arc<Surroundings> {
    Surroundings::outside()
}

fn live() -> Arc<Surroundings> {
    Surroundings::workflow(false)
}

fn replayed() -> Arc<Surroundings> {
    Surroundings::workflow(true)
}

fn span_id(context: &Context) -> SpanId {
    context.span().span_context().span_id()
}

#[tokio::test]
async fn from_client_to_activity_is_one_trace() {
    let exported = Exported::new();
    let workflow = live();
    let start = exported
        .pass::<StartWorkflow>(Headers::new(), &outside())
        .await;
    let run = exported
        .pass::<ExecuteWorkflow>(start.headers, &workflow)
        .await;
    // As workflow code runs.
    let schedule = exported.pass::<ScheduleActivity>(Headers::new(), &workflow);
    let schedule = schedule.with_context(run.context).await;
    let activity = exported
        .pass::<ExecuteActivity>(schedule.headers, &outside())
        .await;
    assert_eq!(
        exported.family(),
        [
            "StartWorkflow:Order < nothing",
            "RunWorkflow:Order < StartWorkflow:Order",
            "StartActivity:charge < RunWorkflow:Order",
            "RunActivity:charge < StartActivity:charge",
        ]
    );
    let spans = exported.spans();
    let kinds: Vec<_> = spans.iter().map(|span| span.span_kind.clone()).collect();
    let (client, server) = (SpanKind::Client, SpanKind::Server);
    assert_eq!(kinds, [client.clone(), server.clone(), client, server]);
    assert_eq!(span_id(&activity.context), spans[3].span_context.span_id());
    assert!(
        !Context::current().has_active_span(),
        "nothing is left behind"
    );
    let attributes = |span: &SpanData| {
        let mut attributes: Vec<_> = span
            .attributes
            .iter()
            .map(|it| it.key.to_string())
            .collect();
        attributes.sort();
        attributes
    };
    assert_eq!(attributes(&spans[0]), ["temporalWorkflowID"]);
    assert_eq!(
        attributes(&spans[3]),
        ["temporalActivityType", "temporalWorkflowID"]
    );
}

#[tokio::test]
async fn the_header_is_what_other_sdks_write() {
    let exported = Exported::new();
    let baggage = Context::new().with_baggage([KeyValue::new("tenant", "acme")]);
    let surroundings = outside();
    let start = exported.pass::<StartWorkflow>(Headers::new(), &surroundings);
    let start = start.with_context(baggage).await;
    let payload = &start.headers[HEADER];
    assert_eq!(payload.metadata["encoding"], b"json/plain");
    assert_eq!(payload.metadata.len(), 1);
    let carrier: HashMap<String, String> = serde_json::from_slice(&payload.data).unwrap();
    let span = &exported.spans()[0].span_context;
    let traceparent = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(carrier["traceparent"], traceparent);
    assert_eq!(carrier["baggage"], "tenant=acme");
    assert_eq!(carrier.len(), 2, "no empty tracestate: {carrier:?}");

    let activity = exported
        .pass::<ExecuteActivity>(start.headers, &outside())
        .await;
    let tenant = activity.context.baggage().get("tenant").cloned();
    assert_eq!(
        tenant.map(|tenant| tenant.to_string()).as_deref(),
        Some("acme")
    );
}

/// Gives the ids that the fixtures have.
#[derive(Debug)]
struct FixedIds;

impl IdGenerator for FixedIds {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(0x11)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(0x22)
    }
}

/// A header as the SDK of another language has written it.
#[derive(Deserialize)]
struct Written {
    metadata: HashMap<String, String>,
    data: String,
}

impl Written {
    fn headers(&self) -> Headers {
        let metadata = self.metadata.iter();
        let payload = Payload {
            metadata: metadata
                .map(|(key, value)| (key.clone(), value.clone().into_bytes()))
                .collect(),
            data: self.data.clone().into_bytes(),
            ..Payload::default()
        };
        [(HEADER.to_owned(), payload)].into()
    }
}

/// See `tests/headers` for how the fixtures were made.
#[tokio::test]
async fn the_header_has_the_bytes_of_python_and_the_entries_of_typescript() {
    type Fixture = BTreeMap<String, Written>;
    let python: Fixture =
        serde_json::from_str(include_str!("../../tests/headers/python.json")).unwrap();
    let typescript: Fixture =
        serde_json::from_str(include_str!("../../tests/headers/typescript.json")).unwrap();
    assert_eq!(python.len(), 3);
    for (case, python) in python {
        let provider = SdkTracerProvider::builder()
            .with_id_generator(FixedIds)
            .build();
        let layer = OtelLayer::new(provider.tracer("test"));
        let mut context = Context::new();
        if case.contains("tracestate") {
            let state = TraceState::from_key_value([("vendor", "value")]).unwrap();
            let parent = SpanContext::new(
                TraceId::from(0x11),
                SpanId::from(0x33),
                TraceFlags::SAMPLED,
                true,
                state,
            );
            context = context.with_remote_span_context(parent);
        }
        if case.contains("baggage") {
            context = context.with_baggage([KeyValue::new("tenant", "acme")]);
        }
        let outside = outside();
        let stack = layer.layer(Inside);
        let start = pass::<StartWorkflow>(&stack, Headers::new(), &outside);
        let written = start.with_context(context).await.headers;
        assert_eq!(written, python.headers(), "{case}");
        let typescript = &typescript[&case];
        let entries = |data: &[u8]| -> serde_json::Value { serde_json::from_slice(data).unwrap() };
        assert_eq!(
            entries(typescript.data.as_bytes()),
            entries(&written[HEADER].data),
            "{case}"
        );

        // And both are read.
        for headers in [python.headers(), typescript.headers()] {
            let seen = pass::<ExecuteActivity>(&stack, headers, &outside).await;
            let span = seen.context.span().span_context().clone();
            assert_eq!(span.trace_id(), TraceId::from(0x11));
            let has_state = case.contains("tracestate");
            assert_eq!(
                span.trace_state().get("vendor").is_some(),
                has_state,
                "{case}"
            );
            let tenant = seen.context.baggage().get("tenant").cloned();
            assert_eq!(tenant.is_some(), case.contains("baggage"), "{case}");
        }
    }
}

#[tokio::test]
async fn a_header_that_can_t_be_read_begins_a_new_trace() {
    let exported = Exported::new();
    let payload = Payload {
        data: b"not json".to_vec(),
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        ..Payload::default()
    };
    let headers = [(HEADER.to_owned(), payload)].into();
    // What happens to surround a worker is none of the activity's.
    let around = exported
        .pass::<StartWorkflow>(Headers::new(), &outside())
        .await;
    let surroundings = outside();
    let activity = exported.pass::<ExecuteActivity>(headers, &surroundings);
    activity.with_context(around.context).await;
    assert_eq!(exported.spans()[1].parent_span_id, SpanId::INVALID);
}

#[tokio::test]
async fn a_call_without_a_span_of_its_own_carries_the_context_on() {
    let exported = Exported::new();
    let workflow = live();
    let run = exported
        .pass::<ExecuteWorkflow>(Headers::new(), &workflow)
        .await;
    let timer = exported.pass::<StartTimer>(Headers::new(), &workflow);
    let timer = timer.with_context(run.context.clone()).await;
    assert_eq!(span_id(&timer.context), span_id(&run.context));
    assert!(timer.headers.contains_key(HEADER));
    assert_eq!(exported.family(), ["RunWorkflow:Order < nothing"]);
}

#[tokio::test]
async fn a_signal_without_a_context_belongs_to_its_workflow() {
    let exported = Exported::new();
    let (stack, workflow) = (exported.stack(), live());
    pass::<ExecuteWorkflow>(&stack, Headers::new(), &workflow).await;
    pass::<HandleSignal>(&stack, Headers::new(), &workflow).await;
    assert_eq!(exported.family()[1], "HandleSignal < RunWorkflow:Order");
}

#[tokio::test]
async fn failures_are_errors_and_other_outcomes_are_not() {
    let exported = Exported::new();
    let failing = |error: fn() -> BoxError| {
        let inner = service_fn(move |_: Request<ExecuteActivity>| ready(Err::<u32, _>(error())));
        exported.layer.layer(inner)
    };
    let errors: [fn() -> BoxError; 3] = [
        || ProbeError::Failed("no money".to_owned()).into(),
        || ProbeError::Failed("benign".to_owned()).into(),
        || Denied::new("no").into(),
    ];
    for error in errors {
        call(failing(error), 1, &outside()).await.unwrap_err();
    }
    let spans = exported.spans();
    let failed = "the probe failed: no money";
    assert_eq!(spans[0].status, Status::error(failed));
    let event = &spans[0].events[0];
    assert_eq!(event.name, "exception");
    let message = KeyValue::new("exception.message", failed);
    assert_eq!(event.attributes, [message]);
    assert_eq!(spans[1].status, Status::Unset);
    assert_eq!(spans[1].events.len(), 0);
    assert_eq!(spans[2].status, Status::error("denied: no"));
}

#[tokio::test]
async fn a_span_ends_when_its_call_is_dropped() {
    let exported = Exported::new();
    let stack = exported
        .layer
        .layer(service_fn(|_: Request<ExecuteWorkflow>| {
            pending::<Result<u32, BoxError>>()
        }));
    let run = call(stack, 1, &live());
    assert_eq!(exported.spans().len(), 0);
    drop(run);
    assert_eq!(exported.family(), ["RunWorkflow:Order < nothing"]);
}

#[tokio::test]
async fn code_inside_has_the_context_whenever_it_is_polled() {
    let exported = Exported::new();
    let stack = exported
        .layer
        .layer(service_fn(async |_: Request<ExecuteActivity>| {
            let first = span_id(&Context::current());
            tokio::task::yield_now().await;
            Ok::<_, BoxError>((first, span_id(&Context::current())))
        }));
    let (first, second) = call(stack, 1, &outside()).await.unwrap();
    let span = exported.spans()[0].span_context.span_id();
    assert_eq!([first, second], [span, span]);
}

/// The headers of a Nexus operation are strings.
#[derive(Debug)]
struct StartNexusOperation;

impl Operation for StartNexusOperation {
    type Input = HashMap<String, String>;
    type Output = HashMap<String, String>;
    type Error = ProbeError;
    type Context = Arc<Surroundings>;
    type Scope = TestScope;

    const NAME: &'static str = "start_nexus_operation";
    const CATEGORY: Category = Category::WorkflowOutbound;

    fn headers(input: &Self::Input) -> CallHeaders<'_> {
        CallHeaders::one(HeaderMap::Strings(input))
    }

    fn headers_mut(input: &mut Self::Input) -> HeadersMut<'_> {
        HeadersMut::one(HeaderMapMut::Strings(input))
    }

    fn error(error: BoxError) -> ProbeError {
        ProbeError::Middleware(error)
    }
}

#[tokio::test]
async fn a_nexus_operation_has_the_context_in_headers_of_its_own() {
    let exported = Exported::new();
    let mut stack =
        exported
            .layer
            .layer(service_fn(async |request: Request<StartNexusOperation>| {
                Ok::<_, BoxError>(request.input().clone())
            }));
    let input = [("user-id".to_owned(), "alice".to_owned())].into();
    let sent = stack.call(Request::new(input, live())).await.unwrap();
    let span = &exported.spans()[0].span_context;
    let traceparent = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(sent.get("traceparent"), Some(&traceparent), "{sent:?}");
    assert_eq!(sent["user-id"], "alice");
    assert!(!sent.contains_key(HEADER), "{sent:?}");
}

/// A workflow begins, is replayed, and schedules an activity after that.
async fn replay(exported: &Exported, start: Headers) -> [SpanId; 2] {
    let workflow = live();
    let run = exported
        .pass::<ExecuteWorkflow>(start.clone(), &workflow)
        .await;
    let first = exported.pass::<ScheduleActivity>(Headers::new(), &workflow);
    first.with_context(run.context.clone()).await;

    // The same again.
    let workflow = replayed();
    let again = exported.pass::<ExecuteWorkflow>(start, &workflow).await;
    let first = exported.pass::<ScheduleActivity>(Headers::new(), &workflow);
    first.with_context(again.context.clone()).await;
    // And on from there.
    workflow.is_replaying.store(false, Ordering::SeqCst);
    let second = exported.pass::<ScheduleActivity>(Headers::new(), &workflow);
    second.with_context(again.context.clone()).await;
    [span_id(&run.context), span_id(&again.context)]
}

#[tokio::test]
async fn a_replay_exports_nothing_and_has_the_same_ids() {
    let exported = Exported::with_workflow_ids();
    let start = exported
        .pass::<StartWorkflow>(Headers::new(), &outside())
        .await;
    let [run, again] = replay(&exported, start.headers).await;
    assert_eq!(run, again);
    assert_eq!(
        exported.family(),
        [
            "StartWorkflow:Order < nothing",
            "RunWorkflow:Order < StartWorkflow:Order",
            "StartActivity:charge < RunWorkflow:Order",
            "StartActivity:charge < RunWorkflow:Order",
        ]
    );
    let ids = exported.spans();
    let ids: HashSet<_> = ids.iter().map(|span| span.span_context.span_id()).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[tokio::test]
async fn a_workflow_that_nobody_traces_has_the_same_trace_in_a_replay() {
    let exported = Exported::with_workflow_ids();
    let [run, again] = replay(&exported, Headers::new()).await;
    assert_eq!(run, again);
    assert_eq!(
        exported.family(),
        [
            "RunWorkflow:Order < nothing",
            "StartActivity:charge < RunWorkflow:Order",
            "StartActivity:charge < RunWorkflow:Order",
        ]
    );
}

#[tokio::test]
async fn without_workflow_ids_what_comes_after_a_replay_is_in_the_same_trace() {
    let exported = Exported::new();
    let start = exported
        .pass::<StartWorkflow>(Headers::new(), &outside())
        .await;
    replay(&exported, start.headers).await;
    assert_eq!(
        exported.family(),
        [
            "StartWorkflow:Order < nothing",
            "RunWorkflow:Order < StartWorkflow:Order",
            "StartActivity:charge < RunWorkflow:Order",
            "StartActivity:charge < StartWorkflow:Order",
        ]
    );
}

/// A provider whose generator does not take the ids must not have them later either.
#[tokio::test]
async fn ids_that_were_not_taken_are_not_given_to_another_span() {
    let exporter = InMemorySpanExporter::default();
    let plain = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = OtelLayer::new(plain.tracer("plain")).with_workflow_ids();
    pass::<ExecuteWorkflow>(&layer.layer(Inside), Headers::new(), &live()).await;
    let generator = WorkflowIdGenerator::default();
    assert_ne!(generator.new_span_id(), SpanId::from(1));
    assert_ne!(
        exporter.get_finished_spans().unwrap()[0]
            .span_context
            .span_id(),
        SpanId::from(1)
    );
}

/// Then a replay does not name spans that were never exported.
#[tokio::test]
async fn with_a_provider_that_ignores_the_ids_all_is_as_without_them() {
    let exporter = InMemorySpanExporter::default();
    let plain = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let exported = Exported {
        exporter,
        layer: OtelLayer::new(plain.tracer("plain")).with_workflow_ids(),
        _provider: plain,
    };
    let start = exported
        .pass::<StartWorkflow>(Headers::new(), &outside())
        .await;
    replay(&exported, start.headers).await;
    assert_eq!(
        exported.family(),
        [
            "StartWorkflow:Order < nothing",
            "RunWorkflow:Order < StartWorkflow:Order",
            "StartActivity:charge < RunWorkflow:Order",
            "StartActivity:charge < StartWorkflow:Order",
        ]
    );
}

/// What is exported of a workflow that nobody traces and that is replayed, by a provider with `sampler`.
async fn exported_with(sampler: Sampler, is_told: bool) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_id_generator(WorkflowIdGenerator::default())
        .with_sampler(sampler.clone())
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = OtelLayer::new(provider.tracer("test")).with_workflow_ids();
    let layer = if is_told {
        layer.with_sampler(sampler)
    } else {
        layer
    };
    let exported = Exported {
        exporter,
        layer,
        _provider: provider,
    };
    let [run, again] = replay(&exported, Headers::new()).await;
    assert_eq!(run, again);
    exported.spans()
}

#[tokio::test]
async fn what_was_not_sampled_is_not_sampled_after_a_replay() {
    let by_parent = |root| Sampler::ParentBased(Box::new(root));
    let never = by_parent(Sampler::AlwaysOff);
    assert_eq!(exported_with(never.clone(), true).await.len(), 0);
    // That is what a layer which does not know takes for granted.
    let orphans = exported_with(never, false).await;
    assert_eq!(orphans.len(), 1, "{orphans:#?}");
    for sampler in [
        by_parent(Sampler::AlwaysOn),
        Sampler::AlwaysOn,
        Sampler::TraceIdRatioBased(1.0),
    ] {
        assert_eq!(exported_with(sampler, true).await.len(), 3);
    }
}
