//! Payouts, with a policy for everything that can go wrong: who may start, stop and approve one, what of, how often, how many
//! at a time, for how long, what is tried again, and a record of it all.
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
use temporalio_client::{
    Client, ClientOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions,
    WorkflowSignalOptions, WorkflowStartOptions, errors::WorkflowUpdateError,
};
use temporalio_common::{RetryPolicy, error::ApplicationFailure};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, Runtime, SyncWorkflowContext, Worker, WorkerOptions,
    WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    interceptors::ActivityExecutionValue,
};
use tokio::sync::mpsc;
use tower::ServiceBuilder;
use tower_temporal::{
    BoxError, CallInfo, Category, Denied, Interceptors, Next, Request,
    activity::ExecuteActivity,
    audit::{AuditLayer, AuditRecord},
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    catch_panic::CatchPanicLayer,
    dedup::{DedupLayer, Payload, Store},
    from_fn,
    key::by_value,
    limit::{
        ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer,
    },
    map_error::{Failed, MapErrorLayer},
    on,
    propagation::{ContextKey, PropagationLayer},
    timeout::TimeoutLayer,
    validate::ValidateLayer,
    workflow::{self, ScheduleActivity},
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
            "carl" | "dora" => {
                tokio::time::sleep(SECOND / 2).await;
                Ok(format!("paid {amount} to {to}"))
            }
            "erin" => pending().await,
            "ivan" => Err(anyhow::anyhow!("the bank is closed").into()),
            "frank" => Err(ActivityError::application(ApplicationFailure::new(
                Declined,
            ))),
            _ => Ok(format!("paid {amount} to {to}")),
        }
    }
}

/// Pays, and says so. What is a lot has to be approved.
#[workflow]
#[derive(Default)]
struct Payout {
    is_approved: bool,
    is_stopped: bool,
}

#[workflow_methods]
impl Payout {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, transfer: Transfer) -> WorkflowResult<String> {
        if transfer.amount >= 100 {
            ctx.wait_condition(|payout| payout.is_approved || payout.is_stopped)
                .await?;
        }
        if ctx.state(|payout| payout.is_stopped) {
            return Ok("stopped".to_owned());
        }
        let retry = RetryPolicy::builder()
            .initial_interval(SECOND / 10)
            .non_retryable_error_types(vec!["DeadlineExceeded".to_owned()])
            .build();
        let options = ActivityOptions::with_start_to_close_timeout(2 * SECOND)
            .retry_policy(retry)
            .build();
        let to = transfer.to.clone();
        let said = ctx.execute_activity(Bank::pay, transfer, options).await?;
        let id =
            |child| ChildWorkflowOptions::workflow_id(format!("{child}-{}", ctx.workflow_id()));
        let receipt = ctx.start_child_workflow(Receipt::run, said, id("receipt"));
        let said = receipt.await?.result().await?;
        if to == "grace" {
            // A bug, or somebody who was too clever.
            let bonus = ctx.start_child_workflow(Bonus::run, (), id("bonus"));
            bonus.await?;
        }
        Ok(said)
    }

    #[signal]
    fn stop(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.is_stopped = true;
    }

    #[update]
    fn approve(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.is_approved = true;
    }
}

/// Writes a receipt.
#[workflow]
#[derive(Default)]
struct Receipt;

#[workflow_methods]
impl Receipt {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>, said: String) -> WorkflowResult<String> {
        Ok(format!("{said}, with a receipt"))
    }
}

/// Pays even more.
#[workflow]
#[derive(Default)]
struct Bonus;

#[workflow_methods]
impl Bonus {
    #[run]
    async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        Ok(())
    }
}

/// Who may do what to which workflows.
const ALLOWED: [(&str, &str, &str); 7] = [
    ("alice", "start_workflow", "Payout"),
    ("alice", "execute", "Payout"),
    ("alice", "handle_signal", "Payout"),
    ("alice", "start_child_workflow", "Receipt"),
    ("alice", "execute", "Receipt"),
    ("bob", "validate_update", "Payout"),
    ("bob", "handle_update", "Payout"),
];

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
    // In the client it keeps an honest program from mistakes. In the worker it is kept whatever the client is.
    let allowed = AuthorizeLayer::by(by_value::<UserId>(), |user, call| {
        let Some(workflow_type) = call.target.workflow_type else {
            return Ok(());
        };
        let user = user.map_or("nobody", |user| user.as_str());
        match ALLOWED.contains(&(user, call.operation, workflow_type)) {
            true => Ok(()),
            false => Err(format!(
                "{user} may not {} a {workflow_type}",
                call.operation
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
        .layer(allowed)
        .layer(positive)
        // It asks the limit when a call has got here: what was refused takes none of the rate.
        .layer(TimeoutLayer::new(10 * SECOND))
        .layer(RateLimitLayer::new(100, SECOND));

    let inbound = ServiceBuilder::new()
        .layer(user_id.clone())
        .layer(audit.clone())
        .layer(allowed);
    // Of workflows, a payout starts receipts and nothing else. And it waits for the bank for so long, attempts and all.
    let outbound = ServiceBuilder::new()
        .layer(user_id.clone())
        .layer(audit.clone())
        .layer(AuthorizeLayer::new(|call: &CallInfo<'_>| {
            call.operation != "start_child_workflow" || call.target.workflow_type == Some("Receipt")
        }))
        .layer(on::<ScheduleActivity, _>(workflow::TimeoutLayer::new(
            5 * SECOND,
        )));

    let by_payee = |call: &CallInfo<'_>| call.target.workflow_id.map(payee);
    let is_wanted = |call: &CallInfo<'_>| {
        let payee = call.target.workflow_id.map(payee).unwrap_or_default();
        async move {
            // Here somebody would be asked.
            tokio::time::sleep(SECOND / 100).await;
            match payee.as_str() {
                "judy" => Err(Denied::new("judy is wanted by the police")),
                _ => Ok(()),
            }
        }
    };
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
        .layer(AsyncAuthorizeLayer::new(is_wanted))
        .layer(KeyedRateLimitLayer::new(1, 3 * SECOND, by_payee).shed())
        .layer(KeyedConcurrencyLimitLayer::new(1, by_payee))
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(from_fn(mishaps))
        .layer(DedupLayer::new(Paid(
            Cache::builder().time_to_live(3600 * SECOND).build(),
        )));

    Interceptors::builder()
        .client(client)
        .workflow_inbound(inbound)
        .workflow_outbound(outbound)
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
        .register_workflow::<Receipt>()?
        .register_workflow::<Bonus>()?
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
        pay(&client, "alice", 9, "grace", 70).await;
        pay(&client, "alice", 10, "ivan", 80).await;
        pay(&client, "alice", 11, "judy", 90).await;
        tokio::join!(
            pay(&client, "alice", 12, "carl", 25),
            pay(&client, "alice", 13, "dora", 35),
        );
        tokio::join!(pay(&client, "alice", 14, "henry", 500), async {
            await_start(&client, "payout-14-henry").await;
            stop(&client, "mallory", "payout-14-henry").await;
            approve(&client, "mallory", "payout-14-henry").await;
            approve(&client, "bob", "payout-14-henry").await;
        });
        tokio::join!(pay(&client, "alice", 15, "kate", 600), async {
            await_start(&client, "payout-15-kate").await;
            stop(&client, "alice", "payout-15-kate").await;
        });
        shut_down();
    });
    ran?;

    println!("\nThe records:");
    while let Ok(record) = records.try_recv() {
        let is_told = [
            "start_workflow",
            "execute_activity",
            "start_child_workflow",
            "handle_signal",
            "validate_update",
            "handle_update",
        ];
        if !is_told.contains(&record.operation) {
            continue;
        }
        let target = record.target.as_target();
        let who = record.who.as_deref().map_or("-", String::as_str);
        let attempt = match record.category {
            Category::ActivityInbound => format!("attempt {}", target.attempt.unwrap_or_default()),
            _ => String::new(),
        };
        println!(
            "  {who:8} {:21} {:23} {attempt:9}  {:?}",
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

/// Waits until a workflow is there.
async fn await_start(client: &Client, id: &str) {
    let handle = client.get_workflow_handle::<Payout>(id);
    while handle.describe(Default::default()).await.is_err() {
        tokio::time::sleep(SECOND / 50).await;
    }
}

async fn stop(client: &Client, user: &str, id: &str) {
    println!("  {user} stops it");
    let handle = client.get_workflow_handle::<Payout>(id);
    let stop = handle.signal(Payout::stop, (), WorkflowSignalOptions::default());
    if let Err(error) = UserId::scope(user.to_owned(), stop).await {
        println!("    {}", innermost(&error));
    }
}

async fn approve(client: &Client, user: &str, id: &str) {
    println!("  {user} approves it");
    let handle = client.get_workflow_handle::<Payout>(id);
    let options = WorkflowExecuteUpdateOptions::default();
    let approve = handle.execute_update(Payout::approve, (), options);
    match UserId::scope(user.to_owned(), approve).await {
        Ok(()) => (),
        Err(WorkflowUpdateError::Failed(failure)) => println!("    {}", failure.message),
        Err(error) => println!("    {}", innermost(&error)),
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
