use temporalio_common::error::ApplicationFailure;
use tower_temporal_core::{BoxError, ErrorKind, error};

/// What a middleware failed with, as a failure of the application.
///
/// A layer that says itself how the failure should look does so with an [`ApplicationFailure`]. Any other error becomes
/// one whose type tells what happened, and which is retried unless the same call can do no better.
pub(crate) fn application_failure(error: BoxError) -> ApplicationFailure {
    failure(error, |kind| kind.type_name().to_owned())
}

/// The same, for an error that is not a middleware's, with a type that the caller names.
pub(crate) fn failure(
    error: BoxError,
    type_name: impl FnOnce(ErrorKind) -> String,
) -> ApplicationFailure {
    match error.downcast::<ApplicationFailure>() {
        Ok(failure) => *failure,
        Err(error) => {
            let kind = error::kind(&error);
            ApplicationFailure::builder(error)
                .type_name(type_name(kind))
                .non_retryable(kind.is_final())
                .build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::application_failure;
    use temporalio_common::error::ApplicationFailure;
    use tower_temporal_core::Denied;

    #[test]
    fn a_denial_is_not_retried() {
        let failure = application_failure(Denied::new("no").into());
        assert_eq!(failure.type_name(), Some("PermissionDenied"));
        assert!(failure.is_non_retryable());
        assert!(failure.source_error().is::<Denied>());
    }

    #[test]
    fn anything_else_is() {
        let failure = application_failure("broken".into());
        assert_eq!(failure.type_name(), Some("MiddlewareError"));
        assert!(!failure.is_non_retryable());
        assert_eq!(failure.to_string(), "broken");
    }

    #[test]
    fn a_layer_can_say_itself() {
        let own = ApplicationFailure::builder("mine")
            .type_name("Mine".to_owned())
            .build();
        assert_eq!(application_failure(own.into()).type_name(), Some("Mine"));
    }
}
