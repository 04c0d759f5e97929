use super::ConcurrencyGateFuture;
use crate::{
    gate::Gate,
    key::RequestKey,
    limit::{
        LimitKey,
        place::{Keys, Place},
    },
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower_temporal_core::{Operation, Overloaded, Request};

/// What a [`KeyedConcurrencyLimitLayer`](super::KeyedConcurrencyLimitLayer) or a
/// [`ConcurrencyLimitLayer`](super::ConcurrencyLimitLayer) puts before every call.
#[derive(Clone)]
pub struct ConcurrencyGate<Q: RequestKey<Key: LimitKey>> {
    key: Q,
    keys: Arc<Keys<Q::Key>>,
    /// Of a key that every call has: with it the key stays, and need not be made again by each call that finds no other.
    _kept: Option<Arc<Place<Q::Key>>>,
    limit: usize,
    /// What is over the limit fails, and is told to come again after this long.
    sheds: Option<Duration>,
    /// Whether long polls have to have a place too.
    long_polls: bool,
}

impl<Q: RequestKey<Key: LimitKey>> ConcurrencyGate<Q> {
    #[track_caller]
    pub(super) fn new(limit: usize, key: Q) -> Self {
        assert!(limit > 0, "a limit lets at least one call through");
        Self {
            key,
            keys: Arc::new(Keys::new()),
            _kept: None,
            // More could not be counted, and are never under way.
            limit: limit.min(Semaphore::MAX_PERMITS),
            sheds: None,
            long_polls: false,
        }
    }

    /// Keeps `key`, though no call with it may be under way.
    pub(super) fn keeping(self, key: Q::Key) -> Self {
        Self {
            _kept: Some(Arc::new(self.keys.place(key, self.limit))),
            ..self
        }
    }

    pub(super) fn shed(self, retry_after: Duration) -> Self {
        Self {
            sheds: Some(retry_after),
            ..self
        }
    }

    pub(super) fn long_polls(self) -> Self {
        Self {
            long_polls: true,
            ..self
        }
    }
}

impl<Q: RequestKey<Key: LimitKey>> Gate for ConcurrencyGate<Q> {
    type Permit = Option<Place<Q::Key>>;
    type Future = ConcurrencyGateFuture<Q::Key>;

    fn admit<O: Operation>(&self, request: &Request<O>) -> Self::Future {
        let is_limited = self.long_polls || !O::is_long_poll(request);
        let Some(key) = is_limited.then(|| self.key.key(request)).flatten() else {
            return ConcurrencyGateFuture::done(Ok(None));
        };
        match self.keys.place(key, self.limit).take() {
            Ok(place) => ConcurrencyGateFuture::done(Ok(Some(place))),
            Err(_) if self.sheds.is_some() => ConcurrencyGateFuture::done(Err(Overloaded {
                retry_after: self.sheds,
            })),
            Err(place) => ConcurrencyGateFuture::waiting(place),
        }
    }
}

impl<Q: RequestKey<Key: LimitKey>> fmt::Debug for ConcurrencyGate<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyGate")
            .field("limit", &self.limit)
            .field("sheds", &self.sheds)
            .field("long_polls", &self.long_polls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallInfo, gate::Gated, key::EveryCall};
    use tower::ServiceExt;
    use tower_temporal_core::{
        BoxError, Category, ErrorKind, error,
        probe::{ClientProbe, ProbeError, ProbeInput},
        scope::TaskScope,
    };
    use tower_test::mock;

    fn key(call: &CallInfo<'_>) -> Option<Vec<u8>> {
        Some(call.headers().get("key")?.data.clone())
    }

    /// A call of a client with this header.
    fn request(key: Option<&str>) -> Request<ClientProbe> {
        let mut input = ProbeInput::default();
        if let Some(key) = key {
            let payload = temporalio_common::protos::temporal::api::common::v1::Payload {
                data: key.into(),
                ..Default::default()
            };
            input.headers.insert("key".to_owned(), payload);
        }
        Request::new(input, ())
    }

    /// A call that waits at the server.
    struct LongPoll;

    impl Operation for LongPoll {
        type Input = ProbeInput;
        type Output = u32;
        type Error = ProbeError;
        type Context = ();
        type Scope = TaskScope;

        const NAME: &'static str = "long_poll";
        const CATEGORY: Category = Category::ClientOutbound;

        fn is_long_poll(_: &ProbeInput) -> bool {
            true
        }

        fn error(error: BoxError) -> ProbeError {
            ProbeError::Middleware(error)
        }
    }

    type ByHeader = fn(&CallInfo<'_>) -> Option<Vec<u8>>;
    type Inner = mock::Mock<Request<ClientProbe>, u32>;
    type Answer = tokio::task::JoinHandle<Result<u32, BoxError>>;

    /// A limit for each value of the header.
    fn gate(limit: usize) -> ConcurrencyGate<ByHeader> {
        ConcurrencyGate::new(limit, key)
    }

    /// Calls through a limit, and what stands for its inside.
    fn limited(
        gate: &ConcurrencyGate<ByHeader>,
    ) -> (
        impl Fn(Option<&'static str>) -> Answer + use<>,
        mock::Handle<Request<ClientProbe>, u32>,
    ) {
        let (inner, handle): (Inner, _) = mock::pair();
        let service = Gated::new(gate.clone(), inner);
        let call = move |key| tokio::spawn(service.clone().oneshot(request(key)));
        (call, handle)
    }

    #[tokio::test]
    async fn calls_with_the_same_key_wait_for_each_other_and_others_do_not() {
        let gate = gate(1);
        let (call, mut handle) = limited(&gate);
        let first = call(Some("a"));
        let (_, answer_first) = handle.next_request().await.unwrap();
        let second = call(Some("a"));
        let other = call(Some("b"));
        let (request, answer_other) = handle.next_request().await.unwrap();
        assert_eq!(request.headers().get("key").unwrap().data, b"b");
        answer_other.send_response(3);
        assert_eq!(other.await.unwrap().unwrap(), 3);
        let without = call(None);
        let (request, answer_without) = handle.next_request().await.unwrap();
        assert!(request.headers().get("key").is_none());
        answer_without.send_response(4);
        assert_eq!(without.await.unwrap().unwrap(), 4);
        assert!(!second.is_finished());

        answer_first.send_response(1);
        assert_eq!(first.await.unwrap().unwrap(), 1);
        let (_, answer_second) = handle.next_request().await.unwrap();
        answer_second.send_response(2);
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(gate.keys.len(), 0, "no key is in use");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_leaves_nothing_behind() {
        let gate = gate(1);
        let first = gate.admit(&request(Some("a")));
        let mut waiting = gate.admit(&request(Some("a")));
        let poll = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut waiting).poll(cx).is_pending())
        });
        assert!(poll.await);
        drop(waiting);
        assert_eq!(gate.keys.len(), 1);
        drop(first);
        assert_eq!(gate.keys.len(), 0);
    }

    #[tokio::test]
    async fn long_polls_pass_unless_they_are_limited_too() {
        let poll = || Request::<LongPoll>::new(1.into(), ());
        let shed = |layer: ConcurrencyGate<EveryCall>| layer.shed(Duration::from_secs(1));
        let free = shed(ConcurrencyGate::new(1, EveryCall));
        let call = free.admit(&request(None)).await.unwrap();
        assert!(
            free.admit(&poll()).await.unwrap().is_none(),
            "it takes no place"
        );
        free.admit(&request(None)).await.unwrap_err();
        drop(call);
        let limited = shed(ConcurrencyGate::new(1, EveryCall).long_polls());
        let waiting = limited.admit(&poll()).await.unwrap();
        limited.admit(&request(None)).await.unwrap_err();
        drop(waiting);
        limited.admit(&request(None)).await.unwrap();
    }

    #[tokio::test]
    async fn a_limit_can_be_as_high_as_one_likes() {
        let gate = ConcurrencyGate::new(usize::MAX, key);
        gate.admit(&request(Some("a"))).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_that_every_call_has_stays() {
        let gate = ConcurrencyGate::new(1, EveryCall).keeping(());
        let first = gate.admit(&request(None)).await.unwrap();
        let gate = gate.shed(Duration::from_secs(1));
        gate.admit(&request(None)).await.unwrap_err();
        drop(first);
        assert_eq!(gate.keys.len(), 1);
        gate.admit(&request(None)).await.unwrap();
    }

    #[tokio::test]
    async fn calls_over_the_limit_can_be_shed() {
        let gate = gate(1).shed(Duration::from_secs(3));
        let first = gate.admit(&request(Some("a"))).await.unwrap();
        let error = gate.admit(&request(Some("a"))).await.unwrap_err();
        assert_eq!(error::kind(&error), ErrorKind::Overloaded);
        let overloaded: &Overloaded = error.downcast_ref().unwrap();
        assert_eq!(overloaded.retry_after, Some(Duration::from_secs(3)));
        drop(first);
        gate.admit(&request(Some("a"))).await.unwrap();
    }
}
