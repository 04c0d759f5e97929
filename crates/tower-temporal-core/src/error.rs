//! The errors of this crate, and how a middleware's error becomes the error of the call.
//!
//! Middleware speaks [`BoxError`]; each Temporal call has an error type of its own. At the outer edge of a stack the
//! adapter looks whether the boxed error *is* the call's own (a layer let it through) and otherwise asks
//! [`kind`] what happened, so that a timeout becomes `DEADLINE_EXCEEDED` and a denial `PERMISSION_DENIED`. The original
//! error stays reachable through [`source()`](std::error::Error::source).

use crate::{BoxError, Operation, catch_panic::Panicked, failure};
use std::{any::Any, error::Error, fmt, sync::Arc, time::Duration};
use temporalio_common::error::ApplicationErrorCategory;
use tonic::{Code, Status};

/// A call was not carried through its stack as it should.
///
/// Each of these is a mistake in a middleware, or a call that was given up by its caller. It arrives as the source of
/// the call's own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The request reached [`Terminal`](crate::Terminal) after the call it belongs to had ended.
    #[error(
        "`{operation}`: the request outlived its call, which has already ended; call inward before the stack's future \
         completes or is dropped"
    )]
    Gone {
        /// The operation's name.
        operation: &'static str,
    },
    /// A clone of the request had already reached [`Terminal`](crate::Terminal).
    #[error(
        "`{operation}`: the call reached the SDK twice; its next step can run only once, so retry and hedge around the \
         call, or beneath it at the rpc level"
    )]
    Twice {
        /// The operation's name.
        operation: &'static str,
    },
    /// The request was made by hand, so there is no call for [`Terminal`](crate::Terminal) to continue.
    #[error("`{operation}`: the request was made with `Request::new` and has no call to continue")]
    Detached {
        /// The operation's name.
        operation: &'static str,
    },
    /// A middleware was not ready, in a workflow, where nothing can make it ready later.
    #[error(
        "`{operation}`: a middleware in the workflow's stack was not ready; in a workflow it must be ready at once, since \
         nothing outside the workflow may wake it"
    )]
    NotReady {
        /// The operation's name.
        operation: &'static str,
    },
    /// A middleware was not done when asked, in an operation that the SDK runs synchronously.
    #[error(
        "`{operation}` is synchronous in the SDK, but a middleware in its stack returned `Poll::Pending`; \
         use only middleware that never waits here"
    )]
    Pending {
        /// The operation's name.
        operation: &'static str,
    },
}

/// A middleware refused the call: `PERMISSION_DENIED` to a client, non-retryable in an activity.
///
/// ```
/// use tower_temporal_core::{Denied, ErrorKind, error};
///
/// let error = Denied::new("mallory may not start `Payout`").into();
/// assert_eq!(error::kind(&error), ErrorKind::Denied);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("denied: {reason}")]
pub struct Denied {
    reason: Arc<str>,
}

impl Denied {
    /// Refuses a call for `reason`.
    pub fn new(reason: impl Into<Arc<str>>) -> Self {
        Self {
            reason: reason.into(),
        }
    }

    /// Why the call was refused.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<&str> for Denied {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for Denied {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

/// A middleware found what the call carries to be wrong: `INVALID_ARGUMENT` to a client, non-retryable in an activity.
///
/// ```
/// use tower_temporal_core::{ErrorKind, Invalid, error};
///
/// let error = Invalid::new("the amount is negative").into();
/// assert_eq!(error::kind(&error), ErrorKind::Invalid);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid: {reason}")]
pub struct Invalid {
    reason: Arc<str>,
}

impl Invalid {
    /// Refuses what a call carries for `reason`.
    pub fn new(reason: impl Into<Arc<str>>) -> Self {
        Self {
            reason: reason.into(),
        }
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<&str> for Invalid {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for Invalid {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

/// A middleware had no room for the call: `RESOURCE_EXHAUSTED` to a client. An activity is tried again, and not before
/// `retry_after`.
///
/// It is for a middleware that knows more than [`tower::load_shed::error::Overloaded`] does, which is of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for the call now{}", RetryAfter(*retry_after))]
pub struct Overloaded {
    /// When it makes sense to try again, if that is known.
    pub retry_after: Option<Duration>,
}

struct RetryAfter(Option<Duration>);

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(delay) => write!(f, "; try again in {delay:?}"),
            None => Ok(()),
        }
    }
}

/// What happened, as far as a middleware's error tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A deadline passed: [`tower::timeout`], [`tokio::time`].
    DeadlineExceeded,
    /// There was no room for the call: [`Overloaded`], [`tower::load_shed`].
    Overloaded,
    /// The service behind the stack is gone: [`tower::buffer`].
    Unavailable,
    /// A middleware refused the call: [`Denied`].
    Denied,
    /// What the call carries is wrong: [`Invalid`].
    Invalid,
    /// Something inside panicked: [`Panicked`].
    Panicked,
    /// A gRPC status, as it is.
    Status(Code),
    /// A middleware did not carry the call as it should: [`CallError`].
    Misuse,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The gRPC code that says it best.
    pub const fn code(self) -> Code {
        match self {
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Overloaded => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::Denied => Code::PermissionDenied,
            Self::Invalid => Code::InvalidArgument,
            Self::Panicked => Code::Internal,
            Self::Status(code) => code,
            Self::Misuse => Code::Internal,
            Self::Other => Code::Unknown,
        }
    }

    /// A stable word for it, for labels of metrics and fields of logs: the name of the gRPC code, as
    /// `permission_denied`, where there is one that says it; `panicked`, `misuse`, and `failed` for anything else.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Misuse => "misuse",
            Self::Other => "failed",
            _ => match self.code() {
                Code::Ok => "ok",
                Code::Cancelled => "cancelled",
                Code::Unknown => "unknown",
                Code::InvalidArgument => "invalid_argument",
                Code::DeadlineExceeded => "deadline_exceeded",
                Code::NotFound => "not_found",
                Code::AlreadyExists => "already_exists",
                Code::PermissionDenied => "permission_denied",
                Code::ResourceExhausted => "resource_exhausted",
                Code::FailedPrecondition => "failed_precondition",
                Code::Aborted => "aborted",
                Code::OutOfRange => "out_of_range",
                Code::Unimplemented => "unimplemented",
                Code::Internal => "internal",
                Code::Unavailable => "unavailable",
                Code::DataLoss => "data_loss",
                Code::Unauthenticated => "unauthenticated",
            },
        }
    }

    /// A stable name for it, used as the type of an application failure.
    pub const fn type_name(self) -> &'static str {
        if let Self::Panicked = self {
            return "Panicked";
        }
        match self.code() {
            Code::DeadlineExceeded => "DeadlineExceeded",
            Code::ResourceExhausted => "ResourceExhausted",
            Code::Unavailable => "Unavailable",
            Code::PermissionDenied => "PermissionDenied",
            Code::InvalidArgument => "InvalidArgument",
            Code::Internal => "Internal",
            _ => "MiddlewareError",
        }
    }

    /// Whether a retry would fail in the same way.
    pub const fn is_final(self) -> bool {
        matches!(self.code(), Code::PermissionDenied | Code::InvalidArgument)
    }
}

/// How a call has ended that gave an error: not everything that the SDK carries in an `Err` is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// It has failed.
    Failed,
    /// It has failed with an error that is marked benign, which nobody wants to be told of.
    Benign,
    /// It was cancelled, or what it waited for was.
    Cancelled,
    /// The workflow has continued as new.
    ContinuedAsNew,
    /// The activity has returned, and somebody else will complete it.
    CompletesLater,
    /// The server has answered what was asked, and the SDK calls the answer an error: a workflow that was to be started is
    /// running already.
    Answered,
}

/// Says what happened, from a middleware's error and what it was caused by. See [`kind_in`].
pub fn kind(error: &BoxError) -> ErrorKind {
    kind_in(error.as_ref())
}

/// Says what happened, from what a service of any stack failed with: the operation's own error, boxed or not, or a
/// middleware's in a [`BoxError`]. A middleware's error that a `map_err` has given a type of its own is
/// [`ErrorKind::Other`]: box it.
pub fn kind_of<O: Operation, E: 'static>(error: &E) -> ErrorKind {
    match find::<O, E>(error) {
        Some(error) => O::kind(error),
        None => (error as &dyn Any)
            .downcast_ref::<BoxError>()
            .map_or(ErrorKind::Other, kind),
    }
}

/// Says what happened, from an error of any kind and what it was caused by: the outermost error that is known decides.
pub fn kind_in(error: &(dyn Error + 'static)) -> ErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(kind) = known(error) {
            return kind;
        }
        next = error.source();
    }
    // A buffer reports what its service failed with; where that says nothing, the service is gone all the same.
    if error.is::<tower::buffer::error::ServiceError>() {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Other
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    if let Some(status) = error.downcast_ref::<Status>() {
        Some(ErrorKind::Status(status.code()))
    } else if error.is::<tower::timeout::error::Elapsed>()
        || error.is::<tokio::time::error::Elapsed>()
    {
        Some(ErrorKind::DeadlineExceeded)
    } else if error.is::<tower::load_shed::error::Overloaded>() || error.is::<Overloaded>() {
        Some(ErrorKind::Overloaded)
    } else if error.is::<tower::buffer::error::Closed>() {
        Some(ErrorKind::Unavailable)
    } else if error.is::<Denied>() {
        Some(ErrorKind::Denied)
    } else if error.is::<Invalid>() {
        Some(ErrorKind::Invalid)
    } else if error.is::<Panicked>() {
        Some(ErrorKind::Panicked)
    } else if error.is::<CallError>() {
        Some(ErrorKind::Misuse)
    } else {
        None
    }
}

/// The operation's own error in what a service of any stack failed with, boxed or not: as it is, or as a cause.
pub fn find<O: Operation, E: 'static>(error: &E) -> Option<&O::Error> {
    let error: &dyn Any = error;
    match error.downcast_ref() {
        Some(error) => Some(error),
        None => find_in(error.downcast_ref::<BoxError>()?.as_ref()),
    }
}

/// The first error of the type `E` in an error and what it was caused by.
pub fn find_in<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// How a call has ended, from what a service of any stack failed with, for a layer that counts or logs failures.
///
/// A middleware's error is a failure, unless it is an application failure that is marked benign. Of the operation's own
/// errors, [`Operation::ending`] says which are: a workflow that continues as new has not failed.
pub fn ending<O: Operation, E: 'static>(error: &E) -> Ending {
    if let Some(error) = find::<O, E>(error) {
        return O::ending(error);
    }
    let error = (error as &dyn Any).downcast_ref::<BoxError>();
    match error.and_then(failure::find) {
        Some(failure) if failure.category() == ApplicationErrorCategory::Benign => Ending::Benign,
        _ => Ending::Failed,
    }
}

/// Whether what a service of any stack failed with is a failure: see [`ending`].
pub fn is_failure<O: Operation, E: 'static>(error: &E) -> bool {
    ending::<O, E>(error) == Ending::Failed
}

/// The gRPC status for a middleware's error.
///
/// A [`Status`] stays as it is, with its details. Where a status is what an error was caused by, and says best what
/// happened, it is that status again: code, message, details and metadata. Anything else becomes a status of the code
/// that [`kind`] finds. Both have the error as their source. ([`Status::from_error`] maps `tower`'s own errors to
/// `UNKNOWN`.)
pub fn status(error: BoxError) -> Status {
    match error.downcast::<Status>() {
        Ok(status) => *status,
        Err(error) => {
            let kind = kind(&error);
            let mut status = match (kind, find_in::<Status>(error.as_ref())) {
                (ErrorKind::Status(_), Some(cause)) => Status::with_details_and_metadata(
                    cause.code(),
                    cause.message(),
                    cause.details().to_vec().into(),
                    cause.metadata().clone(),
                ),
                _ => Status::new(kind.code(), error.to_string()),
            };
            status.set_source(Arc::from(error));
            status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{ClientProbe, ProbeError};
    use temporalio_common::error::ApplicationFailure;

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] BoxError);

    #[test]
    fn known_errors_have_their_code() {
        let retry_after = Some(Duration::from_millis(20));
        let cases: [(BoxError, Code); 7] = [
            (
                tower::timeout::error::Elapsed::new().into(),
                Code::DeadlineExceeded,
            ),
            (
                tower::load_shed::error::Overloaded::new().into(),
                Code::ResourceExhausted,
            ),
            (Overloaded { retry_after }.into(), Code::ResourceExhausted),
            (Denied::new("no").into(), Code::PermissionDenied),
            (Invalid::new("no").into(), Code::InvalidArgument),
            (Status::not_found("it").into(), Code::NotFound),
            ("anything".into(), Code::Unknown),
        ];
        for (error, code) in cases {
            let text = error.to_string();
            assert_eq!(status(error).code(), code, "{text}");
        }
    }

    #[tokio::test]
    async fn a_buffer_without_its_service_is_unavailable() {
        let service = tower::service_fn(|(): ()| std::future::ready(Ok::<_, BoxError>(())));
        let (buffer, worker) = tower::buffer::Buffer::<(), _>::pair(service, 1);
        drop(worker);
        let error = tower::ServiceExt::<()>::ready_oneshot(buffer)
            .await
            .expect_err("the worker is gone");
        assert_eq!(kind(&error), ErrorKind::Unavailable);
    }

    #[test]
    fn a_cause_decides_when_the_error_itself_is_unknown() {
        let error: BoxError = Wrapped(Denied::new("no").into()).into();
        let status = status(error);
        assert_eq!(status.code(), Code::PermissionDenied);
        let source = status.source().expect("the original is kept");
        assert!(source.is::<Wrapped>(), "{source:?}");
    }

    #[test]
    fn an_operation_s_error_is_found_boxed_or_not() {
        let own = || ProbeError::Failed("x".to_owned());
        assert!(find::<ClientProbe, _>(&own()).is_some());
        assert!(find::<ClientProbe, BoxError>(&own().into()).is_some());
        let wrapped: BoxError = Wrapped(own().into()).into();
        assert!(find::<ClientProbe, _>(&wrapped).is_some());
        let other: BoxError = Denied::new("no").into();
        assert!(find::<ClientProbe, _>(&other).is_none());
        assert!(is_failure::<ClientProbe, _>(&other));
    }

    #[test]
    fn every_kind_has_a_word_of_its_own_code() {
        for (kind, word) in [
            (ErrorKind::Other, "failed"),
            (ErrorKind::Panicked, "panicked"),
            (ErrorKind::Misuse, "misuse"),
            (ErrorKind::Denied, "permission_denied"),
            (ErrorKind::Overloaded, "resource_exhausted"),
            (ErrorKind::Status(Code::NotFound), "not_found"),
            (ErrorKind::Status(Code::Unknown), "unknown"),
            (ErrorKind::Status(Code::Internal), "internal"),
        ] {
            assert_eq!(kind.as_str(), word, "{kind:?}");
        }
        // All seventeen codes, as gRPC spells them.
        for code in (0..17).map(Code::from_i32) {
            let spelled = ErrorKind::Status(code).as_str().replace('_', "");
            assert_eq!(spelled, format!("{code:?}").to_lowercase());
        }
    }

    #[test]
    fn a_middleware_s_error_is_a_failure_unless_it_is_marked_benign() {
        let failure = |category| -> BoxError {
            ApplicationFailure::builder("x")
                .category(category)
                .build()
                .into()
        };
        let benign = failure(ApplicationErrorCategory::Benign);
        assert_eq!(ending::<ClientProbe, _>(&benign), Ending::Benign);
        assert!(!is_failure::<ClientProbe, _>(&benign));
        let ordinary = failure(ApplicationErrorCategory::Unspecified);
        assert_eq!(ending::<ClientProbe, _>(&ordinary), Ending::Failed);
    }

    #[test]
    fn a_status_that_is_a_cause_keeps_all_that_is_in_it() {
        let mut cause = Status::with_details(Code::AlreadyExists, "there", vec![1, 2].into());
        cause.metadata_mut().insert("x-run", "1".parse().unwrap());
        let status = status(Wrapped(cause.into()).into());
        assert_eq!(
            (status.code(), status.message(), status.details()),
            (Code::AlreadyExists, "there", &[1, 2][..])
        );
        assert_eq!(status.metadata().get("x-run").unwrap(), "1");
        assert!(status.source().expect("what it was in").is::<Wrapped>());
    }

    #[test]
    fn a_status_is_passed_on_untouched() {
        let original = Status::with_details(Code::AlreadyExists, "there", vec![1, 2].into());
        let status = status(original.into());
        assert_eq!(
            (status.code(), status.details()),
            (Code::AlreadyExists, &[1, 2][..])
        );
    }
}
