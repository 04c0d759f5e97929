use crate::limit::{
    LimitKey,
    place::{Acquire, Place},
};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower_temporal_core::{BoxError, Overloaded};

/// Waits for a place among the calls with the same key.
#[must_use = "futures do nothing unless polled"]
pub struct ConcurrencyGateFuture<K: LimitKey> {
    state: State<K>,
}

enum State<K: LimitKey> {
    Done(Option<Result<Option<Place<K>>, Overloaded>>),
    Waiting(Acquire<K>),
}

impl<K: LimitKey> ConcurrencyGateFuture<K> {
    pub(super) const fn done(admission: Result<Option<Place<K>>, Overloaded>) -> Self {
        Self {
            state: State::Done(Some(admission)),
        }
    }

    pub(super) fn waiting(place: Place<K>) -> Self {
        Self {
            state: State::Waiting(Acquire::new(place)),
        }
    }
}

/// The key is not pinned.
impl<K: LimitKey> Unpin for ConcurrencyGateFuture<K> {}

impl<K: LimitKey> Future for ConcurrencyGateFuture<K> {
    type Output = Result<Option<Place<K>>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Done(admission) => {
                let admission = admission.take().expect("it is not polled when done");
                Poll::Ready(admission.map_err(Into::into))
            }
            State::Waiting(acquire) => acquire.poll(cx).map(|place| Ok(Some(place))),
        }
    }
}

impl<K: LimitKey> fmt::Debug for ConcurrencyGateFuture<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyGateFuture")
            .field("waits", &matches!(self.state, State::Waiting(_)))
            .finish_non_exhaustive()
    }
}
