//! Middleware in a workflow's stacks that does what it must not: see `misbehaving/mod.rs` for the other categories.
//!
//! A panic fails the workflow task, which is tried again; anything else is an error of the call. A stack can't spawn, since
//! its futures are not `Send`.

use super::{
    Attributes, Bench, Handle, application_failure, ask, assert_no_task_failed, bench_with, count,
    history,
    layers::Log,
    result,
    subject::{Created, Step, Subject, TEXT},
    tell,
};
use crate::misbehaving::{How, KEPT, Witness, answer, keep, misbehave, twice};
use temporalio_client::WorkflowStartOptions;
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, WorkflowTaskFailedCause},
    history::v1::HistoryEvent,
};
use temporalio_sdk::TimerResult;
use tower::ServiceBuilder;
use tower_layer::Layer;
use tower_temporal::{
    Interceptors, Operation, ReplaySafe, Terminal,
    workflow::{
        CancelExternalWorkflow, ContinueAsNew, ExecuteWorkflow, HandleQuery, HandleSignal,
        HandleUpdate, InitializeWorkflow, ScheduleActivity, ScheduleLocalActivity,
        SignalChildWorkflow, StartChildWorkflow, StartTimer, ValidateUpdate,
        WorkflowInboundService, WorkflowOutboundService,
    },
};

fn inbound<L>(layer: L) -> Interceptors
where
    L: Layer<Terminal, Service: WorkflowInboundService> + ReplaySafe + Send + Sync + 'static,
{
    Interceptors::builder().workflow_inbound(layer).build()
}

fn outbound<L>(layer: L) -> Interceptors
where
    L: Layer<Terminal, Service: WorkflowOutboundService> + ReplaySafe + Send + Sync + 'static,
{
    Interceptors::builder().workflow_outbound(layer).build()
}

/// The texts of the workflow tasks that failed.
fn failed_tasks(history: &[HistoryEvent]) -> Vec<String> {
    history
        .iter()
        .filter_map(|event| match event.attributes.as_ref()? {
            Attributes::WorkflowTaskFailedEventAttributes(failed)
                if failed.cause() != WorkflowTaskFailedCause::UnhandledCommand =>
            {
                Some(failed.failure.clone().unwrap_or_default().message)
            }
            _ => None,
        })
        .collect()
}

/// What a [`Subject`] does that takes `steps` besides its handlers: it is updated and poked, and ends.
async fn visit(bench: &Bench, steps: Vec<Step>) -> (Handle<Subject>, Vec<String>) {
    let waits = steps.iter().any(|step| matches!(step, Step::Wait));
    let handle = bench.start(steps).await;
    if waits {
        tell(&handle).await.expect("the update is tried again");
        bench.poke(&handle, TEXT).await;
    }
    let said = result(&handle).await.expect("the workflow goes on");
    (handle, said)
}

/// What a workflow came to whose middleware misbehaves: what it said, or what it failed with.
async fn outcome(interceptors: Interceptors, steps: Vec<Step>) -> (String, Vec<HistoryEvent>) {
    bench_with(interceptors, Log::default(), async |bench| {
        let handle = bench.start(steps).await;
        let outcome = match result(&handle).await {
            Ok(said) => said.join(" | "),
            Err(error) => {
                let (type_name, message) = application_failure(error);
                format!("failed: {message} [{}]", type_name.unwrap_or_default())
            }
        };
        let history = history(&handle).await;
        assert_no_task_failed(&history);
        (outcome, history)
    })
    .await
}

/// A first task that panics is tried again and succeeds.
async fn assert_panics_once<O: Operation>(
    install: impl Fn(crate::misbehaving::Misbehave) -> Interceptors,
    steps: Vec<Step>,
) {
    for how in How::PANICS {
        let layer = misbehave::<O>(how).once();
        bench_with(install(layer), Log::default(), async |bench| {
            let (handle, _) = visit(bench, steps.clone()).await;
            let failed = failed_tasks(&history(&handle).await);
            let [text] = &*failed else {
                panic!("one workflow task should have failed, not {failed:?}: {how:?}")
            };
            assert!(text.contains(&how.text::<O>()), "{text}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_panic_on_an_outbound_call_fails_the_task_and_the_next_goes_on() {
    assert_panics_once::<ScheduleActivity>(outbound, vec![Step::Activity]).await;
    assert_panics_once::<ScheduleLocalActivity>(outbound, vec![Step::LocalActivity]).await;
    assert_panics_once::<StartTimer>(outbound, vec![Step::Timer]).await;
    assert_panics_once::<StartChildWorkflow>(outbound, vec![Step::Child]).await;
    assert_panics_once::<SignalChildWorkflow>(outbound, vec![Step::SignalChild]).await;
    let continues = vec![Step::ContinueAsNew(vec![Step::Say(TEXT.to_owned())])];
    assert_panics_once::<ContinueAsNew>(outbound, continues).await;
}

#[tokio::test]
async fn a_panic_on_an_inbound_call_fails_the_task_and_the_next_goes_on() {
    assert_panics_once::<ExecuteWorkflow>(inbound, vec![Step::Wait]).await;
    assert_panics_once::<HandleSignal>(inbound, vec![Step::Wait]).await;
    assert_panics_once::<HandleUpdate>(inbound, vec![Step::Wait]).await;
}

#[tokio::test]
async fn a_panic_on_a_query_fails_the_query_and_not_the_workflow() {
    for how in How::PANICS {
        let layer = misbehave::<HandleQuery>(how).once();
        bench_with(inbound(layer), Log::default(), async |bench| {
            let handle = bench.start(vec![Step::Wait]).await;
            // A query that comes with the first task would fail that task, and be answered with the next.
            let first_task = bench.wait_for(&handle, |history| {
                (count(history, EventType::WorkflowTaskCompleted) > 0).then_some(())
            });
            first_task.await;
            let error = ask(&handle).await.expect_err("it panics");
            assert!(error.contains(&how.text::<HandleQuery>()), "{error}");
            assert_eq!(ask(&handle).await.as_deref(), Ok(TEXT), "{how:?}");
            bench.poke(&handle, TEXT).await;
            assert_eq!(result(&handle).await.expect("it goes on"), [TEXT]);
            assert_no_task_failed(&history(&handle).await);
        })
        .await;
    }
}

#[tokio::test]
async fn a_panic_on_a_validation_rejects_the_update_and_not_the_workflow() {
    for how in How::PANICS {
        let layer = misbehave::<ValidateUpdate>(how).once();
        bench_with(inbound(layer), Log::default(), async |bench| {
            let handle = bench.start(vec![Step::Wait]).await;
            let error = tell(&handle).await.expect_err("its validation panics");
            assert!(error.contains(&how.text::<ValidateUpdate>()), "{error}");
            assert_eq!(tell(&handle).await.as_deref(), Ok(TEXT), "{how:?}");
            bench.poke(&handle, TEXT).await;
            assert_eq!(result(&handle).await.expect("it goes on"), [TEXT]);
            assert_no_task_failed(&history(&handle).await);
        })
        .await;
    }
}

#[tokio::test]
async fn a_panic_on_initialization_fails_the_task_and_the_next_goes_on() {
    for how in How::PANICS {
        let layer = misbehave::<InitializeWorkflow>(how).once();
        bench_with(inbound(layer), Log::default(), async |bench| {
            let options = WorkflowStartOptions::new(&bench.queue, &bench.queue).build();
            let start = bench
                .client
                .start_workflow(Created::run, TEXT.to_owned(), options);
            let handle = start.await.expect("the workflow can be started");
            assert_eq!(result(&handle).await.expect("it is tried again"), TEXT);
            let failed = failed_tasks(&history(&handle).await);
            let [text] = &*failed else {
                panic!("one workflow task should have failed, not {failed:?}: {how:?}")
            };
            assert!(text.contains(&how.text::<InitializeWorkflow>()), "{text}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_failed_readiness_is_the_calls_error() {
    let how = How::FailReady;
    let text = how.text::<ScheduleActivity>();
    let layer = outbound(misbehave::<ScheduleActivity>(how));
    let (said, history) = outcome(layer, vec![Step::Activity]).await;
    assert_eq!(said, format!("Activity failed: {text} [MiddlewareError]"));
    assert_eq!(count(&history, EventType::ActivityTaskScheduled), 0);

    let text = how.text::<StartTimer>();
    let layer = outbound(misbehave::<StartTimer>(how));
    let (said, _) = outcome(layer, vec![Step::Timer]).await;
    assert_eq!(said, format!("failed: {text} [MiddlewareError]"));

    let text = how.text::<ExecuteWorkflow>();
    let layer = inbound(misbehave::<ExecuteWorkflow>(how));
    let (said, _) = outcome(layer, vec![]).await;
    assert_eq!(said, format!("failed: {text} [MiddlewareError]"));
}

#[tokio::test]
async fn a_layer_that_is_never_ready_is_an_error_and_never_a_stuck_task() {
    let outbound = |layer| outbound(ServiceBuilder::new().layer(layer));
    for (layer, step) in [
        (
            misbehave::<ScheduleActivity>(How::NeverReady),
            Step::Activity,
        ),
        (
            misbehave::<ScheduleLocalActivity>(How::NeverReady),
            Step::LocalActivity,
        ),
        (
            misbehave::<StartChildWorkflow>(How::NeverReady),
            Step::Child,
        ),
        (misbehave::<StartTimer>(How::NeverReady), Step::Timer),
    ] {
        let name = format!("{layer:?}");
        let (said, _) = outcome(outbound(layer), vec![step]).await;
        assert!(
            said.contains("a middleware in the workflow's stack was not ready")
                && said.ends_with("[Internal]"),
            "{name}: {said}"
        );
    }
    let layer = misbehave::<ExecuteWorkflow>(How::NeverReady);
    let (said, _) = outcome(inbound(layer), vec![]).await;
    assert!(
        said.starts_with("failed: `execute`: a middleware in the workflow's stack was not ready"),
        "{said}"
    );
}

#[tokio::test]
async fn a_handler_whose_layer_is_not_ready_fails_alone() {
    let stack = ServiceBuilder::new()
        .layer(misbehave::<HandleQuery>(How::NeverReady).once())
        .layer(misbehave::<HandleUpdate>(How::NeverReady).once())
        .layer(misbehave::<ValidateUpdate>(How::FailReady).once());
    bench_with(inbound(stack), Log::default(), async |bench| {
        let handle = bench.start(vec![Step::Wait]).await;
        let error = ask(&handle).await.expect_err("the query's layer");
        assert!(error.contains("`handle_query`: a middleware"), "{error}");
        let error = tell(&handle).await.expect_err("the validation's layer");
        assert_eq!(error, How::FailReady.text::<ValidateUpdate>());
        let error = tell(&handle).await.expect_err("the update's layer");
        assert!(error.contains("`handle_update`: a middleware"), "{error}");
        assert_eq!(ask(&handle).await.as_deref(), Ok(TEXT));
        assert_eq!(tell(&handle).await.as_deref(), Ok(TEXT));
        bench.poke(&handle, TEXT).await;
        assert_eq!(result(&handle).await.expect("it goes on"), [TEXT]);
        assert_no_task_failed(&history(&handle).await);
    })
    .await;
}

#[tokio::test]
async fn a_layer_can_answer_itself() {
    let own = "the layer's own";
    let activity = answer::<ScheduleActivity>(move |_| Box::new(own.to_owned()));
    let timer = answer::<StartTimer>(|_| TimerResult::Fired);
    let stack = ServiceBuilder::new().layer(activity).layer(timer);
    let (said, history) = outcome(outbound(stack), vec![Step::Activity, Step::Timer]).await;
    assert_eq!(said, format!("{own} | fired"));
    assert_eq!(count(&history, EventType::ActivityTaskScheduled), 0);
    assert_eq!(count(&history, EventType::TimerStarted), 0);

    let execute = answer::<ExecuteWorkflow>(move |_| Box::new(vec![own.to_owned()]));
    let (said, history) = outcome(inbound(execute), vec![Step::Timer]).await;
    assert_eq!(said, own);
    assert_eq!(count(&history, EventType::TimerStarted), 0);
}

#[tokio::test]
async fn the_second_call_inward_fails_and_the_first_is_made() {
    let layer = outbound(twice::<CancelExternalWorkflow>());
    let (said, history) = outcome(layer, vec![Step::CancelExternal]).await;
    assert!(
        said.contains("`cancel_external_workflow`: the call reached the SDK twice")
            && said.ends_with("[Internal]"),
        "{said}"
    );
    let requested = EventType::RequestCancelExternalWorkflowExecutionInitiated;
    assert_eq!(count(&history, requested), 1);
}

#[tokio::test]
async fn a_request_that_is_kept_fails_once_its_call_has_ended() {
    let layer = outbound(keep::<ScheduleActivity>());
    let (said, history) = outcome(layer, vec![Step::Activity; 3]).await;
    let said: Vec<_> = said.split(" | ").map(str::to_owned).collect();
    assert_eq!(
        said[0],
        format!("Activity failed: {KEPT} [MiddlewareError]")
    );
    assert!(
        said[1].starts_with("Activity failed: `schedule_activity`: the request outlived its call"),
        "{said:?}"
    );
    assert_eq!(said.last().map(String::as_str), Some(TEXT));
    assert_eq!(
        count(&history, EventType::ActivityTaskScheduled),
        1,
        "only the third call should have reached the server"
    );
}

#[tokio::test]
async fn dropping_the_inner_call_half_way_drops_the_sdks_own_call() {
    let how = How::DropHalfWay;
    let inner = Witness::default();
    let stack = ServiceBuilder::new()
        .layer(misbehave::<ScheduleActivity>(how))
        .layer(inner.clone());
    let steps = vec![Step::Activity, Step::Timer];
    let (said, _) = outcome(outbound(stack), steps).await;
    let text = how.text::<ScheduleActivity>();
    assert_eq!(
        said,
        format!("Activity failed: {text} [MiddlewareError] | fired"),
        "the workflow goes on after its call failed"
    );
    assert_eq!(inner.running(), 0);

    let inner = Witness::default();
    let stack = ServiceBuilder::new()
        .layer(misbehave::<ExecuteWorkflow>(how))
        .layer(inner.clone());
    let (said, _) = outcome(inbound(stack), vec![Step::Wait]).await;
    let text = how.text::<ExecuteWorkflow>();
    assert_eq!(said, format!("failed: {text} [MiddlewareError]"));
    assert_eq!((inner.calls() > 0, inner.running()), (true, 0));
}
