use super::{
    error::TimeoutError,
    future::{Running, TimeoutFuture},
    operations::{HasCancellationToken, TimerContext},
};
use crate::workflow::StartTimer;
use std::{
    any::TypeId,
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use temporalio_sdk::WorkflowCancellationToken;
use tower_service::Service;
use tower_temporal_core::{BoxError, Request};

/// The service of [`TimeoutLayer`](super::TimeoutLayer).
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    pub(super) inner: S,
    pub(super) timeout: Duration,
    pub(super) waits: bool,
    pub(super) kept: Kept,
}

/// The tokens of what may still run after its call, for as long as the workflow is in memory. A token hears of its parent's
/// cancellation only while somebody has it, and the SDK does not.
pub(super) type Kept = Rc<RefCell<Vec<WorkflowCancellationToken>>>;

/// The token of a call, which is kept if it is dropped before the call is over.
#[derive(Debug)]
pub(super) struct CallToken {
    token: WorkflowCancellationToken,
    kept: Option<Kept>,
}

impl CallToken {
    pub(super) fn cancel(mut self, reason: String) {
        self.kept = None;
        self.token.cancel_with_reason(reason);
    }

    /// Nothing is left of the call that could be cancelled.
    pub(super) fn release(mut self) {
        self.kept = None;
    }
}

impl Drop for CallToken {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.borrow_mut().push(self.token.clone());
        }
    }
}

impl<S, O> Service<Request<O>> for Timeout<S>
where
    O: HasCancellationToken,
    O::Context: TimerContext,
    S: Service<Request<O>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<O>) -> Self::Future {
        // A timer needs no timer; and the layer's own would otherwise be given one, and so on.
        let is_timer = TypeId::of::<O>() == TypeId::of::<StartTimer>();
        let context = request
            .context()
            .timer_context()
            .filter(|_| !is_timer)
            .cloned();
        let Some(context) = context else {
            return TimeoutFuture::without_limit(self.inner.call(request));
        };
        let token = O::cancellation_token_mut(request.input_mut()).map(|token| {
            let parent = token.take().unwrap_or_else(|| context.cancellation_token());
            CallToken {
                token: token.insert(parent.child_token()).clone(),
                kept: Some(self.kept.clone()),
            }
        });
        let limit = Running {
            context,
            token,
            timer: None,
            error: TimeoutError::new(O::NAME, self.timeout),
            waits: self.waits,
            only_starts: O::ONLY_STARTS,
        };
        TimeoutFuture::new(self.inner.call(request), limit)
    }
}
