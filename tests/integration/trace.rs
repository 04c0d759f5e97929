//! Spans around calls, as the code inside them sees them.

use crate::support::{client, unique, with_worker};
use std::time::Duration;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower_temporal::{CallInfo, Interceptors, trace::TraceLayer};
use tracing::{Span, info_span};

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
    // The whole binary's: no other test looks at spans.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::sink)
        .try_init();
    let trace = TraceLayer::new().make_span_with(|_: &CallInfo<'_>| info_span!("traced"));
    let interceptors = Interceptors::builder()
        .client(trace)
        .workflow_inbound(trace)
        .workflow_outbound(trace)
        .activity_inbound(trace)
        .activity_outbound(trace)
        .build();
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
