use std::fmt;
use temporalio_common::{
    data_converters::{
        ActivityExecutionDecodeHint, CancelExternalWorkflowDecodeHint,
        ChildWorkflowStartDecodeHint, DataConverter, FailureDecodeHint, PayloadConversionError,
        SerializationContextData, WorkflowSerializationContext, WorkflowSignalDecodeHint,
    },
    error::{
        ActivityExecutionError, ApplicationFailure, CancelExternalWorkflowError,
        ChildWorkflowExecutionError, ChildWorkflowStartError, OutgoingError, OutgoingWorkflowError,
        WorkflowSignalError,
    },
    protos::temporal::api::failure::v1::{
        ActivityFailureInfo, CanceledFailureInfo, Failure, failure::FailureInfo,
    },
};
use temporalio_sdk::{WorkflowCancellationError, WorkflowTermination, workflows::WorkflowError};
use tower_temporal_core::{BoxError, failure::application_failure};

/// A middleware failed while a workflow was being initialized.
///
/// The SDK's initialization can't fail: the workflow's first task fails with this text, and is tried again.
#[derive(Debug, thiserror::Error)]
#[error(
    "`initialize_workflow`: a middleware failed, and the workflow can't be created without it: {0}"
)]
pub struct InitializeWorkflowError(#[source] pub BoxError);

/// A middleware failed when a timer was started.
///
/// A timer of the SDK can't fail, so this fails the workflow that started the timer, or the update.
#[derive(Debug, thiserror::Error)]
#[error("`start_timer`: a middleware failed: {0}")]
pub struct StartTimerError(#[source] pub BoxError);

/// A Nexus operation could not be started: the SDK's [`Failure`], as a [`std::error::Error`], which that type is not.
#[derive(Debug)]
pub struct StartNexusOperationError(pub Failure);

impl fmt::Display for StartNexusOperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for StartNexusOperationError {}

/// What a middleware of `handle_signal` failed with. A signal has no caller that waits, so it fails the workflow, unless the
/// signal was refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SignalMiddlewareError(#[source] pub(super) BoxError);

pub(super) fn initialize(error: BoxError) -> InitializeWorkflowError {
    InitializeWorkflowError(error)
}

/// Errors of the SDK are what they are in workflow code too: one that says the workflow was cancelled cancels it.
pub(super) fn termination(mut error: BoxError) -> WorkflowTermination {
    macro_rules! as_the_sdk_takes {
        ($($of_sdk:ty,)*) => {$(
            error = match error.downcast::<$of_sdk>() {
                Ok(error) => return (*error).into(),
                Err(error) => error,
            };
        )*};
    }
    as_the_sdk_takes! {
        WorkflowCancellationError,
        PayloadConversionError,
        ActivityExecutionError,
        ChildWorkflowStartError,
        ChildWorkflowExecutionError,
        WorkflowSignalError,
        CancelExternalWorkflowError,
    }
    application_failure(error).into()
}

pub(super) fn handler(error: BoxError) -> WorkflowError {
    WorkflowError::Execution(Box::new(HandlerError(application_failure(error))))
}

/// What a middleware of an update or a query failed with.
///
/// The SDK makes a failure with no type of what a handler fails with, also of an [`ApplicationFailure`]. It takes one that is
/// the source of an error for the failure's cause, with its type and details.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct HandlerError(#[source] pub(super) ApplicationFailure);

pub(super) fn signal_handler(error: BoxError) -> WorkflowError {
    WorkflowError::Execution(Box::new(SignalMiddlewareError(error)))
}

pub(super) fn timer(error: BoxError) -> StartTimerError {
    StartTimerError(error)
}

pub(super) fn activity(error: BoxError) -> ActivityExecutionError {
    let failure = caused(
        error,
        FailureInfo::ActivityFailureInfo(ActivityFailureInfo::default()),
    );
    decode(failure, ActivityExecutionDecodeHint::new(false))
}

pub(super) fn child_workflow(error: BoxError) -> ChildWorkflowStartError {
    // The SDK has no variant for any other reason than the server's; `Cancelled` is the one that carries a cause.
    let failure = caused(
        error,
        FailureInfo::CanceledFailureInfo(CanceledFailureInfo::default()),
    );
    decode(failure, ChildWorkflowStartDecodeHint::default())
}

pub(super) fn signal(error: BoxError) -> WorkflowSignalError {
    decode(failure(error), WorkflowSignalDecodeHint::default())
}

pub(super) fn cancel_external(error: BoxError) -> CancelExternalWorkflowError {
    decode(failure(error), CancelExternalWorkflowDecodeHint::default())
}

pub(super) fn nexus(error: BoxError) -> StartNexusOperationError {
    StartNexusOperationError(failure(error))
}

/// A failure of the kind that the SDK's error needs, caused by what the middleware failed with.
fn caused(error: BoxError, info: FailureInfo) -> Failure {
    let cause = failure(error);
    Failure {
        message: cause.message.clone(),
        failure_info: Some(info),
        cause: Some(Box::new(cause)),
        ..Failure::default()
    }
}

fn failure(error: BoxError) -> Failure {
    let error = OutgoingWorkflowError::from(application_failure(error));
    DataConverter::default().to_failure(&context(), OutgoingError::Workflow(error))
}

/// The SDK's error for a failure: its errors can't be made any other way.
fn decode<H, E>(failure: Failure, hint: H) -> E
where
    H: FailureDecodeHint<Output = E>,
    E: From<temporalio_common::data_converters::PayloadConversionError>,
{
    DataConverter::default()
        .to_error(&context(), failure, hint)
        .unwrap_or_else(E::from)
}

fn context() -> SerializationContextData {
    SerializationContextData::Workflow(WorkflowSerializationContext::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_common::error::IncomingError;
    use tower_temporal_core::Denied;

    fn assert_denied(cause: Option<&IncomingError>) {
        match cause {
            Some(IncomingError::Application(failure)) => {
                assert_eq!(failure.type_name(), Some("PermissionDenied"));
                assert!(failure.is_non_retryable());
            }
            other => panic!("expected an application failure, got {other:?}"),
        }
    }

    #[test]
    fn outbound_errors_carry_the_middleware_s_failure_as_their_cause() {
        let activity = activity(Denied::new("no").into());
        assert!(
            matches!(activity, ActivityExecutionError::Failed(_)),
            "{activity:?}"
        );
        assert_eq!(activity.to_string(), "Activity failed: denied: no");
        assert_denied(activity.cause());
        let child = child_workflow(Denied::new("no").into());
        assert!(child.to_string().contains("denied: no"), "{child}");
        assert_denied(child.cause());
        assert_denied(signal(Denied::new("no").into()).reason());
        assert_denied(cancel_external(Denied::new("no").into()).reason());
        assert_eq!(nexus(Denied::new("no").into()).to_string(), "denied: no");
    }

    #[test]
    fn a_workflow_fails_with_an_application_failure() {
        let termination = termination(Denied::new("no").into());
        let WorkflowTermination::Failed(OutgoingWorkflowError::Application(failure)) = termination
        else {
            panic!("expected an application failure, got {termination:?}")
        };
        assert_eq!(failure.type_name(), Some("PermissionDenied"));
    }

    #[test]
    fn what_the_sdk_reports_by_itself_stays_what_it_is() {
        let conversion = || PayloadConversionError::EncodingError("no such key".into());
        let termination_of = |error: BoxError| format!("{:?}", termination(error));
        for (middleware, own) in [
            (
                termination_of(conversion().into()),
                WorkflowTermination::from(conversion()),
            ),
            (
                termination_of(activity(Denied::new("no").into()).into()),
                activity(Denied::new("no").into()).into(),
            ),
        ] {
            assert_eq!(middleware, format!("{own:?}"));
        }
    }

    /// What the SDK tells the caller of a handler.
    fn told(error: WorkflowError) -> Failure {
        let WorkflowError::Execution(error) = error else {
            panic!("expected an error of a middleware, got {error:?}")
        };
        // As the SDK does it.
        let failure = OutgoingWorkflowError::Application(Box::new(ApplicationFailure::new(error)));
        DataConverter::default().to_failure(
            &SerializationContextData::Workflow(WorkflowSerializationContext::new()),
            OutgoingError::Workflow(failure),
        )
    }

    #[test]
    fn a_handler_s_failure_has_the_middleware_s_as_its_cause() {
        let failure = told(handler(Denied::new("no").into()));
        assert_eq!(failure.message, "denied: no");
        let cause = failure.cause.expect("there is a cause");
        assert_eq!(cause.message, "denied: no");
        let Some(FailureInfo::ApplicationFailureInfo(info)) = cause.failure_info else {
            panic!("expected an application failure, got {cause:?}")
        };
        assert_eq!(info.r#type, "PermissionDenied");
        assert!(info.non_retryable);
    }
}
