//! How errors are reported as failures of the application, in activities and workflows.

use crate::{BoxError, Overloaded, error};
use std::{error::Error, fmt, sync::Arc, time::Duration};
use temporalio_common::{
    data_converters::{
        DataConverter, DecodablePayloads, PayloadConverter, SerializationContextData,
    },
    error::{
        ApplicationErrorCategory, ApplicationFailure, FailurePayloads, OutgoingError,
        OutgoingWorkflowError,
    },
    protos::temporal::api::{common::v1::Payload, failure::v1::failure::FailureInfo},
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
    /// Of its details, those are here that came from elsewhere, as those of a failed activity do in a workflow. Details that
    /// are yet to be encoded can't be read: [`build`](Self::build) takes them over.
    pub fn of(error: &BoxError) -> Self {
        match find(error) {
            Some(failure) => Self {
                type_name: failure.type_name().map(str::to_owned),
                non_retryable: failure.is_non_retryable(),
                next_retry_delay: failure.next_retry_delay(),
                category: failure.category(),
                details: failure
                    .raw_details()
                    .map(|details| payloads(details.to_vec())),
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

    /// The failure that `error` is, with these parts. Its message is the error's, and so are its details where there are none
    /// here. Those that are yet to be encoded are encoded by the SDK's default converter, as it does itself with the details of
    /// a failure's causes.
    pub fn build(mut self, mut error: BoxError) -> ApplicationFailure {
        if self.details.is_none() && find(&error).is_some() {
            (self.details, error) = encoded_details(error);
        }
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

fn payloads(payloads: Vec<Payload>) -> FailurePayloads {
    let converter = PayloadConverter::default();
    DecodablePayloads::new(payloads, converter, SerializationContextData::None).into()
}

/// The details of the failure that `error` is or was caused by, and `error` again.
///
/// The SDK shows details to nobody before they are sent, but it encodes the causes of a failure, with theirs.
fn encoded_details(error: BoxError) -> (Option<FailurePayloads>, BoxError) {
    let error = Arc::new(error);
    let around = ApplicationFailure::new(Around(error.clone()));
    let encoded = DataConverter::default().to_failure(
        &SerializationContextData::None,
        OutgoingError::Workflow(around.into()),
    );
    let details = match encoded.cause.and_then(|cause| cause.failure_info) {
        Some(FailureInfo::ApplicationFailureInfo(info)) => info.details,
        _ => None,
    };
    // Whoever else had it is gone with the failure that was encoded.
    let error = Arc::try_unwrap(error).unwrap_or_else(|shared| Around(shared).into());
    (details.map(|details| payloads(details.payloads)), error)
}

/// Is caused by the failure in an error.
#[derive(Debug)]
struct Around(Arc<BoxError>);

impl fmt::Display for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Around {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        find(&self.0).map(|failure| failure as &(dyn Error + 'static))
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
    fn details_are_kept_encoded_or_not() {
        #[derive(Debug, thiserror::Error)]
        #[error("wrapped")]
        struct Wrapped(#[source] ApplicationFailure);

        let unencoded = || {
            ApplicationFailure::builder("mine")
                .details("more".to_owned())
                .build()
        };
        let encoded = || {
            let payload = Payload {
                metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
                data: br#""more""#.to_vec(),
                ..Payload::default()
            };
            ApplicationFailure::builder("mine")
                .details(payloads(vec![payload]))
                .build()
        };
        for error in [
            BoxError::from(unencoded()),
            encoded().into(),
            Wrapped(unencoded()).into(),
            Wrapped(encoded()).into(),
            OutgoingWorkflowError::from(unencoded()).into(),
        ] {
            let (text, debug) = (error.to_string(), format!("{error:?}"));
            let failure = FailureParts::of(&error).build(error);
            assert_eq!(failure.to_string(), text);
            assert_eq!(
                failure.details().unwrap(),
                Some("more".to_owned()),
                "{debug}"
            );
            assert!(!failure.source_error().is::<Around>(), "{debug}");
        }
        let without = FailureParts::of(&own().into()).build(own().into());
        assert!(without.raw_details().is_none());
        let mut parts = FailureParts::of(&encoded().into());
        parts.details = Some("other".to_owned().into());
        let failure = parts.build(encoded().into());
        assert!(failure.raw_details().is_none(), "others are said");
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
