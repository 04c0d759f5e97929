use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{timeout::error::Elapsed, util::Oneshot};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request, error};

pin_project! {
    /// The future of [`Timeout`](super::Timeout).
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<O, S>
    where
        O: Operation,
        S: Service<Request<O>>,
    {
        // It waits until what is inside is ready, and calls it then: both take of the time.
        #[pin]
        inner: Oneshot<S, Request<O>>,
        due: Option<Instant>,
        // Once it is waited for.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<O, S> TimeoutFuture<O, S>
where
    O: Operation,
    S: Service<Request<O>>,
{
    pub(super) fn new(inner: S, request: Request<O>, limit: Option<Duration>) -> Self {
        Self {
            inner: Oneshot::new(inner, request),
            due: limit.and_then(|limit| Instant::now().checked_add(limit)),
            sleep: None,
        }
    }
}

impl<O, S> Future for TimeoutFuture<O, S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let due = *this.due;
        if let Poll::Ready(result) = this.inner.poll(cx) {
            return Poll::Ready(result.map_err(|error| in_time::<O>(error.into(), due)));
        }
        let Some(due) = due else {
            return Poll::Pending;
        };
        // A call that has used up its task's budget leaves none to the timer, each time: so the clock is asked too.
        if due <= Instant::now() {
            return Poll::Ready(Err(Elapsed::new().into()));
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(due)));
        }
        match this.sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| Err(Elapsed::new().into())),
            None => Poll::Pending,
        }
    }
}

/// The error of a call that was to have ended by `due`.
///
/// A channel counts the time that the server is told too. Its timer and this one mostly end in the same moment, and tonic
/// says `CANCELLED` then. What else an error says that comes late, it says of the call: that is kept.
fn in_time<O: Operation>(error: BoxError, due: Option<Instant>) -> BoxError {
    let is_cancelled = || error::kind_of::<O, _>(&error).as_str() == "cancelled";
    if due.is_some_and(|due| due <= Instant::now()) && is_cancelled() {
        Elapsed::new().into()
    } else {
        error
    }
}

impl<O, S> fmt::Debug for TimeoutFuture<O, S>
where
    O: Operation,
    S: Service<Request<O>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}
