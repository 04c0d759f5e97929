use super::{ClientOperation, RequestIdLayer};
use crate::retry::Attempts;
use std::{any::Any, error::Error, sync::Arc, time::Duration};
use tokio::time::Sleep;
use tonic::{Code, Status, transport};
use tower::retry::{Policy, backoff::InvalidBackoff, budget::TpsBudget};
use tower_temporal_core::{BoxError, ErrorKind, Overloaded, Request, error};

/// A policy for [`tower::retry`] that repeats a call only where that is safe.
///
/// ```
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_temporal_client::service::{ClientService, IdempotentRetry};
///
/// # fn stack(client: temporalio_client::Client) {
/// let service = ServiceBuilder::new()
///     .layer(RetryLayer::new(IdempotentRetry::new()))
///     .service(ClientService::new(client));
/// # let _ = service;
/// # }
/// ```
///
/// # What is repeated
///
/// - *An answer is no failure.* `AlreadyStarted`, a rejected query, an update or workflow that failed, a workflow that
///   is not found: the server has said how it is, and is not asked again.
/// - *A call that was never made is safe*, whatever it is: one that [`tower::load_shed`] turned away, inside the retries.
/// - *A call whose outcome is not known is repeated if it is [idempotent](ClientOperation::is_idempotent).* Its outcome
///   is not known when a deadline passed, or with the status `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`,
///   `ABORTED`, `INTERNAL` or `UNKNOWN`; nor with `CANCELLED`, where that is a channel's word for a lost connection or a timeout.
/// - Anything else would fail again, as a message does that is too large (`RESOURCE_EXHAUSTED` too).
///
/// | request | is idempotent | with [`request_ids`](Self::request_ids) |
/// |---|---|---|
/// | queries, descriptions, results, counts | always | |
/// | lists and histories, which are streams | always, but there is nothing to repeat: [they come at once](super#streams) | |
/// | starts of workflows | with the reuse policy `RejectDuplicate` (and no `TerminateExisting`) | always |
/// | updates with start | as starts, by the id in their options, which `new` gives them | always |
/// | signals with start | never | with the reuse policy `RejectDuplicate` (and no `TerminateExisting`) |
/// | starts of standalone activities | with the reuse policy `RejectDuplicate` | |
/// | signals, updates, cancellations of workflows | by the id in their options, which `new` gives them | |
/// | terminations, cancellations of activities | if they name a run | |
/// | schedules: create, send update, delete, pause, unpause | always | always |
/// | schedules: update by a function, trigger, backfill | never | always |
/// | completing an async activity, reporting it as cancelled, a heartbeat | by task token, or by ids of which one names a run | |
/// | failing an async activity | by task token; by its id the next attempt would fail too | |
///
/// # What a repeat is answered
///
/// The first try may have arrived after all. To the server most repeats are then the same call, and answered as that one was. Not
/// these:
///
/// - A start with `RejectDuplicate` fails with `AlreadyStarted`, which has the id of the run that the first try started,
///   if it was the first try. With [`request_ids`](Self::request_ids) it is answered with the run itself; so is a schedule that is created,
///   which is `ALREADY_EXISTS` otherwise. A signal with start is answered with the run while that runs, and fails like a start
///   once it has ended.
/// - A schedule that is deleted, a workflow or activity that is terminated, is not found by the repeat. That comes to `Ok(())`
///   here: it is as the caller wants it.
/// - An async activity that is completed is not found either. It stays an error, since it may as well have timed out.
///
/// # How safe that is
///
/// The server knows the ids of signals, updates and cancellations for each *run*. One that names no run may come to the next run,
/// and is a new one there, if the workflow continued as new or was started again between two tries: name the run (a
/// handle does) where that matters. (So a signal with start, which can name none, is repeated only where there is no second start.)
/// Likewise, between two tries
///
/// - if the run has ended, and somebody else has started the same workflow id and that run has ended too, a start starts it
///   again (unless it is `RejectDuplicate`);
/// - a schedule that was deleted and created again is deleted again;
/// - what somebody else has changed in a schedule is overwritten by a prepared update: the SDK sends no conflict token;
/// - an activity id that a workflow uses twice in one run is not told apart by the run.
///
/// These windows are as long as the waits and tries of one call.
///
/// # How often
///
/// At most three times, after waits that begin with 50 ms and double. Up to half as much is added at random, and none is longer
/// than 2 s, unless an [`Overloaded`] asks for more. And no more than a fifth of the calls that are answered, plus ten in a
/// second: the [`TpsBudget`] is shared by all clones of the policy.
///
/// # The SDK's own retries
///
/// Beneath, the SDK's connection repeats each request by itself: up to ten attempts, for up to ten seconds, on nearly the same
/// statuses. So this policy sees an `UNAVAILABLE` only after ten seconds, its retries multiply with those, and a
/// [`tower::timeout`] of ten seconds around it ends the call before its first. Have one of the two:
///
/// ```
/// use std::time::Duration;
/// use temporalio_client::{ConnectionOptions, RetryOptions, Url};
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_temporal_client::service::{ClientService, IdempotentRetry};
///
/// # fn example(url: Url) -> ConnectionOptions {
/// let options = ConnectionOptions::new(url)
///     .retry_options(RetryOptions::no_retries())
///     .build();
/// # options
/// # }
///
/// # fn stack(client: temporalio_client::Client) {
/// let service = ServiceBuilder::new()
///     // For the call, with its retries …
///     .timeout(Duration::from_secs(10))
///     .layer(RetryLayer::new(IdempotentRetry::new()))
///     // … and for each try. One that hangs would otherwise use up all the time there is.
///     .timeout(Duration::from_secs(3))
///     .service(ClientService::new(client));
/// # let _ = service;
/// # }
/// ```
///
/// Do this on a connection that no worker shares: workers rely on the SDK's retries. The timeouts are for calls that do not wait; for
/// those that do see [Waiting](super#waiting).
#[derive(Clone, Debug)]
pub struct IdempotentRetry {
    attempts: Attempts,
    request_ids: Option<RequestIdLayer>,
    /// Whether an earlier try of the call may have arrived.
    may_be_done: bool,
}

impl IdempotentRetry {
    /// Three retries, with the waits and the budget that the [type](Self) describes.
    pub fn new() -> Self {
        Self {
            attempts: Attempts::new(),
            request_ids: None,
            may_be_done: false,
        }
    }

    /// Makes at most this many retries of a call.
    pub fn retries(mut self, retries: u32) -> Self {
        self.attempts = self.attempts.retries(retries);
        self
    }

    /// Waits this long before the first retry of a call (its backoff), twice as long before the second, and at most `max`.
    ///
    /// # Errors
    ///
    /// If `min` is more than `max`, or `max` is zero.
    pub fn waits(mut self, min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        self.attempts = self.attempts.waits(min, max)?;
        Ok(self)
    }

    /// Takes retries from `budget`, which other policies may share.
    pub fn budget(mut self, budget: Arc<TpsBudget>) -> Self {
        self.attempts = self.attempts.budget(budget);
        self
    }

    /// Repeats calls that the server knows by their request id, for a client whose connection has this layer.
    ///
    /// A layer that was not put into any connection is not relied on.
    pub fn request_ids(mut self, layer: &RequestIdLayer) -> Self {
        self.request_ids = Some(layer.clone());
        self
    }

    fn is_safe<O: ClientOperation>(&self, request: &Request<O>) -> bool {
        let is_known = |layer: &RequestIdLayer| layer.is_applied();
        O::is_idempotent(request)
            || O::request_id(request).is_some() && self.request_ids.as_ref().is_some_and(is_known)
    }
}

impl Default for IdempotentRetry {
    fn default() -> Self {
        Self::new()
    }
}

impl<O, T, E> Policy<Request<O>, T, E> for IdempotentRetry
where
    O: ClientOperation,
    O::Input: Clone,
    T: 'static,
    E: 'static,
{
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<O>,
        result: &mut Result<T, E>,
    ) -> Option<Self::Future> {
        let Err(error) = result else {
            self.attempts.deposit();
            return None;
        };
        let retry_after = retry_after::<O, E>(error);
        let is_safe = match Failure::of::<O, E>(error) {
            Failure::Answer => {
                self.attempts.deposit();
                if self.may_be_done && O::is_done(error::kind_of::<O, E>(error).code()) {
                    succeed(result);
                }
                false
            }
            Failure::NotMade => true,
            Failure::NotKnown => {
                self.may_be_done = true;
                self.is_safe(request)
            }
            Failure::Final => false,
        };
        if !is_safe {
            return None;
        }
        self.attempts.next(retry_after.unwrap_or_default())
    }

    fn clone_request(&mut self, request: &Request<O>) -> Option<Request<O>> {
        Some(request.clone())
    }
}

/// A call that has been done has succeeded, if there is nothing else to say of it.
fn succeed<T: 'static, E: 'static>(result: &mut Result<T, E>) {
    let result: &mut dyn Any = result;
    if let Some(result) = result.downcast_mut::<Result<(), E>>() {
        *result = Ok(());
    }
}

/// Where to look for what a call has failed of, beneath the operation's own error.
fn cause<O: ClientOperation, E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    let any: &dyn Any = error;
    Some(if let Some(error) = error::find::<O, E>(error) {
        // What the channel said, or a middleware of the client's own stack, is the status' source.
        O::status(error)?
    } else if let Some(error) = any.downcast_ref::<BoxError>() {
        error.as_ref()
    } else {
        any.downcast_ref::<Overloaded>()?
    })
}

/// When a middleware that had no room for the call expects to have some.
fn retry_after<O: ClientOperation, E: 'static>(error: &E) -> Option<Duration> {
    error::find_in::<Overloaded>(cause::<O, E>(error)?)?.retry_after
}

/// What an error says about the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The server has answered.
    Answer,
    /// It never left.
    NotMade,
    /// It may have arrived.
    NotKnown,
    /// It would fail again.
    Final,
}

impl Failure {
    fn of<O: ClientOperation, E: 'static>(error: &E) -> Self {
        if !error::is_failure::<O, E>(error) {
            return Self::Answer;
        }
        match error::kind_of::<O, E>(error) {
            ErrorKind::Overloaded => Self::NotMade,
            ErrorKind::DeadlineExceeded | ErrorKind::Unavailable => Self::NotKnown,
            ErrorKind::Status(code) => {
                Self::of_status(code, cause::<O, E>(error).and_then(error::find_in))
            }
            _ => Self::Final,
        }
    }

    fn of_status(code: Code, status: Option<&Status>) -> Self {
        match code {
            Code::NotFound | Code::AlreadyExists => Self::Answer,
            Code::Cancelled if status.is_some_and(is_channel_s) => Self::NotKnown,
            Code::ResourceExhausted if status.is_some_and(is_too_large) => Self::Final,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unknown => Self::NotKnown,
            _ => Self::Final,
        }
    }
}

/// Whether a cancellation is nobody's, but tonic's word for a lost connection or for a timeout. The SDK's own retries ask the
/// same of the first.
fn is_channel_s(cancelled: &Status) -> bool {
    error::find_in::<transport::Error>(cancelled).is_some()
        || error::find_in::<tonic::TimeoutExpired>(cancelled).is_some()
}

/// Whether it is a message for which there is no room, and never will be: by the words that the SDK knows it by.
fn is_too_large(exhausted: &Status) -> bool {
    [
        "grpc: received message larger than max",
        "grpc: message after decompression larger than max",
        "grpc: received message after decompression larger than max",
    ]
    .iter()
    .any(|words| exhausted.message().starts_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{
        CompleteAsyncActivity, DeleteSchedule, Execution, FailAsyncActivity, QueryWorkflow,
        SignalWithStartWorkflow, SignalWorkflow, StartWorkflow, TerminateWorkflow, UpdateSchedule,
    };
    use std::collections::HashSet;
    use temporalio_client::{
        ActivityIdentifier, UntypedQuery, UntypedSignal, UntypedWorkflow, WorkflowIdConflictPolicy,
        WorkflowIdReusePolicy, WorkflowStartOptions, errors::WorkflowStartError,
        schedules::ScheduleUpdate,
    };
    use temporalio_common::{data_converters::RawValue, error::ApplicationFailure};
    use tokio::time::Instant;
    use tower::{
        ServiceBuilder, ServiceExt, load_shed::error::Overloaded as Shed, retry::RetryLayer,
    };
    use tower_temporal_core::{Denied, Operation};
    use tower_test::mock;

    fn quick() -> IdempotentRetry {
        let wait = Duration::from_millis(1);
        IdempotentRetry::new()
            .waits(wait, wait)
            .expect("they are in order")
    }

    type Start = StartWorkflow<UntypedWorkflow>;

    fn start(reuse: WorkflowIdReusePolicy) -> Request<Start> {
        let options = WorkflowStartOptions::new("queue", "order-1")
            .id_reuse_policy(reuse)
            .build();
        StartWorkflow::new(UntypedWorkflow::new("Order"), RawValue::empty(), options)
    }

    type Signal = SignalWorkflow<UntypedSignal<UntypedWorkflow>>;

    fn signal() -> Request<Signal> {
        let pay = UntypedSignal::new("pay");
        SignalWorkflow::new("order-1", pay, RawValue::empty(), Default::default())
    }

    /// The operation's own error for this status.
    fn status<O: ClientOperation>(code: Code) -> BoxError {
        O::error(Status::new(code, "").into()).into()
    }

    /// Sends `request` through the policy to a service that gives these answers in turn: the requests that arrived, and
    /// what the caller got.
    async fn send<O>(
        policy: IdempotentRetry,
        request: Request<O>,
        answers: impl IntoIterator<Item = Result<(), BoxError>>,
    ) -> (Vec<Request<O>>, Result<(), BoxError>)
    where
        O: ClientOperation<Input: Clone>,
    {
        let (service, mut handle) = mock::pair::<Request<O>, ()>();
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new(policy))
            .service(service);
        let serve = async move {
            let mut arrived = Vec::new();
            for answer in answers {
                let Some((request, respond)) = handle.next_request().await else {
                    break;
                };
                arrived.push(request);
                match answer {
                    Ok(()) => respond.send_response(()),
                    Err(error) => respond.send_error(error),
                }
            }
            arrived
        };
        let (result, arrived) = tokio::join!(service.oneshot(request), serve);
        (arrived, result)
    }

    /// How often a request arrives whose first two tries end with this error.
    async fn tries<O>(request: Request<O>, error: fn() -> BoxError) -> usize
    where
        O: ClientOperation<Input: Clone>,
    {
        let answers = [Err(error()), Err(error()), Ok(())];
        let (arrived, result) = send(quick(), request, answers).await;
        assert_eq!(result.is_ok(), arrived.len() == 3, "{result:?}");
        arrived.len()
    }

    #[tokio::test]
    async fn a_signal_is_repeated_with_the_same_request_id() {
        let answers = [
            Err(status::<Signal>(Code::Unavailable)),
            Err(tower::timeout::error::Elapsed::new().into()),
            Ok(()),
        ];
        let (arrived, result) = send(quick(), signal(), answers).await;
        result.expect("the third try succeeds");
        assert_eq!(arrived.len(), 3);
        let ids: HashSet<_> = arrived
            .iter()
            .map(|it| it.options.request_id.clone())
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert!(ids.iter().all(Option::is_some), "{ids:?}");
        assert_ne!(signal().options.request_id, arrived[0].options.request_id);
    }

    #[tokio::test]
    async fn a_start_is_repeated_if_its_id_starts_once() {
        use WorkflowIdReusePolicy::{AllowDuplicate, RejectDuplicate};
        let unavailable = || status::<Start>(Code::Unavailable);
        assert_eq!(tries(start(RejectDuplicate), unavailable).await, 3);
        assert_eq!(tries(start(AllowDuplicate), unavailable).await, 1);
        let mut terminates = start(RejectDuplicate);
        terminates.options.id_conflict_policy = WorkflowIdConflictPolicy::TerminateExisting;
        assert_eq!(tries(terminates, unavailable).await, 1);
    }

    #[tokio::test]
    async fn that_it_runs_already_is_an_answer() {
        let started = || {
            BoxError::from(WorkflowStartError::AlreadyStarted {
                run_id: Some("run".to_owned()),
                source: Status::already_exists(""),
            })
        };
        let answers = [
            Err(status::<Start>(Code::Unavailable)),
            Err(started()),
            Ok(()),
        ];
        let request = start(WorkflowIdReusePolicy::RejectDuplicate);
        let (arrived, result) = send(quick(), request, answers).await;
        assert_eq!(arrived.len(), 2);
        let error = result.expect_err("it runs already");
        match error.downcast_ref() {
            Some(WorkflowStartError::AlreadyStarted { run_id, .. }) => {
                assert_eq!(run_id.as_deref(), Some("run"));
            }
            _ => panic!("it runs already: {error:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_not_made_is_repeated_whatever_it_is() {
        let overloaded = || BoxError::from(Shed::new());
        assert_eq!(
            tries(start(WorkflowIdReusePolicy::AllowDuplicate), overloaded).await,
            3
        );
    }

    #[tokio::test]
    async fn a_start_with_a_request_id_is_repeated_if_a_connection_has_the_layer() {
        let unavailable = || Err(status::<Start>(Code::Unavailable));
        let send = async |policy| {
            let request = start(WorkflowIdReusePolicy::AllowDuplicate);
            send(policy, request, [unavailable(), Ok(())]).await.0
        };
        let layer = RequestIdLayer::new();
        let policy = quick().request_ids(&layer);
        assert_eq!(send(policy.clone()).await.len(), 1, "no connection has it");
        let _connection = tower_layer::Layer::layer(&layer, ());
        let arrived = send(policy).await;
        assert_eq!(arrived.len(), 2);
        let [first, second] = [0, 1].map(|i| Start::request_id(&arrived[i]));
        assert!(first.is_some());
        assert_eq!(first, second);
    }

    type SignalWithStart = SignalWithStartWorkflow<UntypedWorkflow, UntypedSignal<UntypedWorkflow>>;

    fn signal_with_start(options: WorkflowStartOptions) -> Request<SignalWithStart> {
        SignalWithStartWorkflow::new(
            UntypedWorkflow::new("Order"),
            RawValue::empty(),
            UntypedSignal::new("pay"),
            RawValue::empty(),
            options,
        )
    }

    #[tokio::test]
    async fn a_signal_with_start_is_repeated_by_its_request_id_if_it_starts_once() {
        use WorkflowIdConflictPolicy::{TerminateExisting, UseExisting};
        use WorkflowIdReusePolicy::{AllowDuplicate, RejectDuplicate};
        let layer = RequestIdLayer::new();
        let _connection = tower_layer::Layer::layer(&layer, ());
        for (reuse, conflict, tries) in [
            (AllowDuplicate, UseExisting, 1),
            (RejectDuplicate, UseExisting, 2),
            (RejectDuplicate, TerminateExisting, 1),
        ] {
            let options = WorkflowStartOptions::new("queue", "order-1")
                .id_reuse_policy(reuse)
                .id_conflict_policy(conflict)
                .build();
            let answers = [Err(status::<SignalWithStart>(Code::Unavailable)), Ok(())];
            let policy = quick().request_ids(&layer);
            let (arrived, _) = send(policy, signal_with_start(options), answers).await;
            assert_eq!(arrived.len(), tries, "{reuse:?}, {conflict:?}");
        }
    }

    #[tokio::test]
    async fn what_a_channel_calls_cancelled_is_not_known() {
        fn cancelled(source: Option<BoxError>) -> BoxError {
            let mut status = Status::cancelled("");
            if let Some(source) = source {
                status.set_source(Arc::from(source));
            }
            Signal::error(status.into()).into()
        }
        // One that anybody can make.
        fn lost() -> transport::Error {
            transport::Endpoint::from_shared("").unwrap_err()
        }
        let of_transport = || cancelled(Some(lost().into()));
        let of_timeout = || cancelled(Some(tonic::TimeoutExpired(()).into()));
        assert_eq!(tries(signal(), of_transport).await, 3);
        assert_eq!(tries(signal(), of_timeout).await, 3);
        assert_eq!(tries(signal(), || cancelled(None)).await, 1);
        // As with any outcome that is not known.
        let start = start(WorkflowIdReusePolicy::AllowDuplicate);
        assert_eq!(tries(start, of_transport).await, 1);
        // The same where it is no operation's error.
        let bare = || -> BoxError {
            let mut status = Status::cancelled("");
            status.set_source(Arc::new(lost()));
            status.into()
        };
        assert_eq!(tries(signal(), bare).await, 3);
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_stays_so() {
        let too_large = || -> BoxError {
            let status =
                Status::resource_exhausted("grpc: received message larger than max (9 vs. 4)");
            Signal::error(status.into()).into()
        };
        assert_eq!(tries(signal(), too_large).await, 1);
        let busy = || status::<Signal>(Code::ResourceExhausted);
        assert_eq!(tries(signal(), busy).await, 3);
    }

    #[tokio::test]
    async fn what_a_repeat_finds_done_has_succeeded() {
        let delete = || DeleteSchedule::new("daily", Default::default());
        let not_found = || Err(status::<DeleteSchedule>(Code::NotFound));
        let unavailable = || Err(status::<DeleteSchedule>(Code::Unavailable));
        let (arrived, result) = send(quick(), delete(), [unavailable(), not_found()]).await;
        assert_eq!(arrived.len(), 2);
        result.expect("the first try has deleted it");
        let (_, result) = send(quick(), delete(), [not_found()]).await;
        result.expect_err("there was none to delete");
        // What was turned away has deleted nothing.
        let overloaded = Err(Overloaded { retry_after: None }.into());
        let (arrived, result) = send(quick(), delete(), [overloaded, not_found()]).await;
        assert_eq!(arrived.len(), 2);
        result.expect_err("there was none to delete");
        let (_, result) = send(
            quick(),
            signal(),
            [
                Err(status::<Signal>(Code::Unavailable)),
                Err(status::<Signal>(Code::NotFound)),
            ],
        )
        .await;
        result.expect_err("a workflow that is not there was not signalled");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_says_when_to_come_again() {
        let overloaded = || -> BoxError {
            let retry_after = Some(Duration::from_secs(7));
            Overloaded { retry_after }.into()
        };
        // The second comes from the client's own stack: it is in the operation's error.
        for error in [overloaded(), Signal::error(overloaded()).into()] {
            let began = Instant::now();
            let (arrived, _) = send(quick(), signal(), [Err(error), Ok(())]).await;
            assert_eq!(arrived.len(), 2);
            let waited = began.elapsed();
            assert!(
                (7..8).contains(&waited.as_secs()),
                "it said seven seconds: {waited:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_would_fail_again_is_not_repeated() {
        assert_eq!(tries(signal(), || Denied::new("no").into()).await, 1);
        assert_eq!(
            tries(signal(), || status::<Signal>(Code::InvalidArgument)).await,
            1
        );
        assert_eq!(
            tries(signal(), || status::<Signal>(Code::NotFound)).await,
            1
        );
        assert_eq!(tries(signal(), || "broken".into()).await, 1);
    }

    #[tokio::test]
    async fn retries_end() {
        let answers =
            || std::iter::repeat_with(|| Err(status::<Signal>(Code::Unavailable))).take(9);
        let (arrived, result) = send(quick(), signal(), answers()).await;
        assert_eq!(arrived.len(), 4, "one try and three retries");
        assert!(result.is_err());
        let (arrived, _) = send(quick().retries(0), signal(), answers()).await;
        assert_eq!(arrived.len(), 1);
    }

    #[tokio::test]
    async fn a_budget_that_is_spent_ends_the_retries_of_all_clones() {
        // Ten in ten seconds.
        let budget = TpsBudget::new(Duration::from_secs(10), 1, 0.1);
        let policy = quick().budget(Arc::new(budget));
        let mut retries = 0;
        for _ in 0..9 {
            let answers =
                std::iter::repeat_with(|| Err(status::<Signal>(Code::Unavailable))).take(9);
            retries += send(policy.clone(), signal(), answers).await.0.len() - 1;
        }
        assert_eq!(retries, 10);
    }

    #[test]
    fn what_is_idempotent() {
        fn is_idempotent<O: ClientOperation>(request: &Request<O>) -> bool {
            O::is_idempotent(request)
        }

        let query = UntypedQuery::<UntypedWorkflow>::new("items");
        let query = QueryWorkflow::new("order-1", query, RawValue::empty(), Default::default());
        assert!(is_idempotent(&query));

        let mut signal = signal();
        assert!(is_idempotent(&signal));
        signal.options.request_id = None;
        assert!(
            !is_idempotent(&signal),
            "the SDK would make a new id for each"
        );

        let with_signal = start(WorkflowIdReusePolicy::RejectDuplicate);
        let with_signal = signal_with_start(with_signal.options.clone());
        assert!(!is_idempotent(&with_signal));

        let latest = TerminateWorkflow::new("order-1", Default::default());
        assert!(!is_idempotent(&latest));
        let one = Execution {
            run_id: Some("run".to_owned()),
            ..Execution::from("order-1")
        };
        assert!(is_idempotent(&TerminateWorkflow::new(
            one,
            Default::default()
        )));

        let update = UpdateSchedule::new("daily", |_: &mut ScheduleUpdate| {}, Default::default());
        assert!(!is_idempotent(&update));

        let fail = |identifier| {
            let failure = ApplicationFailure::builder("x").build();
            FailAsyncActivity::new(identifier, failure, None::<()>, Default::default())
        };
        let token = ActivityIdentifier::TaskToken(b"token".to_vec().into());
        assert!(is_idempotent(&fail(token)));
        let by_id = ActivityIdentifier::by_id_workflow("order-1", "", "charge");
        assert!(!is_idempotent(&fail(by_id.clone())));

        let complete =
            |identifier| CompleteAsyncActivity::new(identifier, Some(1), Default::default());
        assert!(!is_idempotent(&complete(by_id)), "the run may be the next");
        let in_run = ActivityIdentifier::by_id_workflow("order-1", "run", "charge");
        assert!(is_idempotent(&complete(in_run)));
    }
}
