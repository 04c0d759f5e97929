use super::gate::Limiter;
use crate::limit::LimitKey;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tower_temporal_core::{BoxError, Overloaded};

pin_project! {
    /// Waits for the rate limit of a key.
    #[must_use = "futures do nothing unless polled"]
    pub struct RateGateFuture<K: LimitKey> {
        #[pin]
        state: State<K>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<K: LimitKey> {
        Admitted,
        Refused { error: Overloaded },
        Waiting { key: K, limiter: Arc<Limiter<K>>, #[pin] sleep: Sleep },
    }
}

impl<K: LimitKey> RateGateFuture<K> {
    pub(super) const fn admitted() -> Self {
        Self {
            state: State::Admitted,
        }
    }

    pub(super) const fn refused(error: Overloaded) -> Self {
        Self {
            state: State::Refused { error },
        }
    }

    pub(super) fn waiting(key: K, limiter: Arc<Limiter<K>>, wait: Duration) -> Self {
        Self {
            state: State::Waiting {
                key,
                limiter,
                sleep: sleep(wait),
            },
        }
    }
}

impl<K: LimitKey> Future for RateGateFuture<K> {
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Admitted => Poll::Ready(Ok(())),
            StateProj::Refused { error } => Poll::Ready(Err((*error).into())),
            StateProj::Waiting {
                key,
                limiter,
                mut sleep,
            } => loop {
                ready!(sleep.as_mut().poll(cx));
                match limiter.check(key) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(wait) => sleep.set(tokio::time::sleep(wait)),
                }
            },
        }
    }
}

impl<K: LimitKey> fmt::Debug for RateGateFuture<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGateFuture").finish_non_exhaustive()
    }
}
