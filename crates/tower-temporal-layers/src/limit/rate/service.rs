use super::{
    RateLimitFuture,
    line::{InLine, Lines},
};
use crate::limit::quota::{TokioClock, overloaded, wait};
use governor::{
    Quota, RateLimiter,
    state::{InMemoryState, NotKeyed},
};
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Overloaded, Request};

/// The rate that all services of a layer share, and who waits for it.
pub(super) struct Limiter {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock>,
    line: Lines<()>,
}

impl Limiter {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            limiter: RateLimiter::direct_with_clock(quota, TokioClock),
            line: Lines::new(quota),
        }
    }

    /// Whether there is room now, and if not, how long to wait.
    fn check(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not_until| wait(&not_until))
    }
}

/// The service of [`RateLimitLayer`](super::RateLimitLayer).
pub struct RateLimit<S> {
    inner: S,
    limiter: Arc<Limiter>,
    sheds: bool,
    state: State,
}

enum State {
    Unasked,
    Waiting(InLine<()>),
    Admitted,
    Refused(Overloaded),
}

impl<S> RateLimit<S> {
    pub(super) const fn new(inner: S, limiter: Arc<Limiter>, sheds: bool) -> Self {
        Self {
            inner,
            limiter,
            sheds,
            state: State::Unasked,
        }
    }
}

impl<O, S> Service<Request<O>> for RateLimit<S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = RateLimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            self.state = match &mut self.state {
                State::Unasked => {
                    // What is inside is asked first: a call that it has no room for takes none of the rate.
                    ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
                    let limiter = &self.limiter;
                    match limiter.line.pass(&(), || limiter.check()) {
                        Ok(()) => State::Admitted,
                        Err(wait) if self.sheds => State::Refused(overloaded(wait)),
                        Err(_) => State::Waiting(limiter.line.join(())),
                    }
                }
                State::Waiting(in_line) => {
                    ready!(in_line.poll(cx, |()| self.limiter.check()));
                    State::Admitted
                }
                State::Admitted => return self.inner.poll_ready(cx).map_err(Into::into),
                State::Refused(_) => return Poll::Ready(Ok(())),
            };
        }
    }

    /// # Panics
    ///
    /// If the service is not ready.
    fn call(&mut self, request: Request<O>) -> Self::Future {
        match mem::replace(&mut self.state, State::Unasked) {
            State::Admitted => RateLimitFuture::called(self.inner.call(request)),
            State::Refused(error) => RateLimitFuture::refused(error),
            State::Unasked | State::Waiting(_) => {
                panic!("the rate limit is not ready: `poll_ready` must be called first")
            }
        }
    }
}

/// The clone has to be made ready for itself.
impl<S: Clone> Clone for RateLimit<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.limiter.clone(), self.sheds)
    }
}

impl<S: fmt::Debug> fmt::Debug for RateLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("sheds", &self.sheds)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::limit::{RateLimit, RateLimitLayer};
    use std::{task::Poll, time::Duration};
    use tokio::time::Instant;
    use tower::ServiceBuilder;
    use tower_layer::Layer;
    use tower_service::Service;
    use tower_temporal_core::{
        BoxError, ErrorKind, Overloaded, Request, Terminal, error,
        probe::{self, ClientProbe, OtherProbe, ProbeError},
    };
    use tower_test::mock;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn calls_over_the_limit_wait_their_time_in_every_clone() {
        let layer = RateLimitLayer::new(2, SECOND);
        let (one, other) = (layer.layer(Terminal), layer.layer(Terminal));
        let start = Instant::now();
        for expected in [0, 0, 500, 1000] {
            let call = probe::call::<ClientProbe, _, _>(one.clone(), 1, |_| Ok(0));
            call.await.unwrap();
            assert_eq!(start.elapsed().as_millis() / 10, expected / 10);
        }
        let call = probe::call::<OtherProbe, _, _>(other, 1, |_| Ok(0));
        call.await.unwrap();
        assert_eq!(start.elapsed().as_millis() / 10, 150, "the limit is shared");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_shed_says_when_to_come_again() {
        let stack = RateLimitLayer::new(1, SECOND).shed().layer(Terminal);
        let call = || probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(0));
        call().await.unwrap();
        let Err(ProbeError::Middleware(error)) = call().await else {
            panic!("the second call should be shed")
        };
        assert_eq!(error::kind(&error), ErrorKind::Overloaded);
        let overloaded: &Overloaded = error.downcast_ref().unwrap();
        assert_eq!(overloaded.retry_after, Some(SECOND));
        tokio::time::advance(SECOND).await;
        call().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_ready_while_it_waits() {
        let layer = RateLimitLayer::new(1, SECOND);
        let (mut service, mut handle) =
            mock::spawn_with(|inner: mock::Mock<Request<ClientProbe>, u32>| layer.layer(inner));
        handle.allow(2);
        tokio_test::assert_ready_ok!(service.poll_ready());
        let request = Request::<ClientProbe>::new(1.into(), ());
        let answer = tokio::spawn(service.call(request));
        let (request, send) = handle.next_request().await.unwrap();
        assert_eq!(request.value, 1);
        send.send_response(7);
        assert_eq!(answer.await.unwrap().unwrap(), 7);
        tokio_test::assert_pending!(service.poll_ready());
        tokio::time::advance(SECOND).await;
        tokio_test::assert_ready_ok!(service.poll_ready());
    }

    /// A service of its own for each call, as an adapter has it.
    struct Caller(mock::Spawn<RateLimit<Terminal>>);

    impl Caller {
        fn new(layer: &RateLimitLayer) -> Self {
            Self(mock::Spawn::new(layer.layer(Terminal)))
        }

        fn asks(&mut self) -> Poll<Result<(), BoxError>> {
            self.0.poll_ready::<Request<ClientProbe>>()
        }

        #[track_caller]
        fn waits(mut self) -> Self {
            tokio_test::assert_pending!(self.asks());
            self
        }

        #[track_caller]
        fn passes(&mut self) {
            tokio_test::assert_ready_ok!(self.asks());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_woken_and_served_one_by_one_in_their_order() {
        let layer = RateLimitLayer::new(1, SECOND);
        Caller::new(&layer).passes();
        let mut line = [(); 4].map(|()| Caller::new(&layer).waits());
        for first in 0..line.len() {
            tokio::time::advance(SECOND).await;
            let woken = line[first..].iter().filter(|caller| caller.0.is_woken());
            assert_eq!(woken.count(), 1, "the others' turn has not come");
            line[first].passes();
            if let Some(next) = line.get_mut(first + 1) {
                assert!(next.0.is_woken(), "it is the next one's turn");
                tokio_test::assert_pending!(next.asks());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_does_not_overtake_those_who_wait() {
        let layer = RateLimitLayer::new(1, SECOND);
        Caller::new(&layer).passes();
        let mut first = Caller::new(&layer).waits();
        tokio::time::advance(SECOND).await;
        let newcomer = Caller::new(&layer).waits();
        let mut shed = layer.clone().shed().layer(Terminal);
        std::future::poll_fn(|cx| Service::<Request<ClientProbe>>::poll_ready(&mut shed, cx))
            .await
            .unwrap();
        let request = Request::<ClientProbe>::new(1.into(), ());
        let error = shed.call(request).await.unwrap_err();
        let overloaded: &Overloaded = error.downcast_ref().unwrap();
        assert_eq!(overloaded.retry_after, Some(SECOND));

        first.passes();
        let mut newcomer = newcomer.waits();
        tokio::time::advance(SECOND).await;
        newcomer.passes();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_holds_up_nobody() {
        let layer = RateLimitLayer::new(1, SECOND);
        Caller::new(&layer).passes();
        let [first, second, third] = [(); 3].map(|()| Caller::new(&layer).waits());
        drop(second);
        drop(first);
        let mut third = third.waits();
        tokio::time::advance(SECOND).await;
        third.passes();
        // Nor does one that has got through, and is not called.
        let mut next = Caller::new(&layer).waits();
        tokio::time::advance(SECOND).await;
        next.passes();
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_refused_inside_takes_none_of_the_rate() {
        let layer = ServiceBuilder::new()
            .load_shed()
            .layer(RateLimitLayer::new(1, SECOND))
            .into_inner();
        let (mut service, mut handle) =
            mock::spawn_with(|inner: mock::Mock<Request<ClientProbe>, u32>| layer.layer(inner));
        let request = || Request::<ClientProbe>::new(1.into(), ());
        handle.allow(0);
        for _ in 0..3 {
            tokio_test::assert_ready_ok!(service.poll_ready());
            let error = service.call(request()).await.unwrap_err();
            assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
        }
        handle.allow(1);
        tokio_test::assert_ready_ok!(service.poll_ready());
        let answer = tokio::spawn(service.call(request()));
        let (_, send) = handle.next_request().await.unwrap();
        send.send_response(7);
        assert_eq!(answer.await.unwrap().unwrap(), 7, "there was room for one");
    }

    #[tokio::test(start_paused = true)]
    async fn load_shed_works_around_it() {
        let stack = ServiceBuilder::new()
            .load_shed()
            .layer(RateLimitLayer::new(1, SECOND))
            .service(Terminal);
        let call = || probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(0));
        call().await.unwrap();
        let Err(ProbeError::Middleware(error)) = call().await else {
            panic!("the second call should be shed")
        };
        assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
    }

    #[test]
    #[should_panic(expected = "at least one call")]
    fn a_limit_of_none_is_a_mistake() {
        let _ = RateLimitLayer::new(0, SECOND);
    }
}
