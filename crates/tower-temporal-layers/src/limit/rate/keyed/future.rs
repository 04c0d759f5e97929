use super::gate::Limiter;
use crate::limit::{LimitKey, rate::line::InLine};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_temporal_core::{BoxError, Overloaded};

/// Waits for the rate limit of a key.
#[must_use = "futures do nothing unless polled"]
pub struct RateGateFuture<K: LimitKey> {
    state: State<K>,
}

enum State<K: LimitKey> {
    Admitted,
    Refused(Overloaded),
    Waiting {
        limiter: Arc<Limiter<K>>,
        in_line: InLine<K>,
    },
}

impl<K: LimitKey> RateGateFuture<K> {
    pub(super) const fn admitted() -> Self {
        Self {
            state: State::Admitted,
        }
    }

    pub(super) const fn refused(error: Overloaded) -> Self {
        Self {
            state: State::Refused(error),
        }
    }

    pub(super) const fn waiting(limiter: Arc<Limiter<K>>, in_line: InLine<K>) -> Self {
        Self {
            state: State::Waiting { limiter, in_line },
        }
    }
}

/// The key is not pinned.
impl<K: LimitKey> Unpin for RateGateFuture<K> {}

impl<K: LimitKey> Future for RateGateFuture<K> {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Admitted => Poll::Ready(Ok(())),
            State::Refused(error) => Poll::Ready(Err((*error).into())),
            State::Waiting { limiter, in_line } => {
                ready!(in_line.poll(cx, |key| limiter.check(key)));
                // It is the next one's turn now, and not when this is dropped.
                self.state = State::Admitted;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<K: LimitKey> fmt::Debug for RateGateFuture<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateGateFuture").finish_non_exhaustive()
    }
}
