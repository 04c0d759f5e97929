use super::Place;
use crate::limit::LimitKey;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tower_temporal_core::{BoxError, Overloaded};

/// Waits for a place among the calls with the same key.
#[must_use = "futures do nothing unless polled"]
pub struct ConcurrencyGateFuture<K: LimitKey> {
    // Before the place, which counts who holds the semaphore.
    acquire: Option<Acquire>,
    admission: Option<Result<Option<Place<K>>, Overloaded>>,
}

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl<K: LimitKey> ConcurrencyGateFuture<K> {
    pub(super) const fn done(admission: Result<Option<Place<K>>, Overloaded>) -> Self {
        Self {
            acquire: None,
            admission: Some(admission),
        }
    }

    pub(super) fn waiting(place: Place<K>) -> Self {
        Self {
            acquire: Some(Box::pin(place.semaphore().acquire_owned())),
            admission: Some(Ok(Some(place))),
        }
    }
}

/// The key is not pinned.
impl<K: LimitKey> Unpin for ConcurrencyGateFuture<K> {}

impl<K: LimitKey> Future for ConcurrencyGateFuture<K> {
    type Output = Result<Option<Place<K>>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let permit = match &mut self.acquire {
            Some(acquire) => Some(ready!(acquire.as_mut().poll(cx))?),
            None => None,
        };
        self.acquire = None;
        let mut admission = self.admission.take().expect("it is not polled when done")?;
        if let (Some(place), Some(permit)) = (&mut admission, permit) {
            place.permit(permit);
        }
        Poll::Ready(Ok(admission))
    }
}

impl<K: LimitKey> fmt::Debug for ConcurrencyGateFuture<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyGateFuture")
            .field("waits", &self.acquire.is_some())
            .finish_non_exhaustive()
    }
}
