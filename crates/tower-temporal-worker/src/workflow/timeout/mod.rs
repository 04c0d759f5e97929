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

use super::operations::*;
use std::{
    any::TypeId,
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
            token.insert(parent.child_token()).clone()
        });
        let error = TimeoutError::new(O::NAME, self.timeout);
        TimeoutFuture::new(self.inner.call(request), context, token, error, self.waits)
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
    #[doc(hidden)]
    fn cancellation_token_mut(
        input: &mut Self::Input,
    ) -> Option<&mut Option<WorkflowCancellationToken>>;
}

macro_rules! has_cancellation_token {
    (yes: $($yes:ident)*; no: $($no:ident)*;) => {
        $(impl HasCancellationToken for $yes {
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
    yes: StartTimer ScheduleActivity ScheduleLocalActivity StartChildWorkflow SignalChildWorkflow SignalExternalWorkflow
        StartNexusOperation;
    no: InitializeWorkflow ExecuteWorkflow HandleSignal HandleQuery HandleUpdate ValidateUpdate CancelExternalWorkflow
        ContinueAsNew;
}
