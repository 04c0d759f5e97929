//! The smallest program that shows it all: ten lines of set-up, and a user id reaches an activity.
//!
//! `cargo run --bin user_id`

use std::time::Duration;
use temporalio_client::{Client, ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower::ServiceBuilder;
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
    timeout::TimeoutLayer,
};
use tower_temporal_test::DevServer;

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn greet(_: ActivityContext) -> Result<String, ActivityError> {
        Ok(match UserId::current() {
            Some(user) => format!("Hello, {user}!"),
            None => "Who are you?".to_owned(),
        })
    }
}

#[workflow]
#[derive(Default)]
struct Greeting;

#[workflow_methods]
impl Greeting {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Activities::greet, (), options).await?)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = DevServer::start().await?;

    // The set-up: the user id everywhere, a deadline for the client's calls, a limit for the activities.
    let interceptors = Interceptors::builder()
        .everywhere(PropagationLayer::<UserId>::new())
        .client(TimeoutLayer::new(Duration::from_secs(30)))
        .activity_inbound(ServiceBuilder::new().concurrency_limit(64))
        .build();
    let options = ClientOptions::new(server.namespace())
        .plugin(interceptors)
        .build();
    let client = Client::new(server.connect().await?, options)?;

    let runtime = Runtime::from_current_tokio(Default::default())?;
    let options = WorkerOptions::new("greetings")
        .register_workflow::<Greeting>()?
        .register_activities(Activities)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let shut_down = worker.shutdown_handle();

    let (ran, greeting) = tokio::join!(worker.run(), async {
        let options = WorkflowStartOptions::new("greetings", "greeting").build();
        let start = client.start_workflow(Greeting::run, (), options);
        let greeting = UserId::scope("alice".to_owned(), start).await?;
        let greeting = greeting
            .get_result(WorkflowGetResultOptions::default())
            .await;
        shut_down();
        anyhow::Ok(greeting?)
    });
    ran?;
    println!("{}", greeting?);
    Ok(())
}
