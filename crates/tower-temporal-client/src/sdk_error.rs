use std::error::Error;
use temporalio_client::{
    errors::{
        ActivityInteractionError, ActivityResultError, AsyncActivityError, ClientError,
        StartActivityError, WorkflowGetResultError, WorkflowInteractionError, WorkflowQueryError,
        WorkflowStartError, WorkflowUpdateError, WorkflowUpdateWithStartError,
    },
    schedules::ScheduleError,
};
use tonic::Status;
use tower_temporal_core::{ErrorKind, error};

/// What the SDK's errors of client calls have in common, which the SDK itself has no trait for.
pub(crate) trait SdkError: Error + Send + Sync + Sized + 'static {
    /// The error that carries what a middleware failed with.
    fn from_status(status: Status) -> Self;

    /// The status that the error keeps, where it does not name it as its source.
    fn status(&self) -> Option<&Status>;

    /// Whether the server has answered with this, rather than failed: that the workflow runs already, how it ended.
    fn is_answer(&self) -> bool;

    fn kind(&self) -> ErrorKind {
        match self.status() {
            Some(status) => ErrorKind::Status(status.code()),
            None => error::kind_in(self),
        }
    }
}

macro_rules! sdk_errors {
    ($($error:ident: [$($answer:pat),* $(,)?];)*) => {$(
        impl SdkError for $error {
            fn from_status(status: Status) -> Self {
                Self::Rpc(status)
            }

            fn status(&self) -> Option<&Status> {
                match self {
                    Self::Rpc(status) => Some(status),
                    _ => None,
                }
            }

            fn is_answer(&self) -> bool {
                match self {
                    $($answer => true,)*
                    _ => false,
                }
            }
        }
    )*};
}

sdk_errors! {
    ActivityInteractionError: [];
    ActivityResultError: [Self::ActivityFailed(_), Self::Cancelled { .. }, Self::Terminated, Self::TimedOut(_)];
    AsyncActivityError: [];
    ClientError: [];
    ScheduleError: [];
    StartActivityError: [Self::AlreadyStarted { .. }];
    WorkflowGetResultError: [
        Self::Failed(_),
        Self::Cancelled { .. },
        Self::Terminated { .. },
        Self::TimedOut,
        Self::ContinuedAsNew,
    ];
    WorkflowInteractionError: [];
    WorkflowQueryError: [Self::Rejected { .. }];
    WorkflowStartError: [Self::AlreadyStarted { .. }];
    WorkflowUpdateError: [Self::Failed(_)];
}

/// Its start and its update each have an error of their own.
impl SdkError for WorkflowUpdateWithStartError {
    fn from_status(status: Status) -> Self {
        Self::Rpc(status)
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Rpc(status) => Some(status),
            Self::Start(error) => error.status(),
            Self::Update(error) => error.status(),
            _ => None,
        }
    }

    fn is_answer(&self) -> bool {
        match self {
            Self::Start(error) => error.is_answer(),
            Self::Update(error) => error.is_answer(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn the_status_is_found_in_the_error_of_either_half_of_an_update_with_start() {
        let unavailable = || Status::unavailable("");
        let errors = [
            WorkflowUpdateWithStartError::Rpc(unavailable()),
            WorkflowUpdateWithStartError::Start(WorkflowStartError::Rpc(unavailable())),
            WorkflowUpdateWithStartError::Update(WorkflowUpdateError::Rpc(unavailable())),
        ];
        for error in errors {
            assert_eq!(
                error.kind(),
                ErrorKind::Status(Code::Unavailable),
                "{error}"
            );
            assert!(!error.is_answer(), "{error}");
        }
    }

    #[test]
    fn an_answer_is_told_from_a_failure() {
        let started = || WorkflowStartError::AlreadyStarted {
            run_id: None,
            source: Status::already_exists(""),
        };
        assert!(started().is_answer());
        assert!(WorkflowUpdateWithStartError::Start(started()).is_answer());
        assert!(WorkflowUpdateError::Failed(Box::default()).is_answer());
        assert!(WorkflowQueryError::Rejected { status: None }.is_answer());
        assert!(WorkflowGetResultError::TimedOut.is_answer());
        assert!(!WorkflowGetResultError::NotFound(Status::not_found("")).is_answer());
        assert!(!WorkflowInteractionError::Rpc(Status::internal("")).is_answer());
    }
}
