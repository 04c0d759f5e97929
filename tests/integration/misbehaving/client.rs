//! In a client's stack. A call that goes wrong fails, or panics to its caller; the next call of the same client works.

use super::{How, KEPT, Misbehave, Spawn, Witness, answer, keep, misbehave, twice};
use crate::{
    fixtures::Basket,
    support::{client, client_with, eventually, history, patiently, plain_client, unique},
};
use futures::FutureExt;
use std::{error::Error, panic::AssertUnwindSafe, time::Duration};
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowCountOptions, WorkflowGetResultOptions,
    WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowInteractionError},
};
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use tonic::{Code, Status};
use tower::ServiceBuilder;
use tower_layer::Layer;
use tower_temporal::{
    CallError, Interceptors, Operation, Terminal,
    client::{CancelWorkflow, ClientOutboundService, FetchWorkflowHistoryPage},
};

const CANCEL: &str = CancelWorkflow::NAME;

/// A workflow that nobody runs, and a client with a stack.
struct Bench {
    client: Client,
    id: String,
}

impl Bench {
    async fn new<L>(layer: L) -> Self
    where
        L: Layer<Terminal, Service: ClientOutboundService> + 'static,
    {
        Self::with(client(Interceptors::builder().client(layer).build()).await).await
    }

    async fn with(client: Client) -> Self {
        let id = unique("misbehaving");
        let options = WorkflowStartOptions::new(&id, &id).build();
        plain_client()
            .await
            .start_workflow(Basket::run, "alice".to_owned(), options)
            .await
            .unwrap();
        Self { client, id }
    }

    async fn cancel(&self) -> Result<(), WorkflowInteractionError> {
        let handle = self.client.get_workflow_handle::<Basket>(&self.id);
        patiently(
            "the cancellation",
            handle.cancel(WorkflowCancelOptions::default()),
        )
        .await
    }

    /// What a cancellation fails with.
    async fn failure(&self) -> Status {
        match self.cancel().await {
            Err(WorkflowInteractionError::Rpc(status)) => status,
            other => panic!("the call should have failed in its stack, but: {other:?}"),
        }
    }

    /// How often the server was asked to cancel the workflow.
    async fn cancellations(&self) -> usize {
        let events = history(&plain_client().await, &self.id).await;
        events
            .iter()
            .filter(|event| event.event_type() == EventType::WorkflowExecutionCancelRequested)
            .count()
    }

    /// Nothing has reached the server, nothing is left behind, and the next call passes.
    async fn recovers(&self, layer: &Misbehave, holders: usize) {
        assert_eq!(
            layer.holders(),
            holders,
            "a service or future of the call was leaked: {layer:?}"
        );
        assert_eq!(
            self.cancellations().await,
            0,
            "it went on inward: {layer:?}"
        );
        self.cancel()
            .await
            .unwrap_or_else(|error| panic!("the next call should pass: {layer:?}: {error:?}"));
        assert_eq!(self.cancellations().await, 1, "the next call: {layer:?}");
    }

    /// A call that the server does not answer, since nobody runs the workflow.
    async fn wait_in_vain(&self) -> Result<Vec<String>, WorkflowGetResultError> {
        let handle = self.client.get_workflow_handle::<Basket>(&self.id);
        handle.get_result(WorkflowGetResultOptions::default()).await
    }

    async fn count(&self) {
        let count = self
            .client
            .count_workflows("", WorkflowCountOptions::default());
        patiently("another call", count)
            .await
            .expect("another call of the same client passes");
    }
}

/// The source of a status that says which mistake a middleware made.
fn call_error(status: &Status) -> Option<CallError> {
    status.source()?.downcast_ref().copied()
}

#[tokio::test]
async fn a_panic_reaches_the_caller_and_the_next_call_works() {
    for how in How::PANICS {
        let layer = misbehave::<CancelWorkflow>(how).once();
        let bench = Bench::new(layer.clone()).await;
        let holders = layer.holders();
        let panic = AssertUnwindSafe(bench.cancel())
            .catch_unwind()
            .await
            .expect_err("the panic should reach the caller");
        assert_eq!(
            panic.downcast_ref::<String>(),
            Some(&how.text::<CancelWorkflow>())
        );
        bench.recovers(&layer, holders).await;
    }
}

#[tokio::test]
async fn a_failed_readiness_is_the_calls_error() {
    let layer = misbehave::<CancelWorkflow>(How::FailReady).once();
    let bench = Bench::new(layer.clone()).await;
    let holders = layer.holders();
    let status = bench.failure().await;
    assert_eq!(status.code(), Code::Unknown, "{status:?}");
    assert_eq!(status.message(), How::FailReady.text::<CancelWorkflow>());
    bench.recovers(&layer, holders).await;
}

#[tokio::test]
async fn a_layer_that_is_never_ready_holds_the_call_until_its_caller_gives_it_up() {
    let layer = misbehave::<CancelWorkflow>(How::NeverReady).once();
    let bench = Bench::new(layer.clone()).await;
    let holders = layer.holders();
    tokio::time::timeout(Duration::from_millis(200), bench.cancel())
        .await
        .expect_err("the call should wait, as tower's contract says");
    bench.recovers(&layer, holders).await;
}

#[tokio::test]
async fn load_shed_fails_the_call_of_a_layer_that_is_never_ready() {
    let layer = misbehave::<CancelWorkflow>(How::NeverReady).once();
    let bench = Bench::new(ServiceBuilder::new().load_shed().layer(layer.clone())).await;
    let holders = layer.holders();
    let status = bench.failure().await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    bench.recovers(&layer, holders).await;
}

#[tokio::test]
async fn a_layer_can_answer_itself_and_nothing_reaches_the_server() {
    let bench = Bench::new(answer::<CancelWorkflow>(|_| ())).await;
    bench.cancel().await.expect("the layer's own answer");
    assert_eq!(bench.cancellations().await, 0, "it went on inward");
    bench.count().await;
}

#[tokio::test]
async fn the_second_call_inward_fails_and_the_first_is_made() {
    let bench = Bench::new(twice::<CancelWorkflow>()).await;
    let status = bench.failure().await;
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    let operation = CANCEL;
    assert_eq!(call_error(&status), Some(CallError::Twice { operation }));
    assert!(status.message().contains("`cancel_workflow`"), "{status:?}");
    assert_eq!(bench.cancellations().await, 1, "the first call");
    bench.count().await;
}

#[tokio::test]
async fn a_request_that_is_kept_fails_once_its_call_has_ended() {
    let bench = Bench::new(keep::<CancelWorkflow>()).await;
    assert_eq!(bench.failure().await.message(), KEPT);
    let status = bench.failure().await;
    let operation = CANCEL;
    assert_eq!(call_error(&status), Some(CallError::Gone { operation }));
    assert!(status.message().contains("`cancel_workflow`"), "{status:?}");
    assert_eq!(bench.cancellations().await, 0, "it reached the server late");
    bench.cancel().await.expect("the layer behaves now");
    assert_eq!(bench.cancellations().await, 1);
}

#[tokio::test]
async fn dropping_the_inner_call_half_way_drops_the_sdks_own_call() {
    let layer = misbehave::<FetchWorkflowHistoryPage>(How::DropHalfWay);
    let sdk = Witness::default();
    let client = client_with(|options| {
        options
            .plugin(Interceptors::builder().client(layer).build())
            .plugin(Interceptors::builder().client(sdk.clone()).build())
    });
    let bench = Bench::with(client.await).await;
    match patiently("the call", bench.wait_in_vain()).await {
        Err(WorkflowGetResultError::Rpc(status)) => assert_eq!(
            status.message(),
            How::DropHalfWay.text::<FetchWorkflowHistoryPage>()
        ),
        other => panic!("the call should have failed in its stack, but: {other:?}"),
    }
    assert_eq!(
        (sdk.calls(), sdk.running()),
        (1, 0),
        "calls that have reached the SDK, and that still run there"
    );
    bench.count().await;
}

#[tokio::test]
async fn a_call_can_go_on_on_another_task() {
    let bench = Bench::new(Spawn).await;
    bench.cancel().await.expect("the call passes");
    assert_eq!(bench.cancellations().await, 1);
}

#[tokio::test]
async fn a_spawned_call_ends_when_its_caller_gives_it_up() {
    let (task, sdk) = (Witness::default(), Witness::default());
    let stack = ServiceBuilder::new().layer(Spawn).layer(task.clone());
    let client = client_with(|options| {
        options
            .plugin(Interceptors::builder().client(stack).build())
            .plugin(Interceptors::builder().client(sdk.clone()).build())
    });
    let bench = Bench::with(client.await).await;
    let begun = eventually("the call reaches the SDK", async || {
        (sdk.running() > 0).then_some(())
    });
    tokio::select! {
        biased;
        result = bench.wait_in_vain() => panic!("nobody answers this call, but: {result:?}"),
        () = begun => {}
    }
    assert_eq!(sdk.running(), 0, "the SDK's call goes with its caller");
    eventually("the task of the layer ends", async || {
        (task.running() == 0).then_some(())
    })
    .await;
    bench.count().await;
}
