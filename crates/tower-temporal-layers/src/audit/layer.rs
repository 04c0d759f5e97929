use super::{AuditOutcome, AuditRecord, AuditSink};
use crate::{CallInfo, Outcome};
use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, ContextKey, Intercept, Intercepted, Operation, ReplaySafe, Request, Scope,
};

/// Records every call. See the [module](super).
pub struct AuditLayer<S, K = NoOne> {
    sink: S,
    dropped: Arc<AtomicU64>,
    key: PhantomData<fn() -> K>,
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
            sink,
            dropped: Arc::default(),
            key: PhantomData,
        }
    }
}

impl<S, K> AuditLayer<S, K> {
    /// Records the value of `W` that surrounds a call. What brings it from a header has to be outside of this layer.
    pub fn who<W: ContextKey>(self) -> AuditLayer<S, W> {
        AuditLayer {
            sink: self.sink,
            dropped: self.dropped,
            key: PhantomData,
        }
    }

    /// How many records the sink has not taken, of this layer and its clones.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl<S, K> Intercept for AuditLayer<S, K>
where
    S: AuditSink<K::Value> + Clone + 'static,
    K: ContextKey,
{
    type State<O: Operation> = AuditState<O, S, K>;

    fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<Self::State<O>, BoxError> {
        let call = CallInfo::new(request);
        let is_live = !O::Scope::is_replaying(request.context());
        let record = AuditRecord {
            time: SystemTime::now(),
            category: call.category,
            operation: call.operation,
            target: call.target.into(),
            caller: call.caller.into(),
            who: O::Scope::get::<K>(request.context()),
            outcome: AuditOutcome::GivenUp,
            latency: None,
        };
        Ok(AuditState {
            record: O::Scope::is_established(request.context()).then_some(record),
            start: is_live.then(Instant::now),
            context: request.context().clone(),
            layer: self.clone(),
        })
    }

    fn after<O: Operation>(
        &self,
        mut state: Self::State<O>,
        result: Result<O::Output, BoxError>,
    ) -> Result<O::Output, BoxError> {
        let outcome = match &result {
            Ok(_) => AuditOutcome::Completed,
            Err(error) => match Outcome::new::<O, _>(error) {
                Outcome {
                    is_failure: true,
                    kind,
                } => AuditOutcome::Failed(kind),
                _ => AuditOutcome::Completed,
            },
        };
        state.end(outcome);
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
    layer: AuditLayer<S, K>,
}

impl<O, S, K> AuditState<O, S, K>
where
    O: Operation,
    S: AuditSink<K::Value>,
    K: ContextKey,
{
    fn end(&mut self, outcome: AuditOutcome) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        if O::Scope::is_replaying(&self.context) {
            return;
        }
        record.outcome = outcome;
        record.latency = self.start.map(|start| start.elapsed());
        if !self.layer.sink.take(record) {
            self.layer.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<O, S, K> Drop for AuditState<O, S, K>
where
    O: Operation,
    S: AuditSink<K::Value>,
    K: ContextKey,
{
    fn drop(&mut self) {
        if !O::CATEGORY.is_workflow() {
            self.end(AuditOutcome::GivenUp);
        }
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

impl<I, S: Clone, K> Layer<I> for AuditLayer<S, K> {
    type Service = Intercepted<Self, I>;

    fn layer(&self, inner: I) -> Self::Service {
        Intercepted::new(self.clone(), inner)
    }
}

/// It writes records, and none while history is replayed.
impl<S, K> ReplaySafe for AuditLayer<S, K> {}

impl<S: Clone, K> Clone for AuditLayer<S, K> {
    fn clone(&self) -> Self {
        Self {
            sink: self.sink.clone(),
            dropped: self.dropped.clone(),
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
    use std::future::pending;
    use tokio::sync::mpsc;
    use tower_temporal_core::{
        Category, ErrorKind, Terminal,
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
        assert_eq!(record.outcome, AuditOutcome::Completed);
        assert!(record.latency.is_some());
        let record = receive.recv().await.unwrap();
        assert_eq!(record.operation, "workflow_outbound_probe");
        assert_eq!(record.who, None);
        assert_eq!(record.outcome, AuditOutcome::Failed(ErrorKind::Other));
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
        assert_eq!(receive.try_recv().unwrap().outcome, AuditOutcome::GivenUp);
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
