//! Calls that activities make themselves: `heartbeat` and `info`.

use crate::support::{client, client_with, unique, with_worker};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::RetryPolicy;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, LocalActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tokio::sync::Barrier;
use tower::ServiceBuilder;
use tower_temporal::{
    BoxError, Denied, Interceptors, Next, Request,
    activity::{self, ActivityContextExt, Heartbeat, Info, OutboundError},
    from_fn,
};

/// What an activity is to do.
type Task = String;

#[derive(Default)]
struct Activities {
    barrier: Option<Barrier>,
    seen: Arc<Mutex<Vec<String>>>,
}

#[activities]
impl Activities {
    /// Heartbeats, fails, and in its second attempt says what the heartbeat has left.
    #[activity]
    async fn heartbeat_and_retry(
        ctx: ActivityContext,
        task: Task,
    ) -> Result<Option<String>, ActivityError> {
        if ctx.info().attempt > 1 {
            return Ok(ctx.heartbeat_details().deserialize()?);
        }
        let outbound = ctx.outbound();
        match task.as_str() {
            "context" => outbound.heartbeat("details".to_owned()).await?,
            "free function" => activity::heartbeat("details".to_owned()).await?,
            "spawned task" => {
                let ctx = ctx.clone();
                tokio::spawn(async move { ctx.outbound().heartbeat("details".to_owned()).await })
                    .await??;
            }
            other => panic!("no such task: {other}"),
        }
        Err(anyhow::anyhow!("once more").into())
    }

    /// Says what heartbeating has come to.
    #[activity]
    async fn heartbeat_result(ctx: ActivityContext, _: Task) -> Result<String, ActivityError> {
        Ok(match ctx.outbound().heartbeat("details".to_owned()).await {
            Ok(()) => "recorded".to_owned(),
            Err(error) => error.to_string(),
        })
    }

    /// Says what the info says of the activity's type, by both ways.
    #[activity]
    async fn read_info(ctx: ActivityContext, _: Task) -> Result<(String, String), ActivityError> {
        Ok((
            ctx.outbound().info()?.activity_type,
            activity::info()?.activity_type,
        ))
    }

    /// Waits for another of its kind to run as well, and then uses its own context.
    #[activity]
    async fn at_once(
        self: Arc<Self>,
        ctx: ActivityContext,
        task: Task,
    ) -> Result<(), ActivityError> {
        self.barrier
            .as_ref()
            .expect("the test has given one")
            .wait()
            .await;
        ctx.outbound().heartbeat(task.clone()).await?;
        let from_task = activity::info()?.activity_id;
        let spawned = ctx.clone();
        let from_spawned = tokio::spawn(async move { spawned.outbound().info() })
            .await??
            .activity_id;
        self.seen
            .lock()
            .unwrap()
            .push(format!("{task} {from_task} {from_spawned}"));
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct RunActivity;

#[workflow_methods]
impl RunActivity {
    #[run]
    async fn run(
        ctx: &mut WorkflowContext<Self>,
        (activity, task): (String, Task),
    ) -> WorkflowResult<String> {
        let retry = RetryPolicy::builder()
            .initial_interval(Duration::from_millis(10))
            .build();
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(20))
            .heartbeat_timeout(Duration::from_secs(10))
            .activity_id(task.clone())
            .retry_policy(retry)
            .build();
        Ok(match activity.as_str() {
            "heartbeat_and_retry" => {
                let left = ctx
                    .execute_activity(Activities::heartbeat_and_retry, task, options)
                    .await?;
                left.unwrap_or_else(|| "nothing".to_owned())
            }
            "heartbeat_result" => {
                ctx.execute_activity(Activities::heartbeat_result, task, options)
                    .await?
            }
            "local heartbeat_result" => {
                let options = LocalActivityOptions::builder()
                    .start_to_close_timeout(Duration::from_secs(10))
                    .build();
                ctx.execute_local_activity(Activities::heartbeat_result, task, options)
                    .await?
            }
            "read_info" => {
                let (a, b) = ctx
                    .execute_activity(Activities::read_info, task, options)
                    .await?;
                format!("{a} {b}")
            }
            "at_once" => {
                ctx.execute_activity(Activities::at_once, task, options)
                    .await?;
                "done".to_owned()
            }
            other => panic!("no such activity: {other}"),
        })
    }
}

async fn start(client: &Client, queue: &str, activity: &str, task: &str) -> String {
    let options = WorkflowStartOptions::new(queue, unique(queue)).build();
    let input = (activity.to_owned(), task.to_owned());
    let handle = client
        .start_workflow(RunActivity::run, input, options)
        .await
        .unwrap();
    handle
        .get_result(WorkflowGetResultOptions::default())
        .await
        .unwrap()
}

/// Runs one activity, of a worker with `interceptors`.
async fn run(interceptors: Interceptors, activity: &str, task: &str) -> String {
    let client = client(interceptors).await;
    let queue = unique("activity-outbound");
    let options = worker_options(&queue, Activities::default());
    with_worker(&client, options, start(&client, &queue, activity, task)).await
}

fn worker_options(queue: &str, activities: Activities) -> WorkerOptions {
    WorkerOptions::new(queue)
        .register_workflow::<RunActivity>()
        .unwrap()
        .register_activities(activities)
        .build()
}

/// Adds to the details of each heartbeat.
fn mark() -> Interceptors {
    marked(", seen")
}

/// Adds this to the details of each heartbeat, and to the activity's type in what is known of it.
fn marked(mark: &'static str) -> Interceptors {
    let heartbeat = from_fn(
        async move |mut request: Request<Heartbeat>, next: Next<Heartbeat>| {
            request
                .details_mut::<String>()
                .expect("the activity's details are text")
                .push_str(mark);
            next.run(request).await
        },
    );
    let info = from_fn(async move |request: Request<Info>, next: Next<Info>| {
        let mut info = next.run(request).await?;
        info.activity_type.push_str(mark);
        Ok::<_, BoxError>(info)
    });
    Interceptors::builder()
        .activity_outbound(heartbeat)
        .activity_outbound(info)
        .build()
}

/// As for calls that workflows make, the last registered is the outermost.
#[tokio::test]
async fn stacks_of_several_interceptors_chain() {
    let client = client_with(|options| options.plugin(marked(" first")).plugin(marked(" second")));
    let client = client.await;
    let queue = unique("activity-outbound");
    let options = worker_options(&queue, Activities::default());
    with_worker(&client, options, async {
        let left = start(&client, &queue, "heartbeat_and_retry", "spawned task").await;
        assert_eq!(left, "details second first");
        let infos = start(&client, &queue, "read_info", "read").await;
        let info = "Activities::read_info first second";
        assert_eq!(infos, format!("{info} {info}"));
    })
    .await;
}

#[tokio::test]
async fn a_change_to_a_heartbeat_arrives_at_the_next_attempt() {
    for task in ["context", "free function", "spawned task"] {
        assert_eq!(
            run(mark(), "heartbeat_and_retry", task).await,
            "details, seen",
            "from a {task}"
        );
    }
}

#[tokio::test]
async fn the_details_can_be_replaced_by_another_type() {
    let replace = from_fn(
        async |mut request: Request<Heartbeat>, next: Next<Heartbeat>| {
            request.replace_details(Some("another".to_owned()));
            next.run(request).await
        },
    );
    let interceptors = Interceptors::builder().activity_outbound(replace).build();
    assert_eq!(
        run(interceptors, "heartbeat_and_retry", "context").await,
        "another"
    );
}

#[tokio::test]
async fn a_layer_can_drop_a_heartbeat() {
    let drop = from_fn(async |_: Request<Heartbeat>, _: Next<Heartbeat>| Ok::<_, BoxError>(()));
    let interceptors = Interceptors::builder().activity_outbound(drop).build();
    assert_eq!(
        run(interceptors, "heartbeat_and_retry", "context").await,
        "nothing"
    );
}

#[tokio::test]
async fn a_layer_can_fail_a_heartbeat() {
    let fail = from_fn(async |_: Request<Heartbeat>, _: Next<Heartbeat>| {
        Err::<(), _>(Denied::new("quiet"))
    });
    let interceptors = Interceptors::builder().activity_outbound(fail).build();
    let result = run(interceptors, "heartbeat_result", "context").await;
    assert_eq!(
        result,
        "a middleware of the activity's outbound stack failed: denied: quiet"
    );
}

#[tokio::test]
async fn a_layer_can_change_the_info() {
    let rename = from_fn(async |request: Request<Info>, next: Next<Info>| {
        assert_eq!(
            request.target().activity_type,
            Some("Activities::read_info")
        );
        let mut info = next.run(request).await?;
        info.activity_type = "Renamed".to_owned();
        Ok::<_, BoxError>(info)
    });
    let interceptors = Interceptors::builder().activity_outbound(rename).build();
    assert_eq!(
        run(interceptors, "read_info", "context").await,
        "Renamed Renamed"
    );
}

#[tokio::test]
async fn without_a_stack_the_sdk_s_own_calls_are_made() {
    let interceptors = Interceptors::builder()
        .activity_inbound(ServiceBuilder::new())
        .build();
    assert_eq!(
        run(interceptors, "heartbeat_and_retry", "context").await,
        "details"
    );
}

#[tokio::test]
async fn a_local_activity_s_heartbeat_goes_through_the_stack_and_then_nowhere() {
    let count = Arc::new(AtomicU32::new(0));
    let in_layer = count.clone();
    let count_heartbeats = from_fn(move |request: Request<Heartbeat>, next: Next<Heartbeat>| {
        in_layer.fetch_add(1, Ordering::SeqCst);
        next.run(request)
    });
    let interceptors = Interceptors::builder()
        .activity_outbound(count_heartbeats)
        .build();
    assert_eq!(
        run(interceptors, "local heartbeat_result", "context").await,
        "recorded"
    );
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn two_activities_at_once_each_have_their_own() {
    let client = client(mark()).await;
    let queue = unique("activity-outbound");
    let seen = Arc::default();
    let activities = Activities {
        barrier: Some(Barrier::new(2)),
        seen: Arc::clone(&seen),
    };
    let options = worker_options(&queue, activities);
    with_worker(&client, options, async {
        tokio::join!(
            start(&client, &queue, "at_once", "a"),
            start(&client, &queue, "at_once", "b")
        )
    })
    .await;
    let mut seen: Vec<String> = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["a a a", "b b b"]);
}

#[tokio::test]
async fn outside_an_activity_the_free_functions_say_so() {
    let heartbeat = activity::heartbeat("details".to_owned()).await;
    assert!(
        matches!(heartbeat, Err(OutboundError::NoActivity)),
        "{heartbeat:?}"
    );
    let info = activity::info();
    assert!(matches!(info, Err(OutboundError::NoActivity)), "{info:?}");
    assert!(info.unwrap_err().to_string().contains("activity_outbound"));
}
