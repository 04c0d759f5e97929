use super::{error::TimeoutError, service::CallToken};
use pin_project_lite::pin_project;
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};
use temporalio_sdk::{
    CancellableFuture, TimerOptions, TimerResult, WorkflowCancellationToken,
    workflow_interceptors::WorkflowInterceptorContext,
};
use tower_temporal_core::BoxError;

pub(super) type Timer = Pin<Box<dyn CancellableFuture<Output = TimerResult>>>;

pin_project! {
    /// The future of [`Timeout`](super::Timeout).
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<F> {
        #[pin]
        inner: F,
        limit: Limit,
    }
}

enum Limit {
    None,
    Running(Running),
    /// The call was cancelled, and is waited for.
    Expired(TimeoutError),
}

pub(super) struct Running {
    pub(super) context: WorkflowInterceptorContext,
    /// What cancels the inner call, if it is one that can be cancelled.
    pub(super) token: Option<CallToken>,
    pub(super) timer: Option<Timer>,
    pub(super) error: TimeoutError,
    /// Whether a cancelled call is waited for.
    pub(super) waits: bool,
    /// Whether what the call is for goes on when the call has succeeded.
    pub(super) only_starts: bool,
}

impl<F> TimeoutFuture<F> {
    pub(super) const fn without_limit(inner: F) -> Self {
        Self {
            inner,
            limit: Limit::None,
        }
    }

    pub(super) const fn new(inner: F, limit: Running) -> Self {
        Self {
            inner,
            limit: Limit::Running(limit),
        }
    }
}

impl<F, T, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            // Always the call first: it must have reached the SDK when the workflow code that made it goes on.
            let polled = this.inner.as_mut().poll(cx).map_err(Into::into);
            match (mem::replace(this.limit, Limit::None), polled) {
                (Limit::None, polled) => return polled,
                (Limit::Running(running), Poll::Ready(result)) => {
                    running.end(result.is_ok());
                    return Poll::Ready(result);
                }
                (Limit::Running(mut running), Poll::Pending) => {
                    if running.poll_timer(cx).is_pending() {
                        *this.limit = Limit::Running(running);
                        return Poll::Pending;
                    }
                    let Running {
                        token,
                        error,
                        waits,
                        ..
                    } = running;
                    let is_cancelled = token.is_some();
                    if let Some(token) = token {
                        token.cancel(error.to_string());
                    }
                    if !(waits && is_cancelled) {
                        return Poll::Ready(Err(error.into()));
                    }
                    *this.limit = Limit::Expired(error);
                }
                (Limit::Expired(error), Poll::Pending) => {
                    *this.limit = Limit::Expired(error);
                    return Poll::Pending;
                }
                (Limit::Expired(_), Poll::Ready(Ok(output))) => return Poll::Ready(Ok(output)),
                (Limit::Expired(error), Poll::Ready(Err(_))) => {
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
    }
}

impl Running {
    /// Ready when the time is up.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            // A token of its own: the deadline stands when the workflow is cancelled and cleans up.
            let options = TimerOptions::builder(self.error.timeout())
                .cancellation_token(WorkflowCancellationToken::new())
                .build();
            Box::pin(self.context.timer(options))
        });
        if timer.is_terminated() {
            return Poll::Pending;
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(TimerResult::Fired) => Poll::Ready(()),
            // A layer has cancelled it.
            Poll::Ready(TimerResult::Cancelled) | Poll::Pending => Poll::Pending,
        }
    }

    /// The call has ended in time.
    fn end(self, is_ok: bool) {
        if let Some(timer) = &self.timer {
            timer.cancel();
        }
        if let Some(token) = self.token
            && !(is_ok && self.only_starts)
        {
            token.release();
        }
    }
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").finish_non_exhaustive()
    }
}
