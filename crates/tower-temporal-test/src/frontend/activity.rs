use super::lock;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
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

/// An activity task as a server would send it: the first attempt, scheduled now, with a minute to run.
///
/// Its fields can be changed: headers, attempt, timeouts, the workflow it belongs to.
pub fn activity_task(
    activity_type: impl Into<String>,
    input: impl IntoIterator<Item = Payload>,
) -> PollActivityTaskQueueResponse {
    let now = Some(SystemTime::now().into());
    let minute = Duration::from_secs(60).try_into().ok();
    PollActivityTaskQueueResponse {
        workflow_namespace: "default".to_owned(),
        workflow_type: Some(WorkflowType {
            name: "workflow".to_owned(),
        }),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: "workflow".to_owned(),
            run_id: "run".to_owned(),
        }),
        activity_type: Some(ActivityType {
            name: activity_type.into(),
        }),
        activity_id: "activity".to_owned(),
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
    running: Mutex<HashMap<Vec<u8>, oneshot::Sender<ActivityOutcome>>>,
    tokens: AtomicU64,
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
            if let Some(task) = lock(&self.tasks).pop_front() {
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
        assert!(
            lock(&self.running).insert(token, sender).is_none(),
            "a task has a token of its own"
        );
        let queue = self.queue(task_queue);
        lock(&queue.tasks).push_back(task);
        queue.added.notify_one();
        outcome
            .await
            .expect("the frontend keeps the sender until the outcome is there")
    }

    pub(super) fn queue(&self, task_queue: &str) -> Arc<Queue> {
        let mut queues = lock(&self.queues);
        match queues.get(task_queue) {
            Some(queue) => queue.clone(),
            None => queues.entry(task_queue.to_owned()).or_default().clone(),
        }
    }

    /// Reports what became of a task. A token that is not known belongs to a task of the test's own.
    pub(super) fn finish(&self, token: &[u8], outcome: ActivityOutcome) {
        if let Some(sender) = lock(&self.running).remove(token) {
            // A test that has stopped waiting does not want to know.
            let _ = sender.send(outcome);
        }
    }
}
