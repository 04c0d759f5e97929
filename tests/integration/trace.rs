//! Spans around calls, as the code inside them sees them, and what is written of them.

use crate::{
    fixtures::{self, ACTIVITY_ID, Basket, Work, until_cancelled},
    support::{client, unique, with_worker},
    workflow::subject::{Step, Subject},
    written::{self, Line},
};
use std::{collections::BTreeMap, time::Duration};
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::error::{ApplicationErrorCategory, ApplicationFailure};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower_temporal::{CallInfo, Interceptors, trace::TraceLayer};
use tracing::{Level, Span, info_span};

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn span(_: ActivityContext) -> Result<Option<String>, ActivityError> {
        Ok(current_span())
    }
}

#[workflow]
#[derive(Default)]
struct Spans;

#[workflow_methods]
impl Spans {
    #[run]
    async fn run(
        ctx: &mut WorkflowContext<Self>,
    ) -> WorkflowResult<(Option<String>, Option<String>)> {
        let here = current_span();
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok((
            here,
            ctx.execute_activity(Activities::span, (), options).await?,
        ))
    }
}

fn current_span() -> Option<String> {
    Span::current()
        .metadata()
        .map(|span| span.name().to_owned())
}

#[tokio::test]
async fn workflow_and_activity_code_run_inside_the_layer_s_span() {
    written::begin();
    let trace = TraceLayer::new().make_span_with(|_: &CallInfo<'_>| info_span!("traced"));
    let interceptors = Interceptors::builder().everywhere(trace).build();
    let client = client(interceptors).await;
    let queue = unique("trace");
    let options = WorkerOptions::new(&queue)
        .register_workflow::<Spans>()
        .unwrap()
        .register_activities(Activities)
        .build();
    let (workflow, activity) = with_worker(&client, options, async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client
            .start_workflow(Spans::run, (), options)
            .await
            .unwrap();
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .unwrap()
    })
    .await;
    assert_eq!(workflow.as_deref(), Some("traced"));
    assert_eq!(activity.as_deref(), Some("traced"));
}

/// Client and worker with the layer everywhere.
async fn traced() -> Client {
    written::begin();
    let interceptors = Interceptors::builder()
        .everywhere(TraceLayer::new())
        .build();
    client(interceptors).await
}

/// A worker whose activity fails at first as its input says.
fn worker(queue: &str) -> WorkerOptions {
    fixtures::worker(queue, async |ctx, input| {
        let failure = |category| {
            ApplicationFailure::builder(anyhow::anyhow!("the bank is closed"))
                .category(category)
                .build()
        };
        match (input.as_str(), ctx.info().attempt) {
            ("fail at first", 1) => Err(failure(ApplicationErrorCategory::Unspecified).into()),
            ("fail", _) => Err(failure(ApplicationErrorCategory::Unspecified).into()),
            ("fail benignly", _) => Err(failure(ApplicationErrorCategory::Benign).into()),
            ("wait", _) => {
                until_cancelled(&ctx).await;
                Err(ActivityError::cancelled())
            }
            _ => Ok(input),
        }
    })
}

/// What was written of the workflow `id`, but for the client's waiting for results.
fn lines(id: &str) -> Vec<Line> {
    let mut lines = written::of_workflows(|it| it == id);
    lines.retain(|line| line.span.get("operation") != Some("fetch_workflow_history_page"));
    lines
}

/// The line of that message and operation.
fn line<'a>(lines: &'a [Line], operation: &str, message: &str) -> &'a Line {
    let mut found = lines
        .iter()
        .filter(|it| it.span.get("operation") == Some(operation) && it.message() == message);
    let line = found
        .next()
        .unwrap_or_else(|| panic!("no {operation} has {message}: {lines:#?}"));
    assert!(
        found.next().is_none(),
        "one {operation} has {message}: {lines:#?}"
    );
    line
}

/// Asserts that the span of a line has these fields, and where there is none, that it has not.
fn assert_fields(line: &Line, fields: &[(&str, Option<&str>)]) {
    for (name, value) in fields {
        assert_eq!(line.span.get(name), *value, "`{name}` of {line:#?}");
    }
}

async fn start_work(client: &Client, queue: &str, input: &str) -> (String, Result<String, String>) {
    let options = WorkflowStartOptions::new(queue, queue).build();
    let start = client.start_workflow(Work::run, input.to_owned(), options);
    let handle = start.await.unwrap();
    let run_id = handle.run_id().expect("it was just started").to_owned();
    let result = handle.get_result(WorkflowGetResultOptions::default());
    (run_id, result.await.map_err(|error| error.to_string()))
}

#[tokio::test]
async fn a_span_names_workflow_run_activity_queue_and_attempt() {
    let client = traced().await;
    let queue = unique("trace-fields");
    let work = start_work(&client, &queue, "fail at first");
    let (run_id, result) = with_worker(&client, worker(&queue), work).await;
    assert_eq!(result.as_deref(), Ok("fail at first"));
    let lines = lines(&queue);

    let workflow = [
        ("workflow_type", Some("Work")),
        ("workflow_id", Some(&*queue)),
        ("resumed", None),
        ("headers", None),
    ];
    let within = [("run_id", Some(&*run_id)), ("task_queue", Some(&*queue))];
    let activity = [
        ("activity_type", Some("Activities::work")),
        ("activity_id", Some(ACTIVITY_ID)),
    ];
    let ended = |outcome| [("outcome", Some(outcome))];

    let start = line(&lines, "start_workflow", "finished");
    assert_fields(start, &workflow);
    assert_fields(start, &ended("ok"));
    assert_fields(
        start,
        &[
            ("category", Some("client_outbound")),
            ("task_queue", Some(&queue)),
        ],
    );
    let execute = line(&lines, "execute", "finished");
    assert_fields(
        execute,
        &[workflow.as_slice(), &within, &ended("ok")].concat(),
    );
    assert_fields(execute, &[("category", Some("workflow_inbound"))]);
    let schedule = line(&lines, "schedule_activity", "finished");
    assert_fields(schedule, &workflow);
    assert_fields(schedule, &activity);
    assert_fields(
        schedule,
        &[
            ("run_id", Some(&*run_id)),
            ("category", Some("workflow_outbound")),
        ],
    );

    let failed = line(&lines, "execute_activity", "failed");
    let finished = line(&lines, "execute_activity", "finished");
    for (line, attempt, outcome) in [(failed, "1", "failed"), (finished, "2", "ok")] {
        assert_fields(line, &[workflow.as_slice(), &within, &activity].concat());
        assert_fields(line, &ended(outcome));
        assert_fields(
            line,
            &[
                ("attempt", Some(attempt)),
                ("category", Some("activity_inbound")),
            ],
        );
        assert!(line.span.get("latency_ms").is_some(), "{line:?}");
    }
    assert_eq!(failed.level, Level::ERROR);
    assert_eq!(failed.fields.get("error"), Some("the bank is closed"));
    let errors = lines.iter().filter(|line| line.level == Level::ERROR);
    assert_eq!(errors.count(), 1, "{lines:#?}");
    let starts = lines.iter().filter(|line| line.message() == "started");
    assert_eq!(starts.count(), 5, "each call has its start: {lines:#?}");
}

#[tokio::test]
async fn a_span_names_the_signal_query_and_update() {
    let client = traced().await;
    let queue = unique("trace-handlers");
    with_worker(&client, worker(&queue), async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let start = client.start_workflow(Basket::run, "alice".to_owned(), options);
        let handle = start.await.unwrap();
        let add = handle.signal(
            Basket::add,
            "a".to_owned(),
            WorkflowSignalOptions::default(),
        );
        add.await.unwrap();
        let put = WorkflowExecuteUpdateOptions::default();
        let put = handle.execute_update(Basket::put, "b".to_owned(), put);
        put.await.unwrap();
        let items = WorkflowQueryOptions::default();
        let items = handle.query(Basket::items, String::new(), items);
        assert_eq!(items.await.unwrap(), ["a", "b"]);
        let close = handle.signal(Basket::close, (), WorkflowSignalOptions::default());
        close.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        result.await.unwrap();
    })
    .await;
    let lines = lines(&queue);
    let mut names = BTreeMap::<_, Vec<_>>::new();
    for line in lines.iter().filter(|line| line.message() != "started") {
        assert_ne!(line.level, Level::ERROR, "{line:#?}");
        let operation = line.span.get("operation").unwrap();
        let name = line.span.get("name").unwrap_or("-");
        names.entry(operation).or_default().push(name);
    }
    names.values_mut().for_each(|names| names.sort_unstable());
    names.remove("poll_workflow_update");
    assert_eq!(
        names,
        BTreeMap::from([
            ("execute", vec!["-"]),
            ("handle_query", vec!["items"]),
            ("handle_signal", vec!["add", "close"]),
            ("handle_update", vec!["put"]),
            ("query_workflow", vec!["items"]),
            ("signal_workflow", vec!["add", "close"]),
            ("start_workflow", vec!["-"]),
            ("start_workflow_update", vec!["put"]),
            ("validate_update", vec!["put"]),
        ])
    );
    let update = line(&lines, "handle_update", "finished")
        .span
        .get("update_id");
    assert!(update.is_some_and(|id| !id.is_empty()), "{update:?}");
}

#[tokio::test]
async fn benign_failures_cancellations_and_continue_as_new_are_no_errors() {
    let client = traced().await;
    let queue = unique("trace-benign");
    let work = start_work(&client, &queue, "fail benignly");
    let (_, result) = with_worker(&client, worker(&queue), work).await;
    result.expect_err("a benign failure is the workflow's failure all the same");
    let benign = lines(&queue);
    for operation in ["schedule_activity", "execute"] {
        let end = line(&benign, operation, "finished");
        assert_eq!(end.span.get("outcome"), Some("benign"), "{end:#?}");
    }

    let queue = unique("trace-cancelled");
    with_worker(&client, worker(&queue), async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let start = client.start_workflow(Work::run, "wait".to_owned(), options);
        let handle = start.await.unwrap();
        let running = || async {
            let lines = lines(&queue);
            let mut operations = lines.iter().map(|line| line.span.get("operation"));
            operations
                .any(|it| it == Some("execute_activity"))
                .then_some(())
        };
        crate::support::eventually("the activity", running).await;
        handle
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        result.await.unwrap_err();
    })
    .await;
    let cancelled = lines(&queue);
    for operation in ["execute_activity", "schedule_activity", "execute"] {
        let end = line(&cancelled, operation, "finished");
        assert_eq!(end.span.get("outcome"), Some("cancelled"), "{end:#?}");
    }

    let queue = unique("trace-continued");
    let options = WorkerOptions::new(&queue)
        .register_workflow::<Subject>()
        .unwrap()
        .build();
    with_worker(&client, options, async {
        let steps = vec![Step::ContinueAsNew(vec![Step::Say("hello".to_owned())])];
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let start = client.start_workflow(Subject::run, steps, options);
        let handle = start.await.unwrap();
        let result = handle.get_result(WorkflowGetResultOptions::default());
        assert_eq!(result.await.unwrap(), ["hello"]);
    })
    .await;
    let continued = lines(&queue);
    let ends = continued.iter().filter(|line| {
        line.span.get("operation") == Some("execute") && line.message() == "finished"
    });
    let outcomes: Vec<_> = ends.map(|line| line.span.get("outcome").unwrap()).collect();
    assert_eq!(outcomes, ["continued_as_new", "ok"]);

    for line in [benign, cancelled, continued].concat() {
        assert_ne!(line.level, Level::ERROR, "{line:#?}");
    }
}

/// Each workflow task begins with a replay then, but the first.
#[tokio::test]
async fn a_replay_writes_nothing_twice_and_loses_no_failure() {
    let client = traced().await;
    let queue = unique("trace-replay");
    let mut options = worker(&queue);
    options.max_cached_workflows = 0;
    let work = start_work(&client, &queue, "fail");
    let (run_id, result) = with_worker(&client, options, work).await;
    result.unwrap_err();
    let lines = lines(&queue);
    let mut counts = BTreeMap::<_, u32>::new();
    for line in &lines {
        let operation = line.span.get("operation").unwrap();
        *counts.entry((operation, line.message())).or_default() += 1;
    }
    assert_eq!(
        counts,
        BTreeMap::from([
            (("execute", "failed"), 1),
            (("execute", "started"), 1),
            (("execute_activity", "failed"), 3),
            (("execute_activity", "started"), 3),
            (("schedule_activity", "failed"), 1),
            (("schedule_activity", "started"), 1),
            (("start_workflow", "finished"), 1),
            (("start_workflow", "started"), 1),
        ])
    );
    // They began before the replay that they ended after.
    for operation in ["execute", "schedule_activity"] {
        let failed = line(&lines, operation, "failed");
        assert_eq!(failed.level, Level::ERROR);
        let error = failed.fields.get("error").unwrap();
        assert!(error.contains("the bank is closed"), "{error}");
        assert_fields(
            failed,
            &[
                ("resumed", Some("true")),
                ("workflow_type", Some("Work")),
                ("run_id", Some(&run_id)),
                ("outcome", Some("failed")),
                ("latency_ms", None),
            ],
        );
    }
}
