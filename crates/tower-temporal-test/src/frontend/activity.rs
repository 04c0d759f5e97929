use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use temporalio_common::protos::{
    coresdk::AsJsonPayloadExt,
    temporal::api::{
        common::v1::{ActivityType, Payload, Payloads, WorkflowExecution, WorkflowType},
        failure::v1::Failure,
        workflowservice::v1::PollActivityTaskQueueResponse,
    },
};
use tokio::sync::{Notify, oneshot};

/// What a worker reported of an activity task.
#[derive(Clone, Debug, PartialEq)]
pub enum ActivityOutcome {
    /// The activity returned this.
    Completed(Option<Payloads>),
    /// The activity failed.
    Failed(Option<Box<Failure>>),
    /// The activity was cancelled, with these details.
    Cancelled(Option<Payloads>),
}

impl ActivityOutcome {
    /// The activity returned `result`.
    pub fn completed(result: impl IntoIterator<Item = Payload>) -> Self {
        Self::Completed(Some(Payloads {
            payloads: result.into_iter().collect(),
        }))
    }
}

/// An activity task as a server would send it: the first attempt, scheduled now, with a minute to run. Each has an
/// activity id and a run of its own, of the one workflow `workflow`.
///
/// Its fields can be changed: headers, attempt, timeouts, the workflow it belongs to.
pub fn activity_task(
    activity_type: impl Into<String>,
    input: impl IntoIterator<Item = Payload>,
) -> PollActivityTaskQueueResponse {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = Some(SystemTime::now().into());
    let minute = Duration::from_secs(60).try_into().ok();
    PollActivityTaskQueueResponse {
        workflow_namespace: "default".to_owned(),
        workflow_type: Some(WorkflowType {
            name: "workflow".to_owned(),
        }),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: "workflow".to_owned(),
            run_id: format!("run-{count}"),
        }),
        activity_type: Some(ActivityType {
            name: activity_type.into(),
        }),
        activity_id: format!("activity-{count}"),
        input: Some(Payloads {
            payloads: input.into_iter().collect(),
        }),
        scheduled_time: now,
        current_attempt_scheduled_time: now,
        started_time: now,
        attempt: 1,
        schedule_to_close_timeout: minute,
        start_to_close_timeout: minute,
        ..Default::default()
    }
}

/// A payload as the SDK encodes by default.
///
/// # Panics
///
/// If the value can't be JSON.
pub fn json(value: &impl serde::Serialize) -> Payload {
    value
        .as_json_payload()
        .unwrap_or_else(|error| panic!("the value can't be JSON: {error}"))
}

/// The tasks that wait for a worker, and those that a worker has.
#[derive(Default)]
pub(super) struct Activities {
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    running: Mutex<HashMap<Vec<u8>, Running>>,
    tokens: AtomicU64,
}

/// A task that a worker has or will have.
struct Running {
    execution: WorkflowExecution,
    activity_id: String,
    outcome: oneshot::Sender<ActivityOutcome>,
}

/// What a report of an activity names it by.
pub(super) enum Name {
    Token(Vec<u8>),
    Ids {
        workflow_id: String,
        run_id: String,
        activity_id: String,
    },
}

impl Running {
    /// Whether these ids mean it. One that is empty is not looked at.
    fn is_named(&self, workflow_id: &str, run_id: &str, activity_id: &str) -> bool {
        let is = |given: &str, own: &str| given.is_empty() || given == own;
        self.activity_id == activity_id
            && is(workflow_id, &self.execution.workflow_id)
            && is(run_id, &self.execution.run_id)
    }
}

/// Forgets a task that nobody waits for any more, and takes it from the queue.
struct Waiting<'a> {
    activities: &'a Activities,
    queue: Arc<Queue>,
    token: Vec<u8>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.activities.running.lock().remove(&self.token);
        self.queue
            .tasks
            .lock()
            .retain(|task| task.task_token != self.token);
    }
}

/// The tasks of one task queue.
#[derive(Default)]
pub(super) struct Queue {
    tasks: Mutex<VecDeque<PollActivityTaskQueueResponse>>,
    added: Notify,
}

impl Queue {
    /// The next task, once there is one.
    pub(super) async fn next(&self) -> PollActivityTaskQueueResponse {
        loop {
            // A notification that nobody waits for is kept for the next who does.
            if let Some(task) = self.tasks.lock().pop_front() {
                return task;
            }
            self.added.notified().await;
        }
    }
}

impl Activities {
    pub(super) async fn run(
        &self,
        task_queue: &str,
        mut task: PollActivityTaskQueueResponse,
    ) -> ActivityOutcome {
        if task.task_token.is_empty() {
            let token = self.tokens.fetch_add(1, Ordering::Relaxed);
            task.task_token = format!("task-{token}").into_bytes();
        }
        let (sender, outcome) = oneshot::channel();
        let token = task.task_token.clone();
        let running = Running {
            execution: task.workflow_execution.clone().unwrap_or_default(),
            activity_id: task.activity_id.clone(),
            outcome: sender,
        };
        match self.running.lock().entry(token.clone()) {
            Entry::Occupied(_) => panic!("a task has a token of its own"),
            Entry::Vacant(place) => place.insert(running),
        };
        let queue = self.queue(task_queue);
        let waiting = Waiting {
            activities: self,
            queue: queue.clone(),
            token,
        };
        queue.tasks.lock().push_back(task);
        queue.added.notify_one();
        let outcome = outcome
            .await
            .expect("the frontend keeps the sender until the outcome is there");
        drop(waiting);
        outcome
    }

    pub(super) fn queue(&self, task_queue: &str) -> Arc<Queue> {
        let mut queues = self.queues.lock();
        match queues.get(task_queue) {
            Some(queue) => queue.clone(),
            None => queues.entry(task_queue.to_owned()).or_default().clone(),
        }
    }

    /// Reports what became of a task. One that is not known is a task of the test's own, or was reported before.
    pub(super) fn finish(&self, name: &Name, outcome: ActivityOutcome) {
        let mut running = self.running.lock();
        let finished = match name {
            Name::Token(token) => running.remove(token),
            Name::Ids {
                workflow_id,
                run_id,
                activity_id,
            } => {
                let token = running.iter().find_map(|(token, task)| {
                    let is_it = task.is_named(workflow_id, run_id, activity_id);
                    is_it.then(|| token.clone())
                });
                token.and_then(|token| running.remove(&token))
            }
        };
        drop(running);
        if let Some(task) = finished {
            // A test that has stopped waiting does not want to know.
            let _ = task.outcome.send(outcome);
        }
    }
}
