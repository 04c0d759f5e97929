//! What the layer has to know of the operations.

use crate::workflow::operations::*;
use temporalio_sdk::{
    WorkflowCancellationToken, WorkflowContextView,
    workflow_interceptors::{SyncWorkflowInterceptorContext, WorkflowInterceptorContext},
};
use tower_temporal_core::Operation;

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
