use super::RateGateFuture;
use crate::{
    gate::Gate,
    key::RequestKey,
    limit::{
        LimitKey,
        quota::{TokioClock, overloaded, wait},
        rate::line::Lines,
    },
};
use governor::{Quota, RateLimiter, state::keyed::HashMapStateStore};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tower_temporal_core::{Operation, Request};

/// What a [`KeyedRateLimitLayer`](super::KeyedRateLimitLayer) puts before every call.
#[derive(Clone)]
pub struct RateGate<Q: RequestKey<Key: LimitKey>> {
    key: Q,
    limiter: Arc<Limiter<Q::Key>>,
    sheds: bool,
}

impl<Q: RequestKey<Key: LimitKey>> RateGate<Q> {
    pub(super) fn new(quota: Quota, key: Q) -> Self {
        Self {
            key,
            limiter: Arc::new(Limiter::new(quota)),
            sheds: false,
        }
    }

    pub(super) fn shed(self) -> Self {
        Self {
            sheds: true,
            ..self
        }
    }
}

impl<Q: RequestKey<Key: LimitKey>> Gate for RateGate<Q> {
    type Permit = ();
    type Future = RateGateFuture<Q::Key>;

    fn admit<O: Operation>(&self, request: &Request<O>) -> Self::Future {
        let Some(key) = self.key.key(request) else {
            return RateGateFuture::admitted();
        };
        let limiter = &self.limiter;
        match limiter.lines.pass(&key, || limiter.check(&key)) {
            Ok(()) => RateGateFuture::admitted(),
            Err(wait) if self.sheds => RateGateFuture::refused(overloaded(wait)),
            Err(_) => RateGateFuture::waiting(limiter.clone(), limiter.lines.join(key)),
        }
    }
}

impl<Q: RequestKey<Key: LimitKey>> fmt::Debug for RateGate<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGate")
            .field("sheds", &self.sheds)
            .finish_non_exhaustive()
    }
}

/// A rate limit for each key, which forgets keys that are not in use.
pub(super) struct Limiter<K: LimitKey> {
    limiter: RateLimiter<K, HashMapStateStore<K>, TokioClock>,
    /// After how many calls it looks for keys that are not in use. There are no more new keys than calls.
    sweeps_in: AtomicUsize,
    lines: Lines<K>,
}

impl<K: LimitKey> Limiter<K> {
    const LEAST: usize = 64;

    fn new(quota: Quota) -> Self {
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota, TokioClock),
            sweeps_in: AtomicUsize::new(Self::LEAST),
            lines: Lines::new(quota),
        }
    }

    /// Whether there is room for `key` now, and if not, how long to wait.
    pub(super) fn check(&self, key: &K) -> Result<(), Duration> {
        let checked = self.limiter.check_key(key);
        // Of those who count down together one comes to the end.
        if self.sweeps_in.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            // So that a call's share of the next look is less than one key.
            let sweeps_in = self.limiter.len().max(Self::LEAST);
            self.sweeps_in.store(sweeps_in, Ordering::Relaxed);
        }
        checked.map_err(|not_until| wait(&not_until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallInfo, gate::Gated, key::EveryCall, limit::quota::quota};
    use tokio::time::Instant;
    use tokio_test::task::{Spawn, spawn};
    use tower_temporal_core::{
        Overloaded, Terminal,
        probe::{self, ClientProbe, OtherProbe, ProbeError},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// By the operation's name, and the other probe is free.
    fn key(call: &CallInfo<'_>) -> Option<&'static str> {
        (call.operation != "other_probe").then_some(call.operation)
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_limited_one_by_one() {
        let stack = Gated::new(RateGate::new(quota(1, SECOND), key), Terminal);
        let start = Instant::now();
        for expected in [0, 1] {
            let call = probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(0));
            call.await.unwrap();
            assert_eq!(start.elapsed().as_secs(), expected);
        }
        for _ in 0..3 {
            let call = probe::call::<OtherProbe, _, _>(stack.clone(), 1, |_| Ok(0));
            call.await.unwrap();
        }
        assert_eq!(
            start.elapsed().as_secs(),
            1,
            "without a key there is no limit"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_shed_says_when_to_come_again() {
        let stack = Gated::new(RateGate::new(quota(1, SECOND), key).shed(), Terminal);
        let call = || probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(0));
        call().await.unwrap();
        let Err(ProbeError::Middleware(error)) = call().await else {
            panic!("the second call should be shed")
        };
        let overloaded: &Overloaded = error.downcast_ref().unwrap();
        assert_eq!(overloaded.retry_after, Some(SECOND));
    }

    /// One that waits for the rate of its key.
    #[track_caller]
    fn waits<O: Operation<Input: From<u32>, Context = ()>, Q: RequestKey<Key: LimitKey>>(
        gate: &RateGate<Q>,
    ) -> Spawn<RateGateFuture<Q::Key>> {
        let mut admission = spawn(gate.admit(&Request::<O>::new(1.into(), ())));
        tokio_test::assert_pending!(admission.poll());
        admission
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_woken_and_served_one_by_one_in_their_order() {
        let gate = RateGate::new(quota(1, SECOND), EveryCall);
        let request = Request::<ClientProbe>::new(1.into(), ());
        gate.admit(&request).await.unwrap();
        let mut line = [(); 4].map(|()| waits::<ClientProbe, _>(&gate));
        for first in 0..line.len() {
            tokio::time::advance(SECOND).await;
            let woken = line[first..].iter().filter(|waiting| waiting.is_woken());
            assert_eq!(woken.count(), 1, "the others' turn has not come");
            tokio_test::assert_ready_ok!(line[first].poll());
            if let Some(next) = line.get_mut(first + 1) {
                assert!(next.is_woken(), "it is the next one's turn");
                tokio_test::assert_pending!(next.poll());
            }
        }
        assert_eq!(gate.limiter.lines.len(), 0, "nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_does_not_overtake_those_who_wait_with_its_key() {
        let gate = RateGate::new(quota(1, SECOND), |call: &CallInfo<'_>| Some(call.operation));
        let shed = gate.clone().shed();
        let request = Request::<ClientProbe>::new(1.into(), ());
        gate.admit(&request).await.unwrap();
        let mut first = waits::<ClientProbe, _>(&gate);
        tokio::time::advance(SECOND).await;
        let mut newcomer = waits::<ClientProbe, _>(&gate);
        let error = shed.admit(&request).await.unwrap_err();
        let overloaded: &Overloaded = error.downcast_ref().unwrap();
        assert_eq!(overloaded.retry_after, Some(SECOND));
        let other = Request::<OtherProbe>::new(1.into(), ());
        gate.admit(&other).await.expect("it is of another line");

        tokio_test::assert_ready_ok!(first.poll());
        tokio_test::assert_pending!(newcomer.poll());
        tokio::time::advance(SECOND).await;
        tokio_test::assert_ready_ok!(newcomer.poll());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_holds_up_nobody() {
        let gate = RateGate::new(quota(1, SECOND), EveryCall);
        let request = Request::<ClientProbe>::new(1.into(), ());
        gate.admit(&request).await.unwrap();
        let [first, second, mut third] = [(); 3].map(|()| waits::<ClientProbe, _>(&gate));
        drop(second);
        drop(first);
        assert!(third.is_woken());
        tokio_test::assert_pending!(third.poll());
        tokio::time::advance(SECOND).await;
        tokio_test::assert_ready_ok!(third.poll());
        // It is not dropped yet, and stands in nobody's way.
        let last = waits::<ClientProbe, _>(&gate);
        drop(last);
        assert_eq!(gate.limiter.lines.len(), 0, "nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_are_not_in_use_are_forgotten() {
        let limiter = Limiter::new(quota(1, Duration::from_millis(1)));
        for key in 0..10_000 {
            limiter.check(&key).unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let kept = limiter.limiter.len();
        assert!(kept <= Limiter::<i32>::LEAST + 1, "{kept} keys are kept");
    }
}
