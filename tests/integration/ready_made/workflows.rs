//! Ready-made layers in the stacks of workflows.

use crate::{
    fixtures::{Activities, Basket, UserId, worker},
    support::{client, unique, with_worker},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowQueryOptions,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, WorkerOptions, WorkflowContext, WorkflowResult,
};
use tokio::sync::mpsc;
use tower::ServiceBuilder;
use tower_temporal::{
    CallInfo, ContextKey, ErrorKind, Interceptors, Outcome,
    audit::{AuditLayer, AuditRecord},
    authorize::AuthorizeLayer,
    key::by_value,
    map_error::{Failed, MapErrorLayer},
    on,
    propagation::PropagationLayer,
    validate::ValidateLayer,
    workflow::HandleSignal,
};

/// Starts a child of either kind, and says whether it could.
#[workflow]
#[derive(Default)]
struct Parent;

#[workflow_methods]
impl Parent {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        let id = ctx.workflow_id().to_owned();
        let options = |kind| ChildWorkflowOptions::workflow_id(format!("{id}-{kind}"));
        let allowed = ctx.start_child_workflow(Allowed::run, (), options("allowed"));
        let allowed = match allowed.await {
            Ok(child) => child.result().await?,
            Err(error) => error.to_string(),
        };
        let other = ctx.start_child_workflow(Other::run, (), options("other"));
        let other = match other.await {
            Ok(child) => child.result().await?,
            Err(error) => error.to_string(),
        };
        Ok(vec![allowed, other])
    }
}

#[workflow]
#[derive(Default)]
struct Allowed;

#[workflow_methods]
impl Allowed {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        Ok("ran".to_owned())
    }
}

#[workflow]
#[derive(Default)]
struct Other;

#[workflow_methods]
impl Other {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        Ok("ran".to_owned())
    }
}

#[tokio::test]
async fn a_workflow_starts_only_children_that_are_allowed_also_in_replay() {
    let layer = AuthorizeLayer::new(|call: &CallInfo<'_>| {
        call.operation != "start_child_workflow" || call.target.workflow_type == Some("Allowed")
    });
    let client = client(Interceptors::builder().workflow_outbound(layer).build()).await;
    for max_cached_workflows in [100, 0] {
        let id = unique("children");
        let mut options = WorkerOptions::new(&id)
            .register_workflow::<Parent>()
            .unwrap()
            .register_workflow::<Allowed>()
            .unwrap()
            .register_workflow::<Other>()
            .unwrap()
            .build();
        options.max_cached_workflows = max_cached_workflows;
        let said = with_worker(&client, options, async {
            let options = WorkflowStartOptions::new(&id, &id).build();
            let start = client.start_workflow(Parent::run, (), options);
            let handle = start.await.unwrap();
            let result = handle.get_result(WorkflowGetResultOptions::default());
            result.await.unwrap()
        });
        let said = said.await;
        assert_eq!(said[0], "ran");
        let reason = "`start_child_workflow` of `Other` is not allowed";
        assert!(said[1].contains(reason), "{}", said[1]);
    }
}

/// Alice may do everything, others may look.
fn policy()
-> AuthorizeLayer<impl tower_temporal::authorize::Authorize + Clone + Send + Sync + 'static> {
    AuthorizeLayer::by(by_value::<UserId>(), |user, call| {
        let user = user.map_or("nobody", |user| user.as_str());
        let is_alice = user == "alice";
        match is_alice || call.operation == "handle_query" {
            true => Ok(()),
            false => Err(format!(
                "{user} may not {} a {}",
                call.operation,
                call.target.workflow_type.unwrap_or("?")
            )),
        }
    })
}

/// A basket behind a policy, which alice and mallory put things into.
async fn policy_holds(max_cached_workflows: usize) {
    let propagation = PropagationLayer::<UserId>::new();
    let (send, mut records) = mpsc::channel::<AuditRecord<String>>(1000);
    let inbound = ServiceBuilder::new()
        .layer(propagation.clone())
        .layer(AuditLayer::new(send).who::<UserId>())
        .layer(policy())
        .layer(ValidateLayer::new(|item: &String, _| match item.len() {
            0..100 => Ok(()),
            _ => Err("the name of an item has less than 100 letters"),
        }));
    let interceptors = Interceptors::builder()
        .client(propagation)
        .workflow_inbound(inbound)
        .build();
    let client = client(interceptors).await;
    let id = unique("users");
    let mut options = worker(&id, |_, input| futures::future::ready(Ok(input)));
    options.max_cached_workflows = max_cached_workflows;
    with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Basket::run, "alice".to_owned(), options);
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        let put = |item: &str| {
            let options = WorkflowExecuteUpdateOptions::default();
            handle.execute_update(Basket::put, item.to_owned(), options)
        };
        let add = |item: &str| {
            let options = WorkflowSignalOptions::default();
            handle.signal(Basket::add, item.to_owned(), options)
        };
        let answer = UserId::scope("alice".to_owned(), put("apple")).await;
        assert_eq!(answer.unwrap(), "apple of alice");
        let denied = UserId::scope("mallory".to_owned(), put("poison")).await;
        let denied = format!("{:?}", denied.unwrap_err());
        assert!(
            denied.contains("mallory may not validate_update a Basket"),
            "{denied}"
        );
        let long = "pear".repeat(100);
        let invalid = UserId::scope("alice".to_owned(), put(&long)).await;
        let invalid = format!("{:?}", invalid.unwrap_err());
        assert!(invalid.contains("less than 100 letters"), "{invalid}");

        // Signals that are refused are dropped, and the workflow goes on.
        let poison = UserId::scope("mallory".to_owned(), add("poison")).await;
        poison.expect("nobody tells a client what becomes of a signal");
        UserId::scope("alice".to_owned(), add(&long)).await.unwrap();
        UserId::scope("alice".to_owned(), add("plum"))
            .await
            .unwrap();
        let items = handle.query(
            Basket::items,
            String::new(),
            WorkflowQueryOptions::default(),
        );
        let items = UserId::scope("mallory".to_owned(), items).await.unwrap();
        assert_eq!(items, ["apple", "plum"]);
        let close = |user: &str| {
            let options = WorkflowSignalOptions::default();
            UserId::scope(user.to_owned(), handle.signal(Basket::close, (), options))
        };
        close("mallory").await.unwrap();
        close("alice").await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), ["apple", "plum"]);
    })
    .await;

    // What is outside of the policy is told.
    let mut signals = Vec::new();
    while let Ok(record) = records.try_recv() {
        if record.operation == "handle_signal" {
            let who = record.who.as_deref().cloned().unwrap_or_default();
            signals.push((who, record.outcome));
        }
    }
    let denied = Outcome::Failed(ErrorKind::Denied);
    let expected = [
        ("mallory", denied),
        ("alice", Outcome::Failed(ErrorKind::Invalid)),
        ("alice", Outcome::Completed),
        ("mallory", denied),
        ("alice", Outcome::Completed),
    ]
    .map(|(who, outcome)| (who.to_owned(), outcome));
    assert_eq!(signals, expected);
}

#[tokio::test]
async fn users_are_told_apart_by_what_they_may_do_to_a_workflow() {
    policy_holds(100).await;
}

#[tokio::test]
async fn users_are_told_apart_in_replay_too() {
    policy_holds(0).await;
}

#[tokio::test]
async fn a_workflow_can_be_made_to_fail_by_a_signal_that_is_denied() {
    let fail = MapErrorLayer::new(|failed: &mut Failed| {
        failed.replace("a signal was denied");
    });
    let inbound = ServiceBuilder::new()
        .layer(on::<HandleSignal, _>(fail))
        .layer(AuthorizeLayer::new(|call: &CallInfo<'_>| {
            call.operation != "handle_signal"
        }));
    let client = client(Interceptors::builder().workflow_inbound(inbound).build()).await;
    let id = unique("fails");
    let options = worker(&id, |_, input| futures::future::ready(Ok(input)));
    with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Basket::run, "alice".to_owned(), options);
        let handle = start.await.unwrap();
        let close = handle.signal(Basket::close, (), WorkflowSignalOptions::default());
        close.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        let error = format!("{:?}", result.await.unwrap_err());
        assert!(error.contains("a signal was denied"), "{error}");
    })
    .await;
}

/// How often each operation was recorded, of a workflow that is signalled twice and runs an activity.
async fn recorded(max_cached_workflows: usize) -> BTreeMap<&'static str, usize> {
    let (send, mut receive) = mpsc::channel::<AuditRecord>(1000);
    let layer = AuditLayer::new(send);
    let interceptors = Interceptors::builder()
        .workflow_inbound(layer.clone())
        .workflow_outbound(layer.clone())
        .build();
    let client: Client = client(interceptors).await;
    let id = unique("audit");
    let mut options = worker(&id, |_, input| futures::future::ready(Ok(input)));
    options.max_cached_workflows = max_cached_workflows;
    with_worker(&client, options, async {
        let work = format!("{id}-work");
        let options = WorkflowStartOptions::new(&id, &work).build();
        let start = client.start_workflow(crate::fixtures::Work::run, "in".to_owned(), options);
        let handle = start.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), "in");

        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Basket::run, "alice".to_owned(), options);
        let handle = start.await.unwrap();
        for item in ["a", "b"] {
            let options = WorkflowExecuteUpdateOptions::default();
            let put = handle.execute_update(Basket::put, item.to_owned(), options);
            put.await.unwrap();
        }
        let add = handle.signal(
            Basket::add,
            "c".to_owned(),
            WorkflowSignalOptions::default(),
        );
        add.await.unwrap();
        let items = handle.query(
            Basket::items,
            String::new(),
            WorkflowQueryOptions::default(),
        );
        assert_eq!(items.await.unwrap(), ["a", "b", "c"]);
        let close = handle.signal(Basket::close, (), WorkflowSignalOptions::default());
        close.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), ["a", "b", "c"]);
    })
    .await;
    assert_eq!(layer.dropped(), 0);
    let mut counts = BTreeMap::new();
    while let Ok(record) = receive.try_recv() {
        assert_eq!(record.outcome, Outcome::Completed, "{record:?}");
        *counts.entry(record.operation).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_call_is_recorded_once_however_often_it_is_replayed() {
    let expected = BTreeMap::from([
        ("execute", 2),
        ("handle_query", 1),
        ("handle_signal", 2),
        ("handle_update", 2),
        ("schedule_activity", 1),
        ("validate_update", 2),
    ]);
    assert_eq!(recorded(100).await, expected);
    assert_eq!(recorded(0).await, expected, "with a replay for every task");
}

/// Runs an activity, and has a bug after it, once.
#[workflow]
#[derive(Default)]
struct Buggy;

static HAS_FAILED: AtomicBool = AtomicBool::new(false);

#[workflow_methods]
impl Buggy {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .activity_id("of-its-own".to_owned())
            .build();
        let output = ctx
            .execute_activity(Activities::work, "in".to_owned(), options)
            .await?;
        assert!(HAS_FAILED.swap(true, Ordering::SeqCst), "a bug");
        Ok(output)
    }
}

#[tokio::test]
async fn a_task_that_failed_is_recorded_again_and_its_records_can_be_told() {
    let (send, mut records) = mpsc::channel::<AuditRecord>(100);
    let audit = AuditLayer::new(send);
    let interceptors = Interceptors::builder()
        .workflow_inbound(audit.clone())
        .workflow_outbound(audit.clone())
        .activity_inbound(audit)
        .build();
    let client = client(interceptors).await;
    let id = unique("buggy");
    let mut options = worker(&id, |_, input| futures::future::ready(Ok(input)));
    options.register_workflow::<Buggy>().unwrap();
    let run_id = with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Buggy::run, (), options);
        let handle = start.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), "in");
        handle.run_id().unwrap().to_owned()
    })
    .await;
    let mut told = BTreeMap::new();
    while let Ok(record) = records.try_recv() {
        let (target, caller) = (record.target.as_target(), record.caller.as_target());
        if target.run_id.or(caller.run_id) == Some(&run_id) {
            let id = target.activity_id.map(str::to_owned);
            *told.entry((record.operation, id)).or_insert(0) += 1;
        }
    }
    let of_its_own = || Some("of-its-own".to_owned());
    let expected = [
        (("execute", None), 1),
        (("execute_activity", of_its_own()), 1),
        (("schedule_activity", of_its_own()), 2),
    ];
    assert_eq!(told, expected.into());
}
