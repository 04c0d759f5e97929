use std::{any::Any, error::Error, fmt};
use tower_temporal_core::{
    BoxError, Category, Ending, ErrorKind, Headers, Operation, Request, Scope, Target, error,
};

/// What is known of a call before it is made, for code that is not generic over the operation.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct CallInfo<'a> {
    /// The category.
    pub category: Category,
    /// The SDK's name of the operation: `start_workflow`.
    pub operation: &'static str,
    /// What the call is aimed at.
    pub target: Target<'a>,
    /// The workflow that makes the call, for calls that workflows make; empty otherwise.
    pub caller: Target<'a>,
    /// Whether the call began while its workflow was replayed and is only told of now that it ends. Its headers are not
    /// known any more then.
    pub is_resumed: bool,
    /// Whether the call waits at the server until something happens, for as long as that takes: waiting for the result of a
    /// workflow or an update is made of such calls.
    pub is_long_poll: bool,
    headers: Headers<'a>,
}

impl<'a> CallInfo<'a> {
    /// What is known of `request`.
    pub fn new<O: Operation>(request: &'a Request<O>) -> Self {
        Self {
            category: O::CATEGORY,
            operation: O::NAME,
            target: request.target(),
            caller: O::Scope::caller(request.context()),
            is_resumed: false,
            is_long_poll: O::is_long_poll(request),
            headers: request.headers(),
        }
    }

    /// What is still known at its end of a call of `O` that began in a replay.
    #[cfg(feature = "trace")]
    pub(crate) const fn resumed<O: Operation>(target: Target<'a>, caller: Target<'a>) -> Self {
        Self {
            category: O::CATEGORY,
            operation: O::NAME,
            target,
            caller,
            is_resumed: true,
            // Calls in workflows are none.
            is_long_poll: false,
            headers: Headers::none(),
        }
    }

    /// The Temporal headers the call carries.
    pub const fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// Headers are left out: they may hold what should not be logged.
impl fmt::Debug for CallInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallInfo")
            .field("category", &self.category)
            .field("operation", &self.operation)
            .field("target", &self.target)
            .field("caller", &self.caller)
            .field("is_long_poll", &self.is_long_poll)
            .field("is_resumed", &self.is_resumed)
            .finish_non_exhaustive()
    }
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It has done what it was to do. What the SDK calls an error is in here too where it is no more than an answer, such
    /// as that a workflow which was to be started is running already.
    Completed,
    /// It was cancelled, or has failed since something that it waited for was.
    Cancelled,
    /// The workflow has continued as new.
    ContinuedAsNew,
    /// The activity has returned, and will be completed by somebody else.
    CompletesLater,
    /// It has failed with an error that is marked benign, which is no failure.
    Benign,
    /// It has failed, or was refused.
    Failed(ErrorKind),
    /// Its caller has not waited for its end.
    GivenUp,
}

impl Outcome {
    /// How a call of the operation `O` has ended, from what any service of its stack came to.
    pub fn of<O: Operation, T, E: 'static>(result: &Result<T, E>) -> Self {
        let Err(error) = result else {
            return Self::Completed;
        };
        match error::ending::<O, E>(error) {
            Ending::Answered => Self::Completed,
            Ending::Cancelled => Self::Cancelled,
            Ending::ContinuedAsNew => Self::ContinuedAsNew,
            Ending::CompletesLater => Self::CompletesLater,
            Ending::Benign => Self::Benign,
            _ => Self::Failed(error::kind_of::<O, E>(error)),
        }
    }

    /// Whether it is a failure, and of which kind.
    pub const fn failure(self) -> Option<ErrorKind> {
        match self {
            Self::Failed(kind) => Some(kind),
            _ => None,
        }
    }

    /// A stable word for it, for labels and fields: `ok`, `cancelled`, `continued_as_new`, `completes_later`, `benign`,
    /// `given_up`, and for a failure that of its [kind](ErrorKind::as_str).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "ok",
            Self::Cancelled => "cancelled",
            Self::ContinuedAsNew => "continued_as_new",
            Self::CompletesLater => "completes_later",
            Self::Benign => "benign",
            Self::Failed(kind) => kind.as_str(),
            Self::GivenUp => "given_up",
        }
    }
}

/// What a call has failed with, for code that is not generic over the operation.
///
/// [`Display`](fmt::Display) writes the error's text, and that of what has caused it in the first place, unless it is in there: a
/// workflow's failure of its own says no more than that an activity has failed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// What happened.
    pub kind: ErrorKind,
    error: Option<&'a (dyn Error + 'static)>,
}

impl<'a> Failure<'a> {
    /// What a call of the operation `O` has failed with, from what any service of its stack has.
    pub fn new<O: Operation, E: 'static>(error: &'a E) -> Self {
        let boxed = (error as &dyn Any).downcast_ref::<BoxError>();
        Self {
            kind: error::kind_of::<O, E>(error),
            error: match boxed {
                Some(error) => Some(error.as_ref()),
                None => error::find::<O, E>(error).map(|error| error as _),
            },
        }
    }

    /// The error itself: the operation's own, or a middleware's. None if a service of the stack has an error type of its
    /// own, which need not be an [`Error`].
    pub const fn error(&self) -> Option<&'a (dyn Error + 'static)> {
        self.error
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(error) = self.error else {
            return f.write_str(self.kind.as_str());
        };
        let text = error.to_string();
        f.write_str(&text)?;
        let (mut first, mut next) = (None, error.source());
        while let Some(cause) = next {
            first = Some(cause.to_string());
            next = cause.source();
        }
        match first {
            Some(cause) if !text.contains(&cause) => write!(f, ": {cause}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_temporal_core::{
        Denied,
        probe::{ClientProbe, ProbeError},
    };

    #[test]
    fn a_failure_says_what_it_is_whatever_carries_it() {
        let own = ProbeError::Failed("no money".to_owned());
        let failure = Failure::new::<ClientProbe, _>(&own);
        assert_eq!(failure.to_string(), "the probe failed: no money");
        assert!(
            failure
                .error()
                .is_some_and(|error| error.is::<ProbeError>())
        );
        let denied: BoxError = Denied::new("no").into();
        let failure = Failure::new::<ClientProbe, _>(&denied);
        assert_eq!(failure.to_string(), "denied: no");
        assert_eq!(failure.kind, ErrorKind::Denied);
        // One that does not say why.
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Caused(&'static str, #[source] BoxError);

        let inner = Caused("the task failed", "the bank is closed".into());
        let outer: BoxError = Caused("the activity failed", inner.into()).into();
        let failure = Failure::new::<ClientProbe, _>(&outer);
        assert_eq!(
            failure.to_string(),
            "the activity failed: the bank is closed"
        );
        // Of a stack whose error is none.
        let failure = Failure::new::<ClientProbe, _>(&7);
        assert_eq!(failure.to_string(), "failed");
        assert!(failure.error().is_none());
    }
}
