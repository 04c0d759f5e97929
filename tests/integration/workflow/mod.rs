//! Every operation of workflows: what a layer sees of it, and what it can do to it.

mod cancellation;
pub(crate) mod everything;
mod inbound;
pub(crate) mod layers;
mod misbehaving;
mod nexus;
mod outbound;
mod registration;
pub(crate) mod subject;

use self::{
    layers::{Log, Plan, meddle, record},
    subject::{Activities, Child, Created, Step, Subject, TEXT},
};
use crate::{
    fixtures::UserId,
    support::{PATIENCE, client, patiently, unique, with_worker},
};
use futures::StreamExt;
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowExecuteUpdateOptions, WorkflowFetchHistoryOptions,
    WorkflowGetResultOptions, WorkflowHandle, WorkflowQueryOptions, WorkflowSignalOptions,
    WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowQueryError, WorkflowUpdateError},
};
use temporalio_common::HasWorkflowDefinition;
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, WorkflowTaskFailedCause},
    history::v1::{HistoryEvent, history_event::Attributes},
};
use temporalio_sdk::{WorkerOptions, WorkerOptionsBuilder};
use temporalio_workflow::workflows::WorkflowImplementation;
use tower::ServiceBuilder;
use tower_temporal::Interceptors;

/// A handle to a workflow of type `W`.
type Handle<W> = WorkflowHandle<Client, <W as WorkflowImplementation>::Run>;

/// A client and a worker with a stack in both directions, and what the stack's recording layers saw.
struct Bench {
    client: Client,
    queue: String,
    log: Log,
}

/// Stacks for both directions: a recording layer, what is planned, and another recording layer.
fn interceptors(plan: Plan, log: &Log) -> Interceptors {
    let stack = ServiceBuilder::new()
        .layer(record("outer", log))
        .layer(meddle(plan))
        .layer(record("inner", log));
    Interceptors::builder()
        .workflow_inbound(stack.clone())
        .workflow_outbound(stack)
        .build()
}

/// Options of a worker that knows all workflows and activities of these tests.
fn worker_options(queue: &str) -> WorkerOptions {
    worker_options_builder(queue).build()
}

fn worker_options_builder(queue: &str) -> WorkerOptionsBuilder {
    WorkerOptions::new(queue)
        .register_workflow::<Subject>()
        .unwrap()
        .register_workflow::<Child>()
        .unwrap()
        .register_workflow::<Created>()
        .unwrap()
        .register_workflow::<cancellation::Canceller>()
        .unwrap()
        .register_activities(Activities)
}

/// Runs `test` with a worker whose stacks do what is planned.
async fn bench<T>(plan: Plan, test: impl AsyncFnOnce(&Bench) -> T) -> T {
    let log = Log::default();
    bench_with(interceptors(plan, &log), log, test).await
}

/// Runs `test` with a worker that has `interceptors`, whose recording layers write into `log`.
async fn bench_with<T>(
    interceptors: Interceptors,
    log: Log,
    test: impl AsyncFnOnce(&Bench) -> T,
) -> T {
    let bench = Bench {
        client: client(interceptors).await,
        queue: unique("workflow"),
        log,
    };
    let options = worker_options(&bench.queue);
    with_worker(
        &bench.client,
        options,
        patiently("see the last workflow on the server", test(&bench)),
    )
    .await
}

/// Updates a [`Subject`]: the answer, or why there is none.
async fn tell(handle: &Handle<Subject>) -> Result<String, String> {
    let options = WorkflowExecuteUpdateOptions::default();
    let update = handle.execute_update(Subject::tell, TEXT.to_owned(), options);
    match update.await {
        Ok(text) => Ok(text),
        Err(WorkflowUpdateError::Failed(failure)) => Err(failure.message),
        Err(other) => panic!("not an error of the update itself: {other:?}"),
    }
}

/// Queries a [`Subject`]: the answer, or why there is none.
async fn ask(handle: &Handle<Subject>) -> Result<String, String> {
    let options = WorkflowQueryOptions::default();
    match handle.query(Subject::ask, TEXT.to_owned(), options).await {
        Ok(text) => Ok(text),
        Err(WorkflowQueryError::Rpc(status)) => Err(status.message().to_owned()),
        Err(other) => panic!("not an error of the query itself: {other:?}"),
    }
}

impl Bench {
    /// Starts a [`Subject`], whose id is the task queue's.
    async fn start(&self, steps: Vec<Step>) -> Handle<Subject> {
        let options = WorkflowStartOptions::new(&self.queue, &self.queue).build();
        self.client
            .start_workflow(Subject::run, steps, options)
            .await
            .expect("the workflow can be started")
    }

    /// Signals a [`Subject`].
    async fn poke(&self, handle: &Handle<Subject>, text: &str) {
        handle
            .signal(
                Subject::poke,
                text.to_owned(),
                WorkflowSignalOptions::default(),
            )
            .await
            .expect("the workflow can be signalled");
    }

    /// The run id of the first run of the workflow that was started here.
    async fn run_id(&self) -> String {
        self.client
            .get_workflow_handle::<UntypedWorkflow>(&self.queue)
            .describe(Default::default())
            .await
            .expect("the workflow is there")
            .raw()
            .workflow_execution_info
            .clone()
            .expect("it is described")
            .first_run_id
    }

    /// Waits until `find` finds something in the history of a workflow that is running.
    async fn wait_for<W: HasWorkflowDefinition, T>(
        &self,
        handle: &WorkflowHandle<Client, W>,
        find: impl Fn(&[HistoryEvent]) -> Option<T>,
    ) -> T {
        let mut events = handle.fetch_history(
            WorkflowFetchHistoryOptions::builder()
                .wait_new_event(true)
                .build(),
        );
        let mut seen = Vec::new();
        loop {
            match events.next().await {
                Some(event) => seen.push(event.expect("the server has the history")),
                None => panic!("the workflow ended without what is waited for: {seen:#?}"),
            }
            if let Some(found) = find(&seen) {
                return found;
            }
        }
    }
}

/// What a workflow ended with.
async fn result<W: HasWorkflowDefinition>(
    handle: &WorkflowHandle<Client, W>,
) -> Result<W::Output, WorkflowGetResultError> {
    handle.get_result(WorkflowGetResultOptions::default()).await
}

/// The history of a workflow's run so far.
async fn history<W: HasWorkflowDefinition>(
    handle: &WorkflowHandle<Client, W>,
) -> Vec<HistoryEvent> {
    handle
        .fetch_history(WorkflowFetchHistoryOptions::default())
        .into_events()
        .await
        .expect("the server has the history")
}

/// How many events of this type are in a history.
fn count(history: &[HistoryEvent], event: EventType) -> usize {
    history
        .iter()
        .filter(|found| found.event_type() == event)
        .count()
}

/// The first event's attributes that `find` finds something in.
fn attributes<T>(history: &[HistoryEvent], find: impl Fn(&Attributes) -> Option<T>) -> Option<T> {
    history
        .iter()
        .find_map(|event| find(event.attributes.as_ref()?))
}

/// No workflow task of this history failed: nothing panicked, and nothing was flagged as nondeterminism (TMPRL1100).
///
/// The server itself refuses a task's commands when something has happened meanwhile (`UnhandledCommand`), and tries again.
fn assert_no_task_failed(history: &[HistoryEvent]) {
    for event in history {
        if let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &event.attributes {
            assert_eq!(
                failed.cause(),
                WorkflowTaskFailedCause::UnhandledCommand,
                "a workflow task failed: {failed:?}"
            );
        }
    }
}

/// The type and message of the application failure that a workflow failed with.
fn application_failure(error: WorkflowGetResultError) -> (Option<String>, String) {
    match error {
        WorkflowGetResultError::Failed(error) => match *error {
            temporalio_common::error::IncomingError::Application(failure) => {
                (failure.type_name().map(str::to_owned), failure.to_string())
            }
            other => panic!("expected an application failure, got {other:?}"),
        },
        other => panic!("the workflow should have failed, but {other:?}"),
    }
}
