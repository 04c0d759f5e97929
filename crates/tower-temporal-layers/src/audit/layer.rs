use super::{AuditRecord, AuditSink};
use crate::{CallInfo, Outcome};
use std::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, ContextKey, ErrorKind, Intercept, Intercepted, Operation, ReplaySafe, Request, Scope,
};

/// Records every call. See the [module](super).
pub struct AuditLayer<S, K = NoOne> {
    shared: Arc<Shared<S>>,
    key: PhantomData<fn() -> K>,
}

/// What all calls share, so that each of them needs no more than a reference to it.
struct Shared<S> {
    sink: S,
    dropped: AtomicU64,
}

/// The key of a layer that does not record who makes a call. Nothing sets its value.
#[derive(Clone, Copy, Debug)]
pub struct NoOne;

impl ContextKey for NoOne {
    type Value = ();
    const HEADER: &'static str = "";
}

impl<S> AuditLayer<S> {
    /// Gives the records to `sink`.
    pub fn new(sink: S) -> Self {
        Self {
            shared: Arc::new(Shared {
                sink,
                dropped: AtomicU64::new(0),
            }),
            key: PhantomData,
        }
    }
}

impl<S, K> AuditLayer<S, K> {
    /// Records the value of `W` that surrounds a call. What brings it from a header has to be outside of this layer.
    pub fn who<W: ContextKey>(self) -> AuditLayer<S, W> {
        AuditLayer {
            shared: self.shared,
            key: PhantomData,
        }
    }

    /// How many records the sink has not taken, of this layer and its clones.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl<S, K> Intercept for AuditLayer<S, K>
where
    S: AuditSink<K::Value> + 'static,
    K: ContextKey,
{
    type State<O: Operation> = AuditState<O, S, K>;

    fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<Self::State<O>, BoxError> {
        let call = CallInfo::new(request);
        let record = AuditRecord {
            time: SystemTime::now(),
            category: call.category,
            operation: call.operation,
            target: call.target.into(),
            caller: call.caller.into(),
            who: O::Scope::get::<K>(request.context()),
            outcome: Outcome::GivenUp,
            latency: None,
        };
        Ok(AuditState {
            record: O::Scope::is_established(request.context()).then_some(record),
            start: O::Scope::is_live(request.context()).then(Instant::now),
            context: request.context().clone(),
            is_inside: Cell::new(false),
            shared: self.shared.clone(),
        })
    }

    fn around<O: Operation, R>(&self, state: &Self::State<O>, run: impl FnOnce() -> R) -> R {
        state.is_inside.set(true);
        let output = run();
        state.is_inside.set(false);
        output
    }

    fn after<O: Operation>(
        &self,
        mut state: Self::State<O>,
        result: Result<O::Output, BoxError>,
    ) -> Result<O::Output, BoxError> {
        if let Some(record) = state.end(Outcome::of::<O, _, _>(&result)) {
            state.shared.take(record);
        }
        result
    }
}

/// A call that is under way: its record, until it has ended.
pub struct AuditState<O, S, K>
where
    O: Operation,
    S: AuditSink<K::Value>,
    K: ContextKey,
{
    record: Option<AuditRecord<K::Value>>,
    start: Option<Instant>,
    context: O::Context,
    /// Whether what is inside runs. When the state is dropped, it says that a panic has come out of there; somebody may have
    /// caught it since.
    is_inside: Cell<bool>,
    shared: Arc<Shared<S>>,
}

impl<O, S, K> AuditState<O, S, K>
where
    O: Operation,
    S: AuditSink<K::Value>,
    K: ContextKey,
{
    /// The record of a call that ends now, unless it has ended before or in a replay.
    fn end(&mut self, outcome: Outcome) -> Option<AuditRecord<K::Value>> {
        let mut record = self.record.take()?;
        if !O::Scope::is_live(&self.context) {
            return None;
        }
        record.outcome = outcome;
        record.latency = self.start.map(|start| start.elapsed());
        Some(record)
    }
}

impl<O, S, K> Drop for AuditState<O, S, K>
where
    O: Operation,
    S: AuditSink<K::Value>,
    K: ContextKey,
{
    fn drop(&mut self) {
        // A workflow is dropped when it leaves the cache, and when its task has failed and is run again.
        if O::CATEGORY.is_workflow() {
            return;
        }
        let outcome = if self.is_inside.get() {
            Outcome::Failed(ErrorKind::Panicked)
        } else {
            Outcome::GivenUp
        };
        if let Some(record) = self.end(outcome) {
            // A panic that leaves a `drop` in the course of another one ends the process.
            let shared = &self.shared;
            if catch_unwind(AssertUnwindSafe(|| shared.take(record))).is_err() {
                shared.drop_one();
            }
        }
    }
}

impl<S> Shared<S> {
    fn take<W>(&self, record: AuditRecord<W>)
    where
        S: AuditSink<W>,
    {
        if !self.sink.take(record) {
            self.drop_one();
        }
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl<O, S, K> fmt::Debug for AuditState<O, S, K>
where
    O: Operation,
    S: AuditSink<K::Value>,
    K: ContextKey,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditState")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}

impl<I, S, K> Layer<I> for AuditLayer<S, K> {
    type Service = Intercepted<Self, I>;

    fn layer(&self, inner: I) -> Self::Service {
        Intercepted::new(self.clone(), inner)
    }
}

/// It writes records, and none while history is replayed.
impl<S, K> ReplaySafe for AuditLayer<S, K> {}

impl<S, K> Clone for AuditLayer<S, K> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            key: PhantomData,
        }
    }
}

impl<S, K> fmt::Debug for AuditLayer<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLayer")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{ExecuteActivity, ExecuteWorkflow, Surroundings, call};
    use std::{
        future::{pending, poll_fn},
        task::Poll,
    };
    use tokio::sync::mpsc;
    use tower::service_fn;
    use tower_temporal_core::{
        Category, Terminal,
        call::Call,
        probe::{self, ClientProbe, ProbeError, WorkflowOutboundProbe},
    };

    struct User;

    impl ContextKey for User {
        type Value = String;
        const HEADER: &'static str = "user";
    }

    #[tokio::test]
    async fn a_call_is_recorded_with_who_made_it_and_how_it_ended() {
        let (send, mut receive) = mpsc::channel(2);
        let layer = AuditLayer::new(send).who::<User>();
        let stack = layer.layer(Terminal);
        let call = probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(0));
        User::scope("alice".to_owned(), call).await.unwrap();
        let fail = |_| Err(ProbeError::Failed("x".to_owned()));
        let call = probe::call::<WorkflowOutboundProbe, _, _>(stack, 1, fail);
        call.now().unwrap_err();

        let record = receive.recv().await.unwrap();
        assert_eq!(record.category, Category::ClientOutbound);
        assert_eq!(record.operation, "client_probe");
        assert_eq!(record.target.to_string(), "target");
        assert_eq!(record.who.as_deref().map(String::as_str), Some("alice"));
        assert_eq!(record.outcome, Outcome::Completed);
        assert!(record.latency.is_some());
        let record = receive.recv().await.unwrap();
        assert_eq!(record.operation, "workflow_outbound_probe");
        assert_eq!(record.who, None);
        assert_eq!(record.outcome, Outcome::Failed(ErrorKind::Other));
    }

    #[tokio::test]
    async fn a_sink_without_room_does_not_hold_up_the_call() {
        let (send, mut receive) = mpsc::channel::<AuditRecord>(1);
        let layer = AuditLayer::new(send);
        for _ in 0..3 {
            let call = probe::call::<ClientProbe, _, _>(layer.layer(Terminal), 1, |_| Ok(0));
            call.await.unwrap();
        }
        assert_eq!(layer.dropped(), 2);
        assert!(receive.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_is_recorded() {
        let (send, mut receive) = mpsc::channel::<AuditRecord>(1);
        let stack = AuditLayer::new(send).layer(Terminal);
        let call = Call::<ClientProbe, _, _>::new(stack, 1.into(), (), |_| Box::pin(pending()));
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(1), call)
                .await
                .is_err()
        );
        assert_eq!(receive.try_recv().unwrap().outcome, Outcome::GivenUp);
    }

    #[tokio::test]
    async fn what_has_not_failed_is_told_apart() {
        let (send, mut receive) = mpsc::channel::<AuditRecord>(8);
        let layer = AuditLayer::new(send);
        for text in ["cancelled", "continued", "benign", "no money"] {
            let error = move |_: Request<ExecuteWorkflow>| {
                std::future::ready(Err::<u32, _>(ProbeError::Failed(text.to_owned())))
            };
            let stack = layer.layer(service_fn(error));
            let run = call(stack, 1, &Surroundings::workflow(false));
            run.await.unwrap_err();
        }
        let outcomes = [(); 4].map(|()| receive.try_recv().unwrap().outcome);
        assert_eq!(
            outcomes,
            [
                Outcome::Cancelled,
                Outcome::ContinuedAsNew,
                Outcome::Benign,
                Outcome::Failed(ErrorKind::Other),
            ]
        );
    }

    /// Panics in the call itself, or when its future is polled.
    async fn panics(layer: AuditLayer<impl AuditSink<()> + Send + Sync + 'static>, at_once: bool) {
        let stack = layer.layer(service_fn(move |_: Request<ExecuteActivity>| {
            assert!(!at_once, "the call's own");
            poll_fn(|_| -> Poll<Result<u32, BoxError>> { panic!("the activity's own") })
        }));
        let run = async move { call(stack, 1, &Surroundings::outside()).await };
        let ended: Result<Result<u32, BoxError>, _> = tokio::spawn(run).await;
        assert!(ended.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn a_call_that_panics_is_recorded_as_such() {
        let (send, mut receive) = mpsc::channel::<AuditRecord>(1);
        let layer = AuditLayer::new(send);
        for at_once in [true, false] {
            panics(layer.clone(), at_once).await;
            let outcome = receive.try_recv().unwrap().outcome;
            assert_eq!(outcome, Outcome::Failed(ErrorKind::Panicked), "{at_once}");
        }
    }

    /// If it got out, it would end the process that runs this test.
    #[tokio::test]
    async fn a_sink_that_panics_beside_another_panic_counts_as_full() {
        let layer = AuditLayer::new(|_: AuditRecord| panic!("the sink's own"));
        for at_once in [true, false] {
            panics(layer.clone(), at_once).await;
        }
        assert_eq!(layer.dropped(), 2);
    }

    #[tokio::test]
    async fn a_closure_is_a_sink() {
        let (send, receive) = std::sync::mpsc::channel();
        let layer =
            AuditLayer::new(move |record: AuditRecord| send.send(record.operation).unwrap());
        let call = probe::call::<ClientProbe, _, _>(layer.layer(Terminal), 1, |_| Ok(0));
        call.await.unwrap();
        assert_eq!(receive.recv().unwrap(), "client_probe");
    }
}
