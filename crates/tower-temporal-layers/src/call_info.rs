use std::fmt;
use tower_temporal_core::{Category, ErrorKind, Headers, Operation, Request, Scope, Target, error};

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
    /// Whether the call waits at the server until something happens, and is made again when it has waited in vain: waiting for
    /// the result of a workflow or an update is made of such calls.
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
            is_long_poll: O::is_long_poll(request),
            headers: request.headers(),
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
            .finish_non_exhaustive()
    }
}

/// How a call that did not succeed has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What happened.
    pub kind: ErrorKind,
    /// Whether that is a failure. A workflow that continues as new, an activity that completes later and an error that is
    /// marked benign are none.
    pub is_failure: bool,
}

impl Outcome {
    /// How a call of the operation `O` has ended, from what any service of its stack failed with.
    pub fn new<O: Operation, E: 'static>(error: &E) -> Self {
        Self {
            kind: error::kind_of::<O, E>(error),
            is_failure: error::is_failure::<O, E>(error),
        }
    }
}
