//! Workflows and activities that the tests run.

use futures::future::BoxFuture;
use std::{future::Future, sync::Arc, time::Duration};
use temporalio_common::RetryPolicy;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCancellationType, ActivityOptions, SyncWorkflowContext, WorkerOptions, WorkflowContext,
    WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower_temporal::ContextKey;

/// The user a call is made for.
pub(crate) struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

/// A workflow with a signal, a query and an update. It runs until it is closed.
#[workflow]
pub(crate) struct Basket {
    owner: String,
    items: Vec<String>,
    is_closed: bool,
}

#[workflow_methods]
impl Basket {
    #[init]
    fn new(_: &WorkflowContextView, owner: String) -> Self {
        Self {
            owner,
            items: Vec::new(),
            is_closed: false,
        }
    }

    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        ctx.wait_condition(|basket| basket.is_closed).await?;
        Ok(ctx.state(|basket| basket.items.clone()))
    }

    #[signal]
    pub(crate) fn add(&mut self, _: &mut SyncWorkflowContext<Self>, item: String) {
        self.items.push(item);
    }

    #[signal]
    pub(crate) fn close(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.is_closed = true;
    }

    /// The items that begin with `prefix`.
    #[query]
    pub(crate) fn items(&self, _: &WorkflowContextView, prefix: String) -> Vec<String> {
        let items = self.items.iter();
        items
            .filter(|item| item.starts_with(&prefix))
            .cloned()
            .collect()
    }

    #[update_validator(put)]
    #[allow(
        clippy::ptr_arg,
        reason = "the macro wants a reference to the update's input"
    )]
    fn validate_put(
        &self,
        _: &WorkflowContextView,
        item: &String,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if item.is_empty() {
            return Err("an item has a name".into());
        }
        Ok(())
    }

    /// Puts an item in, and says whose basket it is in.
    #[update]
    pub(crate) fn put(&mut self, _: &mut SyncWorkflowContext<Self>, item: String) -> String {
        let answer = format!("{item} of {}", self.owner);
        self.items.push(item);
        answer
    }
}

type Script = dyn Fn(ActivityContext, String) -> BoxFuture<'static, Result<String, ActivityError>>
    + Send
    + Sync;

/// One activity, whose body is the test's.
pub(crate) struct Activities(Arc<Script>);

#[activities]
impl Activities {
    #[activity]
    pub(crate) async fn work(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: String,
    ) -> Result<String, ActivityError> {
        (self.0)(ctx, input).await
    }
}

/// The id of the activity that [`Work`] runs.
pub(crate) const ACTIVITY_ID: &str = "the-activity";

/// A workflow that runs the one activity with its input, at most three times, and returns what the activity does.
#[workflow]
#[derive(Default)]
pub(crate) struct Work;

#[workflow_methods]
impl Work {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        input: String,
    ) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
            .activity_id(ACTIVITY_ID.to_owned())
            .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
            .retry_policy(
                RetryPolicy::builder()
                    .initial_interval(Duration::from_millis(1))
                    .maximum_attempts(3)
                    .build(),
            )
            .build();
        Ok(ctx
            .execute_activity(Activities::work, input, options)
            .await?)
    }
}

/// Heartbeats until the activity is cancelled: the answer to a heartbeat carries the cancellation.
pub(crate) async fn until_cancelled(ctx: &ActivityContext) {
    while !ctx.is_cancelled() {
        let heartbeat = ctx.record_heartbeat("alive".to_owned());
        heartbeat.await.expect("a text can be encoded");
        tokio::select! {
            () = ctx.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// A worker of both workflows, whose activity does what `script` says.
pub(crate) fn worker<F, Fut>(queue: &str, script: F) -> WorkerOptions
where
    F: Fn(ActivityContext, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, ActivityError>> + Send + 'static,
{
    WorkerOptions::new(queue)
        // So that a cancellation, which is the answer to a heartbeat, comes soon.
        .default_heartbeat_throttle_interval(Duration::from_millis(100))
        .register_workflow::<Basket>()
        .unwrap()
        .register_workflow::<Work>()
        .unwrap()
        .register_activities(Activities(Arc::new(move |ctx, input| {
            Box::pin(script(ctx, input))
        })))
        .build()
}
