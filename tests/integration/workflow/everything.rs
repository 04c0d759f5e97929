//! One workflow that makes every call: seen in order, rebuilt from its history, and replayed.

use super::{
    Attributes, Bench, UserId, assert_no_task_failed, attributes, bench, count, history,
    interceptors,
    layers::{Log, Plan, Way, meddle, record},
    nexus::create_endpoint,
    patiently, result,
    subject::{Created, Step, Subject, TEXT},
    worker_options,
};
use crate::{
    replay::replay,
    support::{client, unique, with_worker},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use temporalio_client::{
    WorkflowExecuteUpdateOptions, WorkflowFetchHistoryOptions, WorkflowHistory,
    WorkflowQueryOptions, WorkflowStartOptions, WorkflowTerminateOptions,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{History, HistoryEvent},
};
use temporalio_sdk::workflow_replayer::{WorkflowReplayError, WorkflowReplayFailure};
use tokio::sync::Notify;
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_temporal::{
    ContextKey, Interceptors, Next, Request, from_fn, on,
    propagation::PropagationLayer,
    workflow::{self, ScheduleActivity, StartTimer},
};

/// Three recording layers, and between them what else a stack can have.
pub(crate) fn many_layers(log: &Log) -> Interceptors {
    let stack = ServiceBuilder::new()
        .layer(record("a", log))
        .layer(PropagationLayer::<UserId>::new())
        .layer(record("b", log))
        .layer(meddle(Plan::Watch))
        .layer(record("c", log));
    let outbound = ServiceBuilder::new()
        .layer(stack.clone())
        .layer(from_fn(
            async |mut request: Request<ScheduleActivity>, next: Next<ScheduleActivity>| {
                request.options_mut().summary = Some("from a layer".to_owned());
                next.run(request).await
            },
        ))
        .layer(on::<StartTimer, _>(MapRequestLayer::new(
            |mut request: Request<StartTimer>| {
                request.options_mut().duration += Duration::from_millis(1);
                request
            },
        )));
    Interceptors::builder()
        .client(PropagationLayer::<UserId>::new())
        .workflow_inbound(stack)
        .workflow_outbound(outbound)
        .build()
}

/// The history of the workflow that makes every call, up to where it continues as new.
pub(crate) async fn history_of_everything() -> History {
    let log = Log::default();
    let (_, _, events) = everything(many_layers(&log), log, 100).await;
    History { events }
}

/// Runs workflows that make every call. Returns what they said, what the layers saw, and the history of the first run.
///
/// One of the layers has to make a timer a millisecond longer.
pub(crate) async fn everything(
    interceptors: Interceptors,
    log: Log,
    max_cached_workflows: usize,
) -> (Vec<String>, Log, Vec<HistoryEvent>) {
    let bench = Bench {
        client: client(interceptors).await,
        queue: unique("everything"),
        log: log.clone(),
    };
    // Nobody serves it: the operation times out, which is a result like another.
    let endpoint = unique("nobody");
    create_endpoint(&endpoint, &unique("nobody")).await;
    let steps = vec![
        Step::Timer,
        Step::Activity,
        Step::LocalActivity,
        Step::Child,
        Step::SignalChild,
        Step::SignalExternal,
        Step::CancelExternal,
        Step::Nexus {
            endpoint,
            operation: "tell".to_owned(),
            timeout: Duration::from_secs(1),
        },
        Step::Wait,
        Step::ContinueAsNew(vec![Step::Say(TEXT.to_owned())]),
    ];
    let test = async {
        let options =
            WorkflowStartOptions::new(&bench.queue, format!("{}-created", bench.queue)).build();
        let created = bench
            .client
            .start_workflow(Created::run, TEXT.to_owned(), options)
            .await
            .expect("the workflow can be started");
        assert_eq!(result(&created).await.expect("it completes"), TEXT);

        let handle = UserId::scope("alice".to_owned(), bench.start(steps)).await;
        let waits = bench.wait_for(&handle, |history| {
            let operation = history
                .iter()
                .position(|event| event.event_type() == EventType::NexusOperationTimedOut)?;
            let completed = count(&history[operation..], EventType::WorkflowTaskCompleted);
            (completed > 0).then_some(())
        });
        waits.await;
        let mut said = handle
            .query(Subject::said, (), WorkflowQueryOptions::default())
            .await
            .expect("the workflow answers");
        for told in [TEXT, "again"] {
            let options = WorkflowExecuteUpdateOptions::default();
            let update = handle.execute_update(Subject::tell, told.to_owned(), options);
            said.push(update.await.expect("the workflow takes updates"));
        }
        let options = WorkflowExecuteUpdateOptions::default();
        let update = handle.execute_update(Subject::take, Step::Activity, options);
        said.push(update.await.expect("the workflow takes updates"));
        bench.poke(&handle, "enough").await;
        said.extend(result(&handle).await.expect("it completes"));

        let first_run = history(&handle).await;
        assert_no_task_failed(&first_run);
        assert_eq!(
            count(&first_run, EventType::WorkflowExecutionContinuedAsNew),
            1
        );
        let duration = attributes(&first_run, |attributes| match attributes {
            Attributes::TimerStartedEventAttributes(timer) => timer.start_to_fire_timeout,
            _ => None,
        });
        assert_eq!(
            duration.map(|duration| duration.nanos),
            Some(11_000_000),
            "`on` should have made the timer a little longer"
        );
        (said, first_run)
    };
    let mut options = worker_options(&bench.queue);
    options.max_cached_workflows = max_cached_workflows;
    let (said, history) = with_worker(
        &bench.client,
        options,
        patiently("see the last workflow on the server", test),
    )
    .await;
    (said, log, history)
}

/// What the workflows say, whatever is around them.
pub(crate) const SAID: [&str; 12] = [
    "fired",
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    "cancelled: text",
    "nexus operation completed unsuccessfully: operation timed out",
    TEXT,
    "again",
    TEXT,
    TEXT,
];

#[tokio::test]
async fn every_operation_passes_three_layers_in_order() {
    let log = Log::default();
    let (said, log, _) = everything(many_layers(&log), log, 100).await;
    assert_eq!(said, SAID);

    let seen: BTreeSet<_> = log.all().iter().map(|seen| seen.operation).collect();
    let known: BTreeSet<_> = [workflow::INBOUND_OPERATIONS, workflow::OUTBOUND_OPERATIONS]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    assert_eq!(seen, known, "every operation should be tested here");

    // Calls of one operation of one run come one after another.
    let mut ways = BTreeMap::<_, Vec<_>>::new();
    for seen in log.all() {
        ways.entry((seen.operation, seen.place))
            .or_default()
            .push((seen.layer, seen.way != Way::In));
    }
    let in_order = [
        ("a", false),
        ("b", false),
        ("c", false),
        ("c", true),
        ("b", true),
        ("a", true),
    ];
    for (call, way) in ways {
        assert_eq!(
            way,
            in_order.repeat(way.len() / in_order.len()),
            "the layers' order of {call:?}"
        );
    }
}

#[tokio::test]
async fn a_workflow_that_is_rebuilt_for_every_task_does_the_same() {
    let log = Log::default();
    let (said, ..) = everything(many_layers(&log), log, 0).await;
    assert_eq!(said, SAID);
}

/// The history of a workflow that ran with a layer which changes nothing.
async fn recorded() -> WorkflowHistory {
    let steps = vec![
        Step::Timer,
        Step::Activity,
        Step::LocalActivity,
        Step::Child,
    ];
    bench(Plan::Watch, async |bench| {
        let handle = bench.start(steps).await;
        result(&handle).await.expect("it completes");
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
        // The server is asked as the history is read: what is read here can be replayed later.
        let json = history.to_json().await.expect("the server has the history");
        WorkflowHistory::from_json(&json).expect("it was just written")
    })
    .await
}

#[tokio::test]
async fn the_replayer_replays_a_history_with_the_stack() {
    let log = Log::default();
    replay(recorded().await, interceptors(Plan::Input("execute"), &log))
        .await
        .expect_err("the layer of the replayer changes what the workflow does");
    replay(recorded().await, interceptors(Plan::Watch, &log))
        .await
        .expect("the stack does what it did when the workflow ran");
}

#[tokio::test]
async fn the_replayer_reports_a_stack_that_changes_commands() {
    for plan in [
        Plan::Deny("schedule_activity"),
        Plan::Delay("schedule_activity", Duration::from_secs(1)),
    ] {
        let replayed = replay(recorded().await, interceptors(plan, &Log::default())).await;
        assert!(
            matches!(
                replayed,
                Err(WorkflowReplayError::Replay(
                    WorkflowReplayFailure::Nondeterminism { .. }
                ))
            ),
            "{plan:?} should be reported as nondeterminism, but {replayed:?}"
        );
    }
}

/// That no test here sees such a failure means something only if there would be one.
#[tokio::test]
async fn a_layer_that_is_woken_from_elsewhere_is_flagged_as_nondeterminism() {
    let (log, elsewhere) = (Log::default(), Arc::new(Notify::new()));
    let awaited = elsewhere.clone();
    let waits = from_fn(
        move |request: Request<ScheduleActivity>, next: Next<ScheduleActivity>| {
            let awaited = awaited.clone();
            async move {
                awaited.notified().await;
                next.run(request).await
            }
        },
    );
    let outbound = ServiceBuilder::new()
        .layer(record("outer", &log))
        .layer(waits);
    let interceptors = Interceptors::builder().workflow_outbound(outbound).build();
    let bench = Bench {
        client: client(interceptors).await,
        queue: unique("woken"),
        log,
    };
    let test = async {
        let handle = bench.start(vec![Step::Activity]).await;
        bench.log.reached("outer", "schedule_activity", 1).await;
        elsewhere.notify_waiters();
        // The SDK looks when there is something to do for the workflow.
        bench.poke(&handle, TEXT).await;
        let failed = bench.wait_for(&handle, |history| {
            attributes(history, |attributes| match attributes {
                Attributes::WorkflowTaskFailedEventAttributes(failed) => failed.failure.clone(),
                _ => None,
            })
        });
        let failure = failed.await;
        assert!(failure.message.contains("TMPRL1100"), "{failure:?}");
        handle
            .terminate(WorkflowTerminateOptions::default())
            .await
            .expect("it is still running");
    };
    let options = worker_options(&bench.queue);
    with_worker(
        &bench.client,
        options,
        patiently("see the last workflow on the server", test),
    )
    .await;
}
