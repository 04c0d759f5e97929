//! A user id travels in a header from a client through workflows to activities, and on.
//!
//! Nexus has a test of its own, in `workflow/nexus.rs`.

use crate::{
    fixtures::UserId,
    support::{client, client_with, eventually, in_history, plain_client, unique, with_worker},
};
use futures::{FutureExt, future::BoxFuture};
use prost::Message;
use std::{collections::BTreeMap, future::ready, time::Duration};
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowHandle,
    WorkflowIdConflictPolicy, WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
    WorkflowUpdateWithStartOptions, errors::WorkflowUpdateError,
};
use temporalio_common::{
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError,
        PayloadConverter, SerializationContextData,
    },
    protos::temporal::api::{
        common::v1::{Header, Payload},
        history::v1::history_event::Attributes,
    },
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    SignalWorkflowOptions, SyncWorkflowContext, WorkerOptions, WorkflowContext,
    WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use temporalio_workflow::workflows::WorkflowImplementation;
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
    workflow::{ContextScope, ContextValues},
};

fn interceptors() -> Interceptors {
    Interceptors::builder()
        .everywhere(PropagationLayer::<UserId>::new())
        .build()
}

/// The user that some code saw, or `nobody`.
type User = String;

fn user(context: &impl ContextValues) -> User {
    context
        .current::<UserId>()
        .map_or("nobody".to_owned(), |user| user.to_string())
}

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn user(_: ActivityContext) -> Result<User, ActivityError> {
        Ok(UserId::current().map_or("nobody".to_owned(), |user| user.to_string()))
    }
}

/// Says which user each call saw: its own parts, and what it calls.
#[workflow]
#[derive(Default)]
struct Journey {
    seen: BTreeMap<String, User>,
    is_over: bool,
}

#[workflow_methods]
impl Journey {
    /// With a number of runs still to come, it continues as new; the last run does the rest. Otherwise it waits for its end.
    #[run]
    async fn run(
        ctx: &mut WorkflowContext<Self>,
        runs: Option<u32>,
    ) -> WorkflowResult<BTreeMap<String, User>> {
        if let Some(more @ 1..) = runs {
            match ctx.continue_as_new(Some(more - 1), ContinueAsNewOptions::default())? {}
        }
        let see = |call: &str, user: User| {
            ctx.state_mut(|journey| journey.seen.insert(call.to_owned(), user));
        };
        see("run", user(ctx));
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        see(
            "activity",
            ctx.execute_activity(Activities::user, (), options).await?,
        );
        let options = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(10))
            .build();
        let local = ctx.execute_local_activity(Activities::user, (), options);
        see("local activity", local.await?);

        for is_external in [false, true] {
            let id = format!("{}-child", ctx.workflow_id());
            let options = ChildWorkflowOptions::workflow_id(id.clone());
            let child = ctx.start_child_workflow(Listener::run, (), options).await?;
            let options = SignalWorkflowOptions::default();
            if is_external {
                let external = ctx.external_workflow(id, None);
                external.signal(Listener::listen, (), options).await?;
                see("signal to another workflow", child.result().await?.1);
            } else {
                child.signal(Listener::listen, (), options).await?;
                let (run, signal) = child.result().await?;
                see("child workflow", run);
                see("signal to a child", signal);
            }
        }

        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        let activity = ctx.execute_activity(Activities::user, (), options);
        let eve = ctx.scope::<UserId, _>("eve".to_owned(), async {
            let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
            ctx.execute_activity(Activities::user, (), options).await
        });
        see("activity in a scope of its own", eve.await?);
        see("activity scheduled before that scope", activity.await?);

        ctx.wait_condition(|journey| journey.is_over || runs.is_some())
            .await?;
        Ok(ctx.state(|journey| journey.seen.clone()))
    }

    #[signal]
    fn note(&mut self, ctx: &mut SyncWorkflowContext<Self>, call: String) {
        self.seen.insert(call, user(ctx));
    }

    #[signal]
    fn end(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.is_over = true;
    }

    #[query]
    fn ask(&self, ctx: &WorkflowContextView) -> User {
        user(ctx)
    }

    #[query]
    fn calls(&self, _: &WorkflowContextView) -> usize {
        self.seen.len()
    }

    #[update_validator(tell)]
    fn validate_tell(
        &self,
        ctx: &WorkflowContextView,
        reject: &bool,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match reject {
            true => Err(user(ctx).into()),
            false => Ok(()),
        }
    }

    #[update]
    fn tell(&mut self, ctx: &mut SyncWorkflowContext<Self>, _reject: bool) -> User {
        user(ctx)
    }

    /// An update that calls something.
    #[update]
    async fn call(
        ctx: &mut WorkflowContext<Self>,
    ) -> Result<User, Box<dyn std::error::Error + Send + Sync>> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        Ok(ctx.execute_activity(Activities::user, (), options).await?)
    }
}

/// Says which user its `run` saw, and the signal that ends it.
#[workflow]
#[derive(Default)]
struct Listener {
    signal: Option<User>,
}

#[workflow_methods]
impl Listener {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<(User, User)> {
        let run = user(ctx);
        ctx.wait_condition(|listener| listener.signal.is_some())
            .await?;
        let signal = ctx.state(|listener| listener.signal.clone());
        Ok((run, signal.unwrap_or_default()))
    }

    #[signal]
    fn listen(&mut self, ctx: &mut SyncWorkflowContext<Self>) {
        self.signal = Some(user(ctx));
    }
}

type Handle = WorkflowHandle<Client, <Journey as WorkflowImplementation>::Run>;

/// Runs `test` with `client`, and a task queue whose worker has the stacks whichever client it is.
async fn journey<T>(client: Client, test: impl AsyncFnOnce(&Client, &str) -> T) -> T {
    let queue = unique("propagation");
    let options = WorkerOptions::new(&queue)
        .register_workflow::<Journey>()
        .unwrap()
        .register_workflow::<Listener>()
        .unwrap()
        .register_activities(Activities)
        .worker_plugin(interceptors())
        .build();
    let test = tokio::time::timeout(Duration::from_secs(60), test(&client, &queue));
    with_worker(&client, options, test)
        .await
        .expect("the test should not hang")
}

/// A client whose calls carry the user id, and whose workers have no stacks from it.
async fn carrying_client() -> Client {
    let interceptors = Interceptors::builder()
        .client(PropagationLayer::<UserId>::new())
        .build();
    client(interceptors).await
}

fn start_options(queue: &str) -> WorkflowStartOptions {
    WorkflowStartOptions::new(queue, queue).build()
}

fn update_with_start_options(queue: &str) -> WorkflowUpdateWithStartOptions {
    WorkflowUpdateWithStartOptions::new(queue, queue, WorkflowIdConflictPolicy::Fail).build()
}

/// Ends a journey, and returns which user each call saw.
async fn end(handle: &Handle) -> BTreeMap<String, User> {
    handle
        .signal(Journey::end, (), WorkflowSignalOptions::default())
        .await
        .expect("the workflow runs");
    result(handle).await
}

async fn result(handle: &Handle) -> BTreeMap<String, User> {
    handle
        .get_result(WorkflowGetResultOptions::default())
        .await
        .expect("the workflow completes")
}

/// What calls of a workflow that was started for `user` see.
fn all_see(user: &str) -> BTreeMap<String, User> {
    [
        ("run", user),
        ("activity", user),
        ("local activity", user),
        ("child workflow", user),
        ("signal to a child", user),
        ("signal to another workflow", user),
        ("activity in a scope of its own", "eve"),
        ("activity scheduled before that scope", user),
    ]
    .map(|(call, user)| (call.to_owned(), user.to_owned()))
    .into()
}

#[tokio::test]
async fn from_the_client_to_the_workflow_and_all_it_calls() {
    let seen = journey(carrying_client().await, async |client, queue| {
        let start = client.start_workflow(Journey::run, None, start_options(queue));
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        end(&handle).await
    })
    .await;
    assert_eq!(seen, all_see("alice"));
}

#[tokio::test]
async fn from_run_to_run_when_a_workflow_continues_as_new() {
    let seen = journey(carrying_client().await, async |client, queue| {
        let start = client.start_workflow(Journey::run, Some(2), start_options(queue));
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        result(&handle).await
    })
    .await;
    assert_eq!(seen, all_see("alice"));
}

/// A codec as one that encrypts: nobody else can read what it has encoded. It passes on what it has not.
struct Reverse;

impl Reverse {
    const ENCODING: &str = "binary/reversed";

    fn has_encoded(payload: &Payload) -> bool {
        payload.metadata.get("encoding").map(Vec::as_slice) == Some(Self::ENCODING.as_bytes())
    }
}

type Converted = BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>>;

impl PayloadCodec for Reverse {
    fn encode(&self, _: &SerializationContextData, payloads: Vec<Payload>) -> Converted {
        let encode = |payload: Payload| Payload {
            metadata: [("encoding".to_owned(), Self::ENCODING.into())].into(),
            data: payload.encode_to_vec().into_iter().rev().collect(),
            ..Default::default()
        };
        ready(Ok(payloads.into_iter().map(encode).collect())).boxed()
    }

    fn decode(&self, _: &SerializationContextData, payloads: Vec<Payload>) -> Converted {
        let decode = |payload: Payload| {
            if !Self::has_encoded(&payload) {
                return Ok(payload);
            }
            let data: Vec<_> = payload.data.into_iter().rev().collect();
            Payload::decode(data.as_slice())
                .map_err(|error| PayloadConversionError::EncodingError(error.into()))
        };
        ready(payloads.into_iter().map(decode).collect()).boxed()
    }
}

/// The header with the user id, as it is in the history.
async fn recorded(
    client: &Client,
    id: &str,
    what: &str,
    header: impl Fn(&Attributes) -> Option<&Header>,
) -> Payload {
    in_history(client, id, what, |event| {
        header(event)?.fields.get(UserId::HEADER).cloned()
    })
    .await
}

#[tokio::test]
async fn past_a_codec_that_encodes_what_workflows_send_and_not_what_clients_do() {
    let client = client_with(|options| {
        let interceptors = Interceptors::builder().client(PropagationLayer::<UserId>::new());
        options
            .plugin(interceptors.build())
            .data_converter(DataConverter::new(
                PayloadConverter::default(),
                DefaultFailureConverter::default(),
                Reverse,
            ))
    })
    .await;
    let (seen, started, scheduled) = journey(client, async |client, queue| {
        let start = client.start_workflow(Journey::run, None, start_options(queue));
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        let seen = end(&handle).await;
        let started = recorded(
            client,
            queue,
            "the workflow is started",
            |event| match event {
                Attributes::WorkflowExecutionStartedEventAttributes(event) => event.header.as_ref(),
                _ => None,
            },
        );
        let scheduled = recorded(
            client,
            queue,
            "an activity is scheduled",
            |event| match event {
                Attributes::ActivityTaskScheduledEventAttributes(event) => event.header.as_ref(),
                _ => None,
            },
        );
        (seen, started.await, scheduled.await)
    })
    .await;
    assert_eq!(seen, all_see("alice"));
    assert_eq!(String::from_utf8_lossy(&started.data), r#""alice""#);
    assert!(Reverse::has_encoded(&scheduled), "{scheduled:?}");
}

/// What handlers see that are called for the given users: see the body.
async fn handlers_see(
    handle: &Handle,
    [signal, query, update, validation]: [Option<&str>; 4],
    header: Option<Header>,
) -> [User; 5] {
    // An update that comes to an uncached workflow together with a local activity's result is recorded in an order in which it
    // can't be replayed, with stacks and without. That is the SDK's (temporalio/sdk-python#1591 is like it).
    eventually("the workflow has made all its calls", async || {
        let calls = handle.query(Journey::calls, (), WorkflowQueryOptions::default());
        (calls.await.expect("the query is answered") == all_see("anybody").len()).then_some(())
    })
    .await;
    let options = || {
        WorkflowExecuteUpdateOptions::builder()
            .maybe_header(header.clone())
            .build()
    };
    let sent = handle.signal(
        Journey::note,
        "signal".to_owned(),
        WorkflowSignalOptions::builder()
            .maybe_header(header.clone())
            .build(),
    );
    call_as(signal, sent).await.expect("the signal is sent");
    let asked = handle.query(
        Journey::ask,
        (),
        WorkflowQueryOptions::builder()
            .maybe_header(header.clone())
            .build(),
    );
    let query = call_as(query, asked).await.expect("the query is answered");
    let told = handle.execute_update(Journey::tell, false, options());
    let told = call_as(update, told).await.expect("the update is done");
    let called = handle.execute_update(Journey::call, (), options());
    let called = call_as(update, called).await.expect("the update is done");
    let rejected = handle.execute_update(Journey::tell, true, options());
    let validation = match call_as(validation, rejected).await {
        Err(WorkflowUpdateError::Failed(failure)) => failure.message,
        other => panic!("the validator should have rejected the update, but {other:?}"),
    };
    let seen = end(handle).await;
    [seen["signal"].clone(), query, told, called, validation]
}

async fn call_as<T>(user: Option<&str>, call: impl Future<Output = T>) -> T {
    match user {
        Some(user) => UserId::scope(user.to_owned(), call).await,
        None => call.await,
    }
}

#[tokio::test]
async fn handlers_see_who_calls_them_and_not_who_started_the_workflow() {
    let seen = journey(carrying_client().await, async |client, queue| {
        let start = client.start_workflow(Journey::run, None, start_options(queue));
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        handlers_see(&handle, ["bob", "carol", "dave", "mallory"].map(Some), None).await
    })
    .await;
    assert_eq!(
        seen,
        ["bob", "carol", "dave", "dave", "mallory"],
        "signal, query, update, an activity of an update, update validator"
    );
}

#[tokio::test]
async fn to_a_workflow_that_is_started_with_a_signal() {
    let seen = journey(carrying_client().await, async |client, queue| {
        let start = client.signal_with_start_workflow(
            Journey::run,
            None,
            Journey::note,
            "signal".to_owned(),
            start_options(queue),
        );
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        end(&handle).await
    })
    .await;
    let mut expected = all_see("alice");
    expected.insert("signal".to_owned(), "alice".to_owned());
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn to_a_workflow_that_is_started_with_an_update() {
    let (told, seen) = journey(carrying_client().await, async |client, queue| {
        let update = client.execute_update_with_start_workflow(
            Journey::run,
            None,
            Journey::tell,
            false,
            update_with_start_options(queue),
        );
        let told = UserId::scope("alice".to_owned(), update).await.unwrap();
        let handle = client.get_workflow_handle::<<Journey as WorkflowImplementation>::Run>(queue);
        (told, end(&handle).await)
    })
    .await;
    assert_eq!(told, "alice", "the update");
    assert_eq!(seen, all_see("alice"), "the workflow");
}

#[tokio::test]
async fn without_a_user_nobody_is_seen() {
    let (handlers, seen) = journey(carrying_client().await, async |client, queue| {
        let started = client.start_workflow(Journey::run, None, start_options(queue));
        let handlers = handlers_see(&started.await.unwrap(), [None; 4], None).await;
        let id = format!("{queue}-2");
        let options = WorkflowStartOptions::new(queue, id).build();
        let started = client
            .start_workflow(Journey::run, None, options)
            .await
            .unwrap();
        (handlers, end(&started).await)
    })
    .await;
    assert_eq!(handlers, ["nobody"; 5], "handlers");
    assert_eq!(seen, all_see("nobody"), "the workflow");
}

/// A header that nobody here can have written, of one of two kinds.
fn unreadable(encoding: &str) -> Header {
    let payload = Payload {
        data: b"not json".to_vec(),
        metadata: [("encoding".to_owned(), encoding.into())].into(),
        ..Payload::default()
    };
    Header {
        fields: [(UserId::HEADER.to_owned(), payload)].into(),
    }
}

#[tokio::test]
async fn a_header_that_can_t_be_read_fails_no_call_and_blocks_none() {
    for encoding in ["json/plain", "some/other"] {
        let (handlers, seen) = journey(plain_client().await, async |client, queue| {
            let header = unreadable(encoding);
            let start = |id: String| {
                let options = WorkflowStartOptions::new(queue, id)
                    .header(header.clone())
                    .build();
                client.start_workflow(Journey::run, None, options)
            };
            let started = start(queue.to_owned()).await.unwrap();
            let handlers = handlers_see(&started, [None; 4], Some(header.clone())).await;
            let started = start(format!("{queue}-2")).await.unwrap();
            (handlers, end(&started).await)
        })
        .await;
        assert_eq!(handlers, ["nobody"; 5], "handlers, with {encoding}");
        assert_eq!(seen, all_see("nobody"), "the workflow, with {encoding}");
    }
}
