//! Workflows with intercepted activities, while the way to the server breaks.
//!
//! Temporal promises that a workflow completes, and that each attempt of an activity is given to one worker at most once. An
//! attempt whose outcome is lost is followed by another. The stacks must not change that, and every attempt must have
//! the context of its caller.

use super::proxy::{Fault, Proxy};
use crate::{
    fixtures::UserId,
    support::{unique, with_worker},
};
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, RetryOptions, Url, WorkflowFetchHistoryOptions,
    WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;
use tower::{ServiceExt, service_fn, timeout::TimeoutLayer};
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
    rpc,
};
use tower_temporal_test::DevServer;

const WORKFLOWS: usize = 6;
const STEPS: u32 = 4;

/// One attempt of an activity, as the activity saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    workflow_id: String,
    activity_id: String,
    attempt: u32,
    user: String,
}

struct Steps {
    attempts: Arc<Mutex<Vec<Attempt>>>,
    began: mpsc::UnboundedSender<()>,
}

#[activities]
impl Steps {
    /// A piece of work, which says who it is for.
    #[activity]
    async fn step(self: Arc<Self>, ctx: ActivityContext, _: u32) -> Result<String, ActivityError> {
        let user = UserId::current().map_or("nobody".to_owned(), |user| user.to_string());
        let info = ctx.info();
        let workflow_id = info.workflow_id.clone().expect("a workflow scheduled it");
        self.attempts.lock().unwrap().push(Attempt {
            workflow_id,
            activity_id: info.activity_id.clone(),
            attempt: info.attempt,
            user: user.clone(),
        });
        // Nobody counts them when the test has seen enough.
        let _ = self.began.send(());
        // Heartbeats meet the faults too.
        for part in 0..4 {
            ctx.record_heartbeat(part).await?;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(user)
    }
}

/// Step after step. It says who each was for.
#[workflow]
#[derive(Default)]
struct Stairs;

#[workflow_methods]
impl Stairs {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        let mut users = Vec::new();
        for step in 0..STEPS {
            let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(3))
                .heartbeat_timeout(Duration::from_secs(3))
                .build();
            users.push(ctx.execute_activity(Steps::step, step, options).await?);
        }
        Ok(users)
    }
}

/// What the fault came to.
struct Harmed {
    proxy: Proxy,
    /// How many calls failed beneath the stack: with a lost connection, or dropped by a timeout.
    failures: usize,
    elapsed: Duration,
}

/// Counts what fails beneath the stack: a call that is dropped before its response counts too.
struct Failure(Arc<AtomicUsize>, bool);

impl Drop for Failure {
    fn drop(&mut self) {
        self.0.fetch_add(usize::from(self.1), Ordering::SeqCst);
    }
}

/// Runs workflows through a proxy, does `harm` while activities run, and says whether all is as it would be without.
async fn survive(server: &str, namespace: &str, harm: impl AsyncFnOnce(&Proxy)) -> Harmed {
    let proxy = Proxy::start(server).await;
    // Only pings tell a connection that is silent from one that is dead.
    let channel = Endpoint::from_shared(proxy.url())
        .unwrap()
        .http2_keep_alive_interval(Duration::from_millis(500))
        .keep_alive_timeout(Duration::from_secs(1))
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(1))
        .connect()
        .await
        .unwrap();
    let failures = Arc::<AtomicUsize>::default();
    let in_stack = failures.clone();
    let is_over = Arc::<AtomicBool>::default();
    let in_test = is_over.clone();
    let counted = service_fn(move |request: http::Request<rpc::Body>| {
        let channel = channel.clone();
        let (failures, is_over) = (in_stack.clone(), is_over.clone());
        async move {
            // Polls that end with the worker are no failures.
            let mut failure = Failure(failures, !is_over.load(Ordering::SeqCst));
            let result = channel.oneshot(rpc::into_tonic(request)).await;
            failure.1 = result.is_err() && !is_over.load(Ordering::SeqCst);
            result
        }
    });
    let stack = rpc::over(counted).short_calls(TimeoutLayer::new(Duration::from_secs(5)));
    // The SDK's own retries are what gets a client through; they have the test's patience.
    let retries = RetryOptions::builder()
        .max_interval(Duration::from_secs(1))
        .max_elapsed_time(Some(Duration::from_secs(60)))
        .max_retries(100)
        .build();
    let options = ConnectionOptions::new(Url::parse(&proxy.url()).unwrap())
        .retry_options(retries)
        .build();
    let propagation = PropagationLayer::<UserId>::new();
    let interceptors = Interceptors::builder()
        .client(propagation.clone())
        .workflow_inbound(propagation.clone())
        .workflow_outbound(propagation.clone())
        .activity_inbound(propagation)
        .build();
    let connection = stack.connect(options).await.unwrap();
    let client_options = ClientOptions::new(namespace).plugin(interceptors).build();
    let client = Client::new(connection, client_options).unwrap();

    let queue = unique("faults");
    let (began, mut begins) = mpsc::unbounded_channel();
    let attempts = Arc::<Mutex<Vec<Attempt>>>::default();
    let steps = Steps {
        attempts: attempts.clone(),
        began,
    };
    let worker = WorkerOptions::new(&queue)
        .register_workflow::<Stairs>()
        .unwrap()
        .register_activities(steps)
        .build();
    let expected: BTreeMap<_, _> = (0..WORKFLOWS)
        .map(|number| (format!("{queue}-{number}"), format!("user-{number}")))
        .collect();
    let run = async |id: &String, user: &String| {
        let options = WorkflowStartOptions::new(&queue, id)
            .task_timeout(Duration::from_secs(2))
            .build();
        let start = client.start_workflow(Stairs::run, (), options);
        let handle = UserId::scope(user.clone(), start).await.unwrap();
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .unwrap_or_else(|error| panic!("`{id}` is lost: {error:?}"))
    };
    let start = Instant::now();
    let results = with_worker(&client, worker, async {
        let runs = join_all(expected.iter().map(|(id, user)| run(id, user)));
        let harm = async {
            for _ in 0..WORKFLOWS {
                begins.recv().await;
            }
            harm(&proxy).await;
        };
        let both = async { tokio::join!(runs, harm).0 };
        let patience = Duration::from_secs(120);
        let results = tokio::time::timeout(patience, both).await;
        in_test.store(true, Ordering::SeqCst);
        results.expect("the workflows should have completed")
    })
    .await;
    let elapsed = start.elapsed();
    for (result, user) in results.iter().zip(expected.values()) {
        assert_eq!(result, &vec![user.clone(); STEPS as usize]);
    }

    let attempts = attempts.lock().unwrap().clone();
    let distinct: BTreeSet<_> = attempts.iter().collect();
    assert_eq!(
        distinct.len(),
        attempts.len(),
        "an attempt ran twice: {attempts:#?}"
    );
    for attempt in &attempts {
        assert_eq!(attempt.user, expected[&attempt.workflow_id], "{attempt:?}");
    }
    for id in expected.keys() {
        let handle = client.get_workflow_handle::<temporalio_client::UntypedWorkflow>(id);
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
        let history = history.into_events().await.unwrap();
        let completed = history.iter().filter(|event| {
            matches!(
                event.attributes,
                Some(Attributes::ActivityTaskCompletedEventAttributes(_))
            )
        });
        assert_eq!(completed.count(), STEPS as usize, "of `{id}`");
    }
    Harmed {
        proxy,
        failures: failures.load(Ordering::SeqCst),
        elapsed,
    }
}

/// The same, with the shared server.
async fn survive_on_the_way(harm: impl AsyncFnOnce(&Proxy)) -> Harmed {
    let server = DevServer::shared().await;
    survive(server.address(), server.namespace(), harm).await
}

/// As long as it takes a client to find out, this happens to every connection.
async fn until_the_next_connection(proxy: &Proxy, fault: Fault) {
    proxy.set(fault);
    proxy.next_connection().await;
    proxy.set(Fault::None);
    proxy.reset();
}

#[tokio::test]
async fn latency() {
    let latency = Duration::from_millis(100);
    let harmed = survive_on_the_way(async |proxy| proxy.set(Fault::Latency(latency))).await;
    assert!(harmed.proxy.delayed() > 0);
    // Of each further step, at least its start and its end cross the proxy, one after the other.
    let least = 2 * latency * (STEPS - 1);
    assert!(harmed.elapsed >= least, "{:?} < {least:?}", harmed.elapsed);
}

#[tokio::test]
async fn connections_that_are_reset() {
    let harmed = survive_on_the_way(async |proxy| {
        for _ in 0..3 {
            proxy.reset();
            proxy.next_connection().await;
        }
    })
    .await;
    assert!(harmed.proxy.broken() >= 3, "{}", harmed.proxy.broken());
    assert!(harmed.failures > 0);
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_message() {
    let harmed = survive_on_the_way(async |proxy| {
        proxy.set(Fault::Cut);
        proxy.next_connection().await;
        proxy.set(Fault::None);
    })
    .await;
    assert!(harmed.proxy.broken() > 0 && harmed.proxy.swallowed() > 0);
    assert!(harmed.failures > 0);
}

#[tokio::test]
async fn a_connection_that_is_closed_in_good_order() {
    let harmed = survive_on_the_way(async |proxy| {
        proxy.set(Fault::Closed);
        proxy.next_connection().await;
        proxy.set(Fault::None);
    })
    .await;
    assert!(harmed.proxy.broken() > 0 && harmed.proxy.swallowed() > 0);
    assert!(harmed.failures > 0);
}

#[tokio::test]
async fn a_black_hole() {
    let harmed = survive_on_the_way(async |proxy| {
        until_the_next_connection(proxy, Fault::BlackHole).await;
    })
    .await;
    assert!(harmed.proxy.swallowed() > 0);
    assert!(harmed.failures > 0);
}

#[tokio::test]
async fn a_connection_that_is_half_open() {
    let harmed = survive_on_the_way(async |proxy| {
        until_the_next_connection(proxy, Fault::HalfOpen).await;
    })
    .await;
    assert!(harmed.proxy.swallowed() > 0);
    assert!(harmed.failures > 0);
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_with_its_database() {
    if std::env::var_os("TEMPORAL_ADDRESS").is_some() {
        // The server is not this test's to kill.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = DevServer::builder().database_file(directory.path().join("temporal.db"));
    let mut server = server.start().await.unwrap();
    let address = server.address().to_owned();
    let namespace = server.namespace().to_owned();
    let harmed = survive(&address, &namespace, async |proxy| {
        server.kill().unwrap();
        // The client has found out, and finds nobody.
        proxy.next_connection().await;
        server.restart().await.unwrap();
    })
    .await;
    assert!(harmed.failures > 0);
    server.stop().await;
}
