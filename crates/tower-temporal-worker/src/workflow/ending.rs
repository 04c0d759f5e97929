//! Which errors of the SDK are failures: those of calls into workflows and of calls that workflows make.

use super::error::{
    HandlerError, InitializeWorkflowError, StartNexusOperationError, StartTimerError,
};
use std::error::Error;
use temporalio_common::{
    error::{
        ActivityExecutionError, ApplicationErrorCategory, ApplicationFailure,
        CancelExternalWorkflowError, ChildWorkflowExecutionError, ChildWorkflowStartError,
        OutgoingWorkflowError, WorkflowSignalError,
    },
    protos::temporal::api::{
        enums::v1::ApplicationErrorCategory as WireCategory,
        failure::v1::{Failure, failure::FailureInfo},
    },
};
use temporalio_sdk::{WorkflowCancellationError, WorkflowTermination, workflows::WorkflowError};
use tower_temporal_core::Ending;

/// How a call has ended that gave this error.
pub(super) trait HasEnding {
    fn ending(&self) -> Ending;
}

/// As the server tells it: a failure that another one caused is what that one is.
impl HasEnding for Failure {
    fn ending(&self) -> Ending {
        let cause = self.cause.as_deref().map(Self::ending);
        match &self.failure_info {
            // A middleware's error is the cause of one, where the SDK's error has no other way to carry it.
            Some(FailureInfo::CanceledFailureInfo(_)) => cause.unwrap_or(Ending::Cancelled),
            Some(FailureInfo::ApplicationFailureInfo(info))
                if info.category() == WireCategory::Benign =>
            {
                Ending::Benign
            }
            Some(
                FailureInfo::ActivityFailureInfo(_)
                | FailureInfo::ChildWorkflowExecutionFailureInfo(_)
                | FailureInfo::NexusOperationExecutionFailureInfo(_),
            ) => cause.unwrap_or(Ending::Failed),
            _ => Ending::Failed,
        }
    }
}

impl HasEnding for Option<&Failure> {
    fn ending(&self) -> Ending {
        self.map_or(Ending::Failed, Failure::ending)
    }
}

impl HasEnding for ActivityExecutionError {
    fn ending(&self) -> Ending {
        self.failure().ending()
    }
}

impl HasEnding for ChildWorkflowStartError {
    fn ending(&self) -> Ending {
        self.failure().ending()
    }
}

impl HasEnding for ChildWorkflowExecutionError {
    fn ending(&self) -> Ending {
        self.failure().ending()
    }
}

impl HasEnding for WorkflowSignalError {
    fn ending(&self) -> Ending {
        self.failure().ending()
    }
}

impl HasEnding for CancelExternalWorkflowError {
    fn ending(&self) -> Ending {
        self.failure().ending()
    }
}

impl HasEnding for StartNexusOperationError {
    fn ending(&self) -> Ending {
        self.0.ending()
    }
}

impl HasEnding for ApplicationFailure {
    fn ending(&self) -> Ending {
        match self.category() {
            ApplicationErrorCategory::Benign => Ending::Benign,
            _ => Ending::Failed,
        }
    }
}

impl HasEnding for OutgoingWorkflowError {
    fn ending(&self) -> Ending {
        match self {
            Self::Application(failure) => failure.ending(),
            Self::ActivityExecution(error) => error.ending(),
            Self::ChildWorkflowExecution(error) => error.ending(),
            Self::ChildWorkflowStart(error) => error.ending(),
            Self::WorkflowSignal(error) => error.ending(),
            Self::CancelExternalWorkflow(error) => error.ending(),
            _ => Ending::Failed,
        }
    }
}

/// A workflow that was cancelled fails with whatever was cancelled in it, and the SDK reports that as the cancellation.
impl HasEnding for WorkflowTermination {
    fn ending(&self) -> Ending {
        match self {
            Self::Failed(error) => error.ending(),
            // The SDK gives an evicted workflow up, so that this arrives at no layer.
            Self::Cancelled { .. } | Self::Evicted => Ending::Cancelled,
            Self::ContinueAsNew(_) => Ending::ContinuedAsNew,
        }
    }
}

/// What a handler failed with is any error, so what is known is looked for in it and in its causes.
impl HasEnding for WorkflowError {
    fn ending(&self) -> Ending {
        let Self::Execution(error) = self else {
            return Ending::Failed;
        };
        let mut next: Option<&(dyn Error + 'static)> = Some(error.as_ref());
        while let Some(error) = next {
            next = error.source();
            if let Some(HandlerError(failure)) = error.downcast_ref() {
                if failure.category() == ApplicationErrorCategory::Benign {
                    return Ending::Benign;
                }
                // It was made here, of what else a middleware failed with.
                next = failure.source();
            } else if let Some(ending) = known(error) {
                return ending;
            }
        }
        Ending::Failed
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<Ending> {
    fn of<E: HasEnding + Error + 'static>(error: &(dyn Error + 'static)) -> Option<Ending> {
        Some(error.downcast_ref::<E>()?.ending())
    }

    of::<ApplicationFailure>(error)
        .or_else(|| of::<WorkflowTermination>(error))
        .or_else(|| of::<OutgoingWorkflowError>(error))
        .or_else(|| of::<ActivityExecutionError>(error))
        .or_else(|| of::<ChildWorkflowExecutionError>(error))
        .or_else(|| of::<ChildWorkflowStartError>(error))
        .or_else(|| of::<WorkflowSignalError>(error))
        .or_else(|| of::<CancelExternalWorkflowError>(error))
        .or_else(|| {
            error
                .is::<WorkflowCancellationError>()
                .then_some(Ending::Cancelled)
        })
}

/// A middleware's error, and nothing else, is what these carry.
macro_rules! middleware_failed {
    ($($error:ty),*) => {$(
        impl HasEnding for $error {
            fn ending(&self) -> Ending {
                Ending::Failed
            }
        }
    )*};
}

middleware_failed!(InitializeWorkflowError, StartTimerError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::{ExecuteWorkflow, ScheduleActivity};
    use temporalio_common::{
        data_converters::{
            ActivityExecutionDecodeHint, CancelExternalWorkflowDecodeHint,
            ChildWorkflowStartDecodeHint, DataConverter, FailureDecodeHint, PayloadConversionError,
            SerializationContextData, WorkflowSignalDecodeHint,
        },
        protos::temporal::api::failure::v1::{
            ActivityFailureInfo, ApplicationFailureInfo, CanceledFailureInfo,
            NexusOperationFailureInfo,
        },
    };
    use tower_temporal_core::{BoxError, Denied, Operation};

    fn failure(info: FailureInfo, cause: Option<Failure>) -> Failure {
        Failure {
            failure_info: Some(info),
            cause: cause.map(Box::new),
            ..Failure::default()
        }
    }

    fn application(category: WireCategory) -> Failure {
        let info = ApplicationFailureInfo {
            category: category.into(),
            ..Default::default()
        };
        failure(FailureInfo::ApplicationFailureInfo(info), None)
    }

    fn cancelled() -> Failure {
        let info = CanceledFailureInfo::default();
        failure(FailureInfo::CanceledFailureInfo(info), None)
    }

    fn of_activity(cause: Failure) -> Failure {
        let info = ActivityFailureInfo::default();
        failure(FailureInfo::ActivityFailureInfo(info), Some(cause))
    }

    /// The SDK's error for a failure that comes from the server.
    fn decoded<H, E>(failure: Failure, hint: H) -> E
    where
        H: FailureDecodeHint<Output = E>,
        E: From<PayloadConversionError>,
    {
        DataConverter::default()
            .to_error(&SerializationContextData::None, failure, hint)
            .unwrap_or_else(E::from)
    }

    fn activity(cause: Failure) -> ActivityExecutionError {
        decoded(of_activity(cause), ActivityExecutionDecodeHint::new(true))
    }

    #[test]
    fn what_was_cancelled_or_is_benign_has_not_failed() {
        assert!(matches!(
            activity(cancelled()),
            ActivityExecutionError::Cancelled(_)
        ));
        for (cause, ending) in [
            (cancelled(), Ending::Cancelled),
            (application(WireCategory::Benign), Ending::Benign),
            (application(WireCategory::Unspecified), Ending::Failed),
        ] {
            assert_eq!(ScheduleActivity::ending(&activity(cause.clone())), ending);
            // The SDK says `Failed` where nobody asked for the cancellation.
            let hint = ActivityExecutionDecodeHint::new(false);
            assert_eq!(decoded(of_activity(cause.clone()), hint).ending(), ending);
            let hint = ChildWorkflowStartDecodeHint::default();
            assert_eq!(decoded(cause.clone(), hint).ending(), ending);
            let hint = WorkflowSignalDecodeHint::default();
            assert_eq!(decoded(cause.clone(), hint).ending(), ending);
            let hint = CancelExternalWorkflowDecodeHint::default();
            assert_eq!(decoded(cause.clone(), hint).ending(), ending);
            let info = NexusOperationFailureInfo::default();
            let info = FailureInfo::NexusOperationExecutionFailureInfo(info);
            let nexus = StartNexusOperationError(failure(info, Some(cause.clone())));
            assert_eq!(nexus.ending(), ending);
            // What a workflow and a handler made of it.
            let termination = WorkflowTermination::from(activity(cause.clone()));
            assert_eq!(ExecuteWorkflow::ending(&termination), ending);
            let handler = WorkflowError::Execution(activity(cause).into());
            assert_eq!(handler.ending(), ending);
        }
    }

    #[test]
    fn what_a_workflow_ends_with_is_told_apart() {
        let benign = || {
            ApplicationFailure::builder("x")
                .category(ApplicationErrorCategory::Benign)
                .build()
        };
        assert_eq!(WorkflowTermination::from(benign()).ending(), Ending::Benign);
        assert_eq!(WorkflowTermination::cancelled().ending(), Ending::Cancelled);
        let failed = ApplicationFailure::builder("x").build();
        assert_eq!(WorkflowTermination::from(failed).ending(), Ending::Failed);
        let handler = WorkflowError::Execution(benign().into());
        assert_eq!(handler.ending(), Ending::Benign);
    }

    #[test]
    fn a_middleware_s_error_is_a_failure_whatever_carries_it() {
        let denied = || -> BoxError { Denied::new("no").into() };
        let endings = [
            super::super::error::activity(denied()).ending(),
            super::super::error::child_workflow(denied()).ending(),
            super::super::error::signal(denied()).ending(),
            super::super::error::cancel_external(denied()).ending(),
            super::super::error::nexus(denied()).ending(),
            super::super::error::handler(denied()).ending(),
            super::super::error::signal_handler(denied()).ending(),
            super::super::error::termination(denied()).ending(),
        ];
        assert_eq!(endings, [Ending::Failed; 8]);
    }
}
