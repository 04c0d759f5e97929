//! Every operation of a client, in a real client's stack.
//!
//! Each operation is a [`Case`] about a [`Subject`]: it performs the call, and looks at the server for what came of it.
//! [`cases!`] puts every case through the same checks, and holds the list of cases against
//! [`OPERATIONS`](tower_temporal::client::OPERATIONS).

mod async_activities;
mod headers;
mod schedules;
mod updates;
mod workflows;

use crate::{
    fixtures::{self, Basket},
    layers::{Deny, Record, Seen},
    support::{client_of, eventually, plain_client, unique, with_worker},
};
use std::{
    any::TypeId,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use temporalio_client::{
    Client, WorkflowStartOptions,
    errors::{
        AsyncActivityError, ClientError, WorkflowInteractionError, WorkflowQueryError,
        WorkflowStartError, WorkflowUpdateError, WorkflowUpdateWithStartError,
    },
    schedules::ScheduleError,
};
use temporalio_sdk::activities::ActivityError;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tower::ServiceBuilder;
use tower_temporal::{
    Category, Denied, Next, Operation, Request, Target,
    client::{OPERATIONS, StartWorkflow},
    from_fn,
};

/// What a call is about: how it is set up, and what the server shows of it.
trait Subject: Sized {
    /// Makes what there is before the call.
    async fn arrange(given: Given) -> Self;

    /// What most calls about it are aimed at.
    fn target(&self) -> Target<'_>;

    /// What the server shows of the calls that arrived. There is nothing to show of calls that only read.
    async fn trace(&self) -> String {
        String::new()
    }
}

/// One operation: how it is called, and how to tell what came of it.
///
/// What is not the call itself is done with a client that has no interceptors.
trait Case: Sized + 'static {
    type Operation: Operation<Input: Send, Output: Send, Error: Rpc, Context = ()>;
    /// What the call is about.
    type Subject: Subject;
    /// What the caller gets.
    type Answer;

    /// Whether the call needs a worker.
    const NEEDS_WORKER: bool = false;
    /// Whether the call changes something on the server, as opposed to reading.
    const CHANGES: bool = true;
    /// Whether the call takes headers along. [`headers`] is about those that do.
    const CARRIES_HEADERS: bool = false;

    /// Does what this call needs of its subject, and others do not.
    async fn prepare(_: &Self::Subject) {}

    /// What the call is aimed at.
    fn target(subject: &Self::Subject) -> Target<'_> {
        subject.target()
    }

    /// Performs the call: this operation once, and no other.
    async fn call(subject: &Self::Subject, client: &Client) -> Outcome<Self>;

    /// What a layer does to the input.
    fn change_input(input: &mut InputOf<Self>);

    /// Finds the change of the input on the server, or in the answer.
    async fn check_input(subject: &Self::Subject, answer: Self::Answer);

    /// What a layer does to the output. There is nothing to change in `()`.
    fn change_output(_: &mut OutputOf<Self>) {
        panic!("the case of `{}` must say how", name::<Self>())
    }

    /// Finds the change of the output in the answer.
    async fn check_output(_: &Self::Subject, _: Self::Answer) {
        panic!("the case of `{}` must say how", name::<Self>())
    }
}

type InputOf<C> = <<C as Case>::Operation as Operation>::Input;
type OutputOf<C> = <<C as Case>::Operation as Operation>::Output;
type Outcome<C> = Result<<C as Case>::Answer, <<C as Case>::Operation as Operation>::Error>;

const fn name<C: Case>() -> &'static str {
    C::Operation::NAME
}

/// What every case is given.
struct Given {
    /// A client without interceptors.
    client: Client,
    /// A name that no other case has.
    id: String,
    /// The task queue. Whether there is a worker is [`Case::NEEDS_WORKER`].
    queue: String,
    /// The activities that were started. They wait to be completed from outside.
    started: mpsc::UnboundedReceiver<Vec<u8>>,
}

/// The variant of an operation's error that carries what a middleware failed with.
trait Rpc {
    fn rpc(&self) -> Option<&Status>;
}

macro_rules! rpc {
    ($($error:ident)*) => {$(
        impl Rpc for $error {
            fn rpc(&self) -> Option<&Status> {
                match self {
                    Self::Rpc(status) => Some(status),
                    _ => None,
                }
            }
        }
    )*};
}

rpc! {
    AsyncActivityError ClientError ScheduleError WorkflowInteractionError WorkflowQueryError WorkflowStartError
    WorkflowUpdateError WorkflowUpdateWithStartError
}

/// Sets the case up, with a worker beside it if it needs one, and runs `test` on its subject.
async fn with_case<C: Case>(test: impl AsyncFnOnce(C::Subject)) {
    let plain = plain_client().await;
    let queue = unique(name::<C>());
    let (sender, started) = mpsc::unbounded_channel();
    let given = Given {
        client: plain.clone(),
        id: queue.clone(),
        queue: queue.clone(),
        started,
    };
    let test = async {
        let subject = C::Subject::arrange(given).await;
        C::prepare(&subject).await;
        test(subject).await;
    };
    if C::NEEDS_WORKER {
        let worker = fixtures::worker(&queue, move |ctx, _| {
            let sent = sender.send(ctx.info().task_token.clone());
            async {
                sent.map_or_else(
                    |gone| Err(gone.into()),
                    |()| Err(ActivityError::WillCompleteAsync),
                )
            }
        });
        with_worker(&plain, worker, test).await;
    } else {
        test.await;
    }
}

/// What the caller gets, if no layer denies the call.
async fn answer<C: Case>(subject: &C::Subject, client: &Client) -> C::Answer {
    C::call(subject, client).await.unwrap_or_else(|error| {
        panic!(
            "`{}` failed, and no layer denied it: {error:?}",
            name::<C>()
        )
    })
}

async fn is_seen<C: Case>() {
    let record = Record::default();
    let client = client_of(record.clone()).await;
    with_case::<C>(async |subject| {
        let before = subject.trace().await;
        answer::<C>(&subject, &client).await;
        let expected = Seen {
            operation: name::<C>(),
            category: Category::ClientOutbound,
            target: format!("{:?}", C::target(&subject)),
            carries_headers: C::CARRIES_HEADERS,
        };
        assert_eq!(record.seen(), [expected], "what the layer saw of the call");
        if C::CHANGES {
            // Otherwise the test of a denied call would prove nothing.
            let what = format!("the server shows that `{}` arrived", name::<C>());
            eventually(&what, async || {
                (subject.trace().await != before).then_some(())
            })
            .await;
        }
    })
    .await;
}

async fn is_denied<C: Case>() {
    let (outer, inner) = (Record::default(), Record::default());
    let stack = ServiceBuilder::new()
        .layer(outer.clone())
        .layer(Deny(name::<C>()))
        .layer(inner.clone());
    let client = client_of(stack).await;
    with_case::<C>(async |subject| {
        let before = subject.trace().await;
        let Err(error) = C::call(&subject, &client).await else {
            panic!(
                "a layer denied `{}`, but the caller got an answer",
                name::<C>()
            );
        };
        let Some(status) = error.rpc() else {
            panic!("expected the variant `Rpc`, got {error:?}");
        };
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        let source = status
            .source()
            .expect("the status keeps what the layer failed with");
        let denied = source.downcast_ref::<Denied>();
        assert_eq!(denied, Some(&Denied::new(Deny::REASON)), "{source:?}");

        assert_eq!(outer.operations(), [name::<C>()], "outside of the denial");
        assert!(
            inner.seen().is_empty(),
            "inside of the denial: {:?}",
            inner.seen()
        );
        assert_eq!(
            subject.trace().await,
            before,
            "the denied call reached the server"
        );
    })
    .await;
}

async fn changes_the_input<C: Case>() {
    let layer = from_fn(
        |mut request: Request<C::Operation>, next: Next<C::Operation>| {
            C::change_input(&mut request);
            next.run(request)
        },
    );
    let client = client_of(layer).await;
    with_case::<C>(async |subject| {
        let answer = answer::<C>(&subject, &client).await;
        C::check_input(&subject, answer).await;
    })
    .await;
}

async fn changes_the_output<C: Case>() {
    let layer = from_fn(
        async |request: Request<C::Operation>, next: Next<C::Operation>| {
            let mut output = next.run(request).await?;
            C::change_output(&mut output);
            Ok::<_, tower_temporal::BoxError>(output)
        },
    );
    let client = client_of(layer).await;
    with_case::<C>(async |subject| {
        let answer = answer::<C>(&subject, &client).await;
        C::check_output(&subject, answer).await;
    })
    .await;
}

macro_rules! cases {
    ($($operation:ident: $case:ty => $output:tt,)*) => {
        $(
            mod $operation {
                use super::*;

                #[tokio::test]
                async fn is_seen_by_a_layer_and_reaches_the_server() {
                    is_seen::<$case>().await;
                }

                #[tokio::test]
                async fn that_a_layer_denies_fails_and_does_not_reach_the_server() {
                    is_denied::<$case>().await;
                }

                #[tokio::test]
                async fn arrives_with_the_input_a_layer_changed() {
                    changes_the_input::<$case>().await;
                }

                cases!(@output $case, $output);
            }
        )*

        #[test]
        fn every_operation_has_a_case() {
            let cases = [$((stringify!($operation), name::<$case>())),*];
            for (case, operation) in cases {
                assert_eq!(case, operation, "the case is named after another operation");
            }
            assert_eq!(cases.map(|(case, _)| case), OPERATIONS);
        }
    };
    (@output $case:ty, output) => {
        #[tokio::test]
        async fn answers_with_the_output_a_layer_changed() {
            changes_the_output::<$case>().await;
        }
    };
    (@output $case:ty, ()) => {
        #[test]
        fn has_no_output_that_a_layer_could_change() {
            assert_eq!(TypeId::of::<OutputOf<$case>>(), TypeId::of::<()>());
        }
    };
}

cases! {
    start_workflow: workflows::Start => output,
    signal_with_start_workflow: workflows::SignalWithStart => output,
    list_workflows_page: workflows::List => output,
    count_workflows: workflows::Count => output,
    describe_workflow: workflows::Describe => output,
    fetch_workflow_history_page: workflows::FetchHistory => output,
    signal_workflow: workflows::Signal => (),
    query_workflow: workflows::Query => output,
    start_workflow_update: updates::Start => output,
    update_with_start_workflow: updates::WithStart => output,
    poll_workflow_update: updates::Poll => output,
    cancel_workflow: workflows::Cancel => (),
    terminate_workflow: workflows::Terminate => (),
    create_schedule: schedules::Create => output,
    list_schedules_page: schedules::List => output,
    describe_schedule: schedules::Describe => output,
    update_schedule: schedules::Update => (),
    send_schedule_update: schedules::SendUpdate => (),
    delete_schedule: schedules::Delete => (),
    pause_schedule: schedules::Pause => (),
    unpause_schedule: schedules::Unpause => (),
    trigger_schedule: schedules::Trigger => (),
    backfill_schedule: schedules::Backfill => (),
    complete_async_activity: async_activities::Complete => (),
    fail_async_activity: async_activities::Fail => (),
    report_async_activity_cancellation: async_activities::ReportCancellation => (),
    heartbeat_async_activity: async_activities::Heartbeat => output,
}

#[tokio::test]
async fn an_activity_named_by_its_token_has_no_target() {
    is_seen::<async_activities::CompleteByToken>().await;
    changes_the_input::<async_activities::CompleteByToken>().await;
}

#[tokio::test]
async fn a_call_for_one_run_names_it_in_its_target() {
    let record = Record::default();
    let client = client_of(record.clone()).await;
    let id = unique("run");
    let handle = workflows::start(&client, &id, &id).await;
    handle.describe(Default::default()).await.unwrap();
    let target = Target {
        run_id: handle.run_id(),
        ..Target::workflow(None, Some(&id))
    };
    assert!(
        target.run_id.is_some(),
        "a handle from a start has the run's id"
    );
    let seen = record.seen().pop().unwrap();
    assert_eq!(seen.operation, "describe_workflow");
    assert_eq!(seen.target, format!("{target:?}"));
}

#[tokio::test]
async fn what_an_sdk_method_is_made_of_is_seen_call_by_call() {
    let record = Record::default();
    let client = client_of(record.clone()).await;
    let queue = unique("calls");
    let worker = fixtures::worker(&queue, async |_, input| Ok(input));
    with_worker(&plain_client().await, worker, async {
        let handle = workflows::start(&client, &queue, &queue).await;
        let update = handle.execute_update(Basket::put, "apple".to_owned(), Default::default());
        update.await.unwrap();
        handle
            .signal(Basket::close, (), Default::default())
            .await
            .unwrap();
        let items = handle.get_result(Default::default()).await.unwrap();
        assert_eq!(items, ["apple"]);
    })
    .await;
    let expected = [
        "start_workflow",
        "start_workflow_update",
        "poll_workflow_update",
        "signal_workflow",
        "fetch_workflow_history_page",
    ];
    let mut seen = record.operations();
    // Waiting for a result may take more than one page.
    seen.dedup_by(|page, before| page == before && *page == "fetch_workflow_history_page");
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_sdks_own_error_can_be_matched_by_a_layer_and_reaches_the_caller_as_it_is() {
    let matched = Arc::new(AtomicBool::new(false));
    let matching = {
        let matched = matched.clone();
        from_fn(
            move |request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
                let matched = matched.clone();
                async move {
                    next.run(request).await.inspect_err(|error| {
                        let error = error.downcast_ref();
                        let is = matches!(error, Some(WorkflowStartError::AlreadyStarted { .. }));
                        matched.store(is, Ordering::SeqCst);
                    })
                }
            },
        )
    };
    let stack = ServiceBuilder::new()
        .load_shed()
        .timeout(Duration::from_secs(30))
        .layer(matching)
        .concurrency_limit(8);
    let client = client_of(stack).await;
    let id = unique("already-started");
    let first = workflows::start(&client, &id, &id).await;
    let options = WorkflowStartOptions::new(&id, &id).build();
    let again = client.start_workflow(Basket::run, "bob".to_owned(), options);
    match again.await.map(|_| ()) {
        Err(WorkflowStartError::AlreadyStarted { run_id, source }) => {
            assert_eq!(run_id.as_deref(), first.run_id());
            assert_eq!(source.code(), Code::AlreadyExists);
        }
        other => panic!("expected the SDK's own error, got {other:?}"),
    }
    assert!(
        matched.load(Ordering::SeqCst),
        "the layer matched the error"
    );
}
