//! A user id travels in a header from a client through workflows to activities, and on.

use crate::support::{client, unique, with_worker};
use std::time::Duration;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
    workflow::ContextValues,
};

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

fn interceptors() -> Interceptors {
    let propagation = PropagationLayer::<UserId>::new();
    Interceptors::builder()
        .client(propagation.clone())
        .workflow_inbound(propagation.clone())
        .workflow_outbound(propagation.clone())
        .activity_inbound(propagation)
        .build()
}

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn user(_: ActivityContext) -> Result<Option<String>, ActivityError> {
        Ok(UserId::current().map(|user| user.to_string()))
    }
}

#[workflow]
#[derive(Default)]
struct Greeting;

#[workflow_methods]
impl Greeting {
    #[run]
    async fn run(
        ctx: &mut WorkflowContext<Self>,
    ) -> WorkflowResult<(Option<String>, Option<String>)> {
        let here = ctx.current::<UserId>().map(|user| user.to_string());
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        let there = ctx.execute_activity(Activities::user, (), options).await?;
        Ok((here, there))
    }
}

#[tokio::test]
async fn from_the_client_to_the_activity() {
    let client = client(interceptors()).await;
    let queue = unique("propagation");
    let options = WorkerOptions::new(&queue)
        .register_workflow::<Greeting>()
        .unwrap()
        .register_activities(Activities)
        .build();
    let (here, there) = with_worker(&client, options, async {
        let start = client.start_workflow(
            Greeting::run,
            (),
            WorkflowStartOptions::new(&queue, &queue).build(),
        );
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .unwrap()
    })
    .await;
    assert_eq!(
        (here.as_deref(), there.as_deref()),
        (Some("alice"), Some("alice"))
    );
}
