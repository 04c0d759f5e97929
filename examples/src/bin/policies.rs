//! Payouts, with a policy for everything that can go wrong: who may start one, what of, how often, for how long, what is
//! tried again, and a record of it all.
//!
//! `cargo run --bin policies`

use moka::future::Cache;
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::pending,
    time::{Duration, Instant},
};
use temporalio_client::{Client, ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::{RetryPolicy, error::ApplicationFailure};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    interceptors::ActivityExecutionValue,
};
use tokio::sync::mpsc;
use tower::ServiceBuilder;
use tower_temporal::{
    BoxError, CallInfo, Category, Interceptors, Next, Request,
    activity::ExecuteActivity,
    audit::{AuditLayer, AuditRecord},
    authorize::AuthorizeLayer,
    catch_panic::CatchPanicLayer,
    dedup::{DedupLayer, Payload, Store},
    from_fn,
    limit::{KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer},
    map_error::{Failed, MapErrorLayer},
    propagation::{ContextKey, PropagationLayer},
    timeout::TimeoutLayer,
    validate::ValidateLayer,
};
use tower_temporal_test::DevServer;

const SECOND: Duration = Duration::from_secs(1);

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer {
    to: String,
    amount: i64,
}

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bank has declined it")
    }
}

impl Error for Declined {}

struct Bank;

#[activities]
impl Bank {
    #[activity]
    async fn pay(_: ActivityContext, transfer: Transfer) -> Result<String, ActivityError> {
        let Transfer { to, amount } = transfer;
        println!("    the bank is asked to pay {amount} to {to}");
        match to.as_str() {
            "erin" => pending().await,
            "frank" => Err(ActivityError::application(ApplicationFailure::new(
                Declined,
            ))),
            _ => Ok(format!("paid {amount} to {to}")),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Payout;

#[workflow_methods]
impl Payout {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, transfer: Transfer) -> WorkflowResult<String> {
        let retry = RetryPolicy::builder()
            .initial_interval(SECOND / 10)
            .maximum_attempts(3)
            .non_retryable_error_types(vec!["DeadlineExceeded".to_owned()])
            .build();
        let options = ActivityOptions::with_start_to_close_timeout(2 * SECOND)
            .retry_policy(retry)
            .build();
        Ok(ctx.execute_activity(Bank::pay, transfer, options).await?)
    }
}

/// What has been paid, for an hour.
#[derive(Clone)]
struct Paid(Cache<String, Payload>);

impl Store for Paid {
    type Error = Infallible;

    async fn get(&self, key: &str) -> Result<Option<Payload>, Infallible> {
        Ok(self.0.get(key).await)
    }

    async fn put(&self, key: &str, output: Payload) -> Result<(), Infallible> {
        self.0.insert(key.to_owned(), output).await;
        Ok(())
    }
}

fn interceptors(records: mpsc::Sender<AuditRecord<String>>) -> Interceptors {
    let user_id = PropagationLayer::<UserId>::new();
    let audit = AuditLayer::new(records).who::<UserId>();
    let only_alice = AuthorizeLayer::by_value::<UserId, _, _>(|user, call: &CallInfo<'_>| {
        let user = user.map_or("nobody", String::as_str);
        match (call.target.workflow_type, user) {
            (Some("Payout"), "alice") | (None, _) => Ok(()),
            _ => Err(format!(
                "{user} may not {} a {}",
                call.operation, call.target
            )),
        }
    });
    let positive = ValidateLayer::new(|transfer: &Transfer, _| match transfer.amount {
        1.. => Ok(()),
        amount => Err(format!("{amount} can't be paid")),
    });

    let client = ServiceBuilder::new()
        .layer(user_id.clone())
        .layer(audit.clone())
        .layer(TimeoutLayer::new(10 * SECOND))
        .layer(RateLimitLayer::new(100, SECOND))
        .layer(only_alice.clone())
        .layer(positive);

    // Whatever the client is, only alice's workflows run.
    let workflow = ServiceBuilder::new()
        .layer(user_id.clone())
        .layer(only_alice);

    let by_payee = |call: &CallInfo<'_>| call.target.workflow_id.map(payee);
    let activity = ServiceBuilder::new()
        .layer(user_id.clone())
        .layer(audit)
        .layer(MapErrorLayer::new(|failed: &mut Failed| {
            if failed.find::<Declined>().is_some() {
                failed.type_name("Declined").non_retryable();
            }
        }))
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::deadline())
        .layer(KeyedRateLimitLayer::new(1, 3 * SECOND, by_payee).shed())
        .layer(KeyedConcurrencyLimitLayer::new(1, by_payee))
        .layer(from_fn(mishaps))
        .layer(DedupLayer::new(Paid(
            Cache::builder().time_to_live(3600 * SECOND).build(),
        )));

    Interceptors::builder()
        .client(client)
        .workflow_inbound(workflow)
        .workflow_outbound(user_id)
        .activity_inbound(activity)
        .build()
}

/// The payee in a workflow's id: `payout-3-dave`.
fn payee(workflow_id: &str) -> String {
    workflow_id
        .rsplit('-')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// What happens now and then: a bug in a layer, and a worker that goes away before it has reported.
async fn mishaps(
    request: Request<ExecuteActivity>,
    next: Next<ExecuteActivity>,
) -> Result<Box<dyn ActivityExecutionValue>, BoxError> {
    let target = request.target();
    let payee = target.workflow_id.map(payee).unwrap_or_default();
    let is_first = target.attempt == Some(1);
    assert!(!is_first || payee != "carol", "a bug");
    let output = next.run(request).await?;
    if is_first && payee == "dave" {
        return Err("the report was lost".into());
    }
    Ok(output)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = DevServer::start().await?;
    let (send, mut records) = mpsc::channel(1000);
    let options = ClientOptions::new(server.namespace())
        .plugin(interceptors(send))
        .build();
    let client = Client::new(server.connect().await?, options)?;

    let runtime = Runtime::from_current_tokio(Default::default())?;
    let options = WorkerOptions::new("payouts")
        .register_workflow::<Payout>()?
        .register_activities(Bank)
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options)?;
    let shut_down = worker.shutdown_handle();

    let (ran, ()) = tokio::join!(worker.run(), async {
        pay(&client, "mallory", 1, "mallory", 1000).await;
        pay(&client, "alice", 2, "bob", -5).await;
        pay(&client, "alice", 3, "bob", 10).await;
        pay(&client, "alice", 4, "bob", 20).await;
        pay(&client, "alice", 5, "carol", 30).await;
        pay(&client, "alice", 6, "dave", 40).await;
        pay(&client, "alice", 7, "erin", 50).await;
        pay(&client, "alice", 8, "frank", 60).await;
        shut_down();
    });
    ran?;

    println!("\nThe records:");
    while let Ok(record) = records.try_recv() {
        if !matches!(record.operation, "start_workflow" | "execute_activity") {
            continue;
        }
        let target = record.target.as_target();
        let who = record.who.as_deref().map_or("-", String::as_str);
        let attempt = match record.category {
            Category::ActivityInbound => format!("attempt {}", target.attempt.unwrap_or_default()),
            _ => String::new(),
        };
        println!(
            "  {who:8} {:17} {:16} {attempt:9}  {:?}",
            record.operation,
            target.workflow_id.unwrap_or_default(),
            record.outcome,
        );
    }
    Ok(())
}

/// Pays, and says what has come of it.
async fn pay(client: &Client, user: &str, number: u32, to: &str, amount: i64) {
    println!("{user} pays {amount} to {to}");
    let start = Instant::now();
    let transfer = Transfer {
        to: to.to_owned(),
        amount,
    };
    let result = UserId::scope(user.to_owned(), payout(client, number, transfer)).await;
    let took = start.elapsed().as_secs_f64();
    match result {
        Ok(said) => println!("  {said}, in {took:.1}s"),
        Err(error) => println!("  {error}, in {took:.1}s"),
    }
}

/// Runs a payout. Its error is the innermost that there is, which says most.
async fn payout(client: &Client, number: u32, transfer: Transfer) -> Result<String, String> {
    let id = format!("payout-{number}-{}", transfer.to);
    let options = WorkflowStartOptions::new("payouts", id).build();
    let start = client.start_workflow(Payout::run, transfer, options);
    let handle = start.await.map_err(|error| innermost(&error))?;
    let result = handle.get_result(WorkflowGetResultOptions::default());
    result.await.map_err(|error| innermost(&error))
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
