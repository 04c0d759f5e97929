//! A deadline for calls of and into a workflow, kept by a workflow timer.
//!
//! `tower`'s own timeout looks at the machine's clock, which is another one at every replay. This one starts a timer of the
//! workflow, which is in its history.

mod future;
mod layer;

pub use self::{
    future::{TimeoutError, TimeoutFuture},
    layer::TimeoutLayer,
};

use self::future::Running;
use super::operations::*;
use std::{
    any::TypeId,
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use temporalio_sdk::{
    WorkflowCancellationToken, WorkflowContextView,
    workflow_interceptors::{SyncWorkflowInterceptorContext, WorkflowInterceptorContext},
};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request};

/// The service of [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    timeout: Duration,
    waits: bool,
    kept: Kept,
}

/// The tokens of what may still run after its call, for as long as the workflow is in memory. A token hears of its parent's
/// cancellation only while somebody has it, and the SDK does not.
type Kept = Rc<RefCell<Vec<WorkflowCancellationToken>>>;

/// The token of a call, which is kept if it is dropped before the call is over.
#[derive(Debug)]
struct CallToken {
    token: WorkflowCancellationToken,
    kept: Option<Kept>,
}

impl CallToken {
    fn cancel(mut self, reason: String) {
        self.kept = None;
        self.token.cancel_with_reason(reason);
    }

    /// Nothing is left of the call that could be cancelled.
    fn release(mut self) {
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

/// A context of an operation: one in which timers can be started, where the operation can wait at all.
pub trait TimerContext {
    #[doc(hidden)]
    fn timer_context(&self) -> Option<&WorkflowInterceptorContext> {
        None
    }
}

impl TimerContext for WorkflowInterceptorContext {
    fn timer_context(&self) -> Option<&WorkflowInterceptorContext> {
        Some(self)
    }
}

impl TimerContext for SyncWorkflowInterceptorContext {}
impl TimerContext for WorkflowContextView {}

/// An operation of a workflow: one whose input says what cancels it, where it can be cancelled at all.
pub trait HasCancellationToken: Operation {
    /// Whether what the call is for goes on when the call has succeeded.
    #[doc(hidden)]
    const ONLY_STARTS: bool = false;

    #[doc(hidden)]
    fn cancellation_token_mut(
        input: &mut Self::Input,
    ) -> Option<&mut Option<WorkflowCancellationToken>>;
}

macro_rules! has_cancellation_token {
    (yes: $($yes:ident $({ $($only_starts:tt)* })?)*; no: $($no:ident)*;) => {
        $(impl HasCancellationToken for $yes {
            $($($only_starts)*)?

            fn cancellation_token_mut(input: &mut Self::Input) -> Option<&mut Option<WorkflowCancellationToken>> {
                Some(&mut input.options_mut().cancellation_token)
            }
        })*
        $(impl HasCancellationToken for $no {
            fn cancellation_token_mut(_: &mut Self::Input) -> Option<&mut Option<WorkflowCancellationToken>> {
                None
            }
        })*
    };
}

has_cancellation_token! {
    yes: StartTimer ScheduleActivity ScheduleLocalActivity StartChildWorkflow { const ONLY_STARTS: bool = true; }
        SignalChildWorkflow SignalExternalWorkflow StartNexusOperation { const ONLY_STARTS: bool = true; };
    no: InitializeWorkflow ExecuteWorkflow HandleSignal HandleQuery HandleUpdate ValidateUpdate CancelExternalWorkflow
        ContinueAsNew;
}
