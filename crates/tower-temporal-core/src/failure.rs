//! How errors are reported as failures of the application, in activities and workflows.

use crate::{BoxError, Overloaded, error};
use std::time::Duration;
use temporalio_common::error::{
    ApplicationErrorCategory, ApplicationFailure, FailurePayloads, OutgoingWorkflowError,
};

/// What a failure of the application says, beside its message.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailureParts {
    /// The name of its type, which retry policies and other SDKs know it by.
    pub type_name: Option<String>,
    /// Whether it is not retried, whatever the retry policy says.
    pub non_retryable: bool,
    /// When it is retried, in place of what the retry policy says.
    pub next_retry_delay: Option<Duration>,
    /// How serious it is.
    pub category: ApplicationErrorCategory,
    /// What else it tells.
    pub details: Option<FailurePayloads>,
}

impl FailureParts {
    /// What is said of `error`: what an [`ApplicationFailure`] says that it is or was caused by; and otherwise a type name that
    /// tells what happened, and that it is retried unless the same call can do no better, after the time that an
    /// [`Overloaded`] tells.
    ///
    /// Details can't be copied, so they are never taken over.
    pub fn of(error: &BoxError) -> Self {
        match find(error) {
            Some(failure) => Self {
                type_name: failure.type_name().map(str::to_owned),
                non_retryable: failure.is_non_retryable(),
                next_retry_delay: failure.next_retry_delay(),
                category: failure.category(),
                details: None,
            },
            None => {
                let kind = error::kind(error);
                Self {
                    type_name: Some(kind.type_name().to_owned()),
                    non_retryable: kind.is_final(),
                    next_retry_delay: error::find_in::<Overloaded>(error.as_ref())
                        .and_then(|overloaded| overloaded.retry_after),
                    category: ApplicationErrorCategory::Unspecified,
                    details: None,
                }
            }
        }
    }

    /// The failure that `error` is, with these parts. Its message is the error's.
    pub fn build(self, error: BoxError) -> ApplicationFailure {
        ApplicationFailure::builder(error)
            .maybe_type_name(self.type_name)
            .non_retryable(self.non_retryable)
            .maybe_next_retry_delay(self.next_retry_delay)
            .category(self.category)
            .maybe_details(self.details)
            .build()
    }
}

/// What a middleware failed with, as a failure of the application.
///
/// A layer that says itself how the failure should look does so with an [`ApplicationFailure`]. Any other error becomes
/// one with the parts that [`FailureParts::of`] finds.
pub fn application_failure(error: BoxError) -> ApplicationFailure {
    match error.downcast::<ApplicationFailure>() {
        Ok(failure) => *failure,
        Err(error) => FailureParts::of(&error).build(error),
    }
}

/// The failure of the application that `error` is or was caused by.
pub(crate) fn find(error: &BoxError) -> Option<&ApplicationFailure> {
    let error = error.as_ref();
    error::find_in(error).or_else(|| match error::find_in(error)? {
        // It forwards to what the failure was caused by, past the failure itself.
        OutgoingWorkflowError::Application(failure) => Some(&**failure),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Denied;

    #[test]
    fn a_denial_is_not_retried() {
        let failure = application_failure(Denied::new("no").into());
        assert_eq!(failure.type_name(), Some("PermissionDenied"));
        assert!(failure.is_non_retryable());
        assert!(failure.source_error().is::<Denied>());
    }

    #[test]
    fn an_overload_says_when_to_come_again() {
        let retry_after = Some(Duration::from_secs(3));
        let failure = application_failure(Overloaded { retry_after }.into());
        assert_eq!(failure.type_name(), Some("ResourceExhausted"));
        assert!(!failure.is_non_retryable());
        assert_eq!(failure.next_retry_delay(), retry_after);
        assert_eq!(
            failure.to_string(),
            "there is no room for the call now; try again in 3s"
        );
    }

    #[test]
    fn anything_else_is() {
        let failure = application_failure("broken".into());
        assert_eq!(failure.type_name(), Some("MiddlewareError"));
        assert!(!failure.is_non_retryable());
        assert_eq!(failure.to_string(), "broken");
    }

    fn own() -> ApplicationFailure {
        ApplicationFailure::builder("mine")
            .type_name("Mine".to_owned())
            .non_retryable(true)
            .build()
    }

    #[test]
    fn a_layer_can_say_itself() {
        assert_eq!(application_failure(own().into()).type_name(), Some("Mine"));
    }

    #[test]
    fn what_a_failure_says_is_kept_when_it_is_wrapped() {
        #[derive(Debug, thiserror::Error)]
        #[error("wrapped")]
        struct Wrapped(#[source] ApplicationFailure);

        for error in [
            BoxError::from(Wrapped(own())),
            OutgoingWorkflowError::from(own()).into(),
        ] {
            let failure = application_failure(error);
            assert_eq!(failure.type_name(), Some("Mine"));
            assert!(failure.is_non_retryable());
        }
    }
}
