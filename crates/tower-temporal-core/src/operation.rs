use crate::{
    BoxError, Ending, ErrorKind, Headers, HeadersMut, Queued, Scope, Target, call::Spare, error,
};
use std::{
    any::Any,
    fmt,
    thread::LocalKey,
    time::{Duration, SystemTime},
};
use temporalio_common::{
    data_converters::PayloadConverter, protos::temporal::api::common::v1::Payload,
};

/// One interceptable Temporal call.
///
/// It is implemented by a marker type per call, such as `client::StartWorkflow` or `workflow::HandleSignal`, which
/// names the SDK's own types for it. Code that is generic over `O: Operation` serves every call of every category.
pub trait Operation: Sized + 'static {
    /// What the call is given: the SDK's own input type.
    type Input: 'static;
    /// What the call returns when it succeeds: the SDK's own output type.
    type Output: 'static;
    /// What the call returns when it fails: the SDK's own error, or a thin wrapper of it where the SDK's type is no
    /// [`std::error::Error`].
    type Error: std::error::Error + Send + Sync + 'static;
    /// What surrounds the call: `()` for clients and activities, the SDK's interceptor context in workflows.
    type Context: Clone + 'static;
    /// How context values are read and set around this call; see [`Scope`].
    type Scope: Scope<Self::Context>;

    /// The SDK's name of the call, for example `start_workflow`; of a gRPC call that of its method, `StartActivityExecution`.
    const NAME: &'static str;
    /// The category the call belongs to.
    const CATEGORY: Category;

    /// The Temporal headers the input carries; none for most operations.
    fn headers(input: &Self::Input) -> Headers<'_> {
        let _ = input;
        Headers::none()
    }

    /// The Temporal headers the input carries, to be changed.
    fn headers_mut(input: &mut Self::Input) -> HeadersMut<'_> {
        let _ = input;
        HeadersMut::none()
    }

    /// What the call is aimed at, for span names, metric labels and log lines.
    fn target<'a>(input: &'a Self::Input, context: &'a Self::Context) -> Target<'a> {
        let _ = (input, context);
        Target::default()
    }

    /// The call's arguments that are a `T`: what the SDK's `args_ref::<T>()` and its like give. A call has two where it
    /// starts a workflow and signals or updates it in one.
    fn args<T: Any>(input: &Self::Input) -> [Option<&T>; 2] {
        let _ = input;
        [None, None]
    }

    /// How long the call has waited in a task queue. None for most operations: it is activities that wait.
    fn queued(input: &Self::Input) -> Option<Queued> {
        let _ = input;
        None
    }

    /// When the server gives the call up: the deadline of an activity's attempt. None for most operations.
    fn deadline(input: &Self::Input) -> Option<SystemTime> {
        let _ = input;
        None
    }

    /// Gives each request that the call sends to the server this long, unless it has less already. Does nothing for most
    /// operations.
    fn limit_timeout(input: &mut Self::Input, timeout: Duration) {
        let _ = (input, timeout);
    }

    /// Whether the call waits at the server until something happens, for as long as that takes: waiting for the result of a
    /// workflow or an update is made of such calls.
    fn is_long_poll(input: &Self::Input) -> bool {
        let _ = input;
        false
    }

    /// Turns the error of a middleware into this operation's error.
    ///
    /// The error is not one of this operation already: [`call::into_error`](crate::call::into_error) has looked.
    fn error(error: BoxError) -> Self::Error;

    /// What happened, as far as this operation's error tells.
    ///
    /// By default that is what [`error::kind`](crate::error::kind) finds in the error and its causes. An error that keeps
    /// its gRPC status to itself is looked into here.
    fn kind(error: &Self::Error) -> ErrorKind {
        error::kind_in(error)
    }

    /// Where a thread keeps an allocation of one call for the next. Calls are the same with it and without, and only their cost is
    /// not; by default nothing is kept. It is written by [`spare!`](crate::spare).
    fn spare() -> Option<&'static LocalKey<Spare<Self>>> {
        None
    }

    /// How a call has ended that gave this error: with a failure, or with an outcome that the SDK happens to carry in an
    /// `Err`.
    fn ending(error: &Self::Error) -> Ending {
        let _ = error;
        Ending::Failed
    }
}

/// An operation whose output can be kept outside of this process, and given again to a later attempt of the same call.
pub trait Repeatable: Operation {
    /// Names the call: the same for every attempt of it, and for no other call.
    fn identity(input: &Self::Input) -> String;

    /// Encodes an output, as the SDK encodes it with `converter`. It is the same afterwards; the SDK's converters take a
    /// value of its own rather than what one has borrowed.
    ///
    /// # Errors
    ///
    /// The converter's.
    fn encode(output: &mut Self::Output, converter: &PayloadConverter)
    -> Result<Payload, BoxError>;

    /// An output that is encoded already.
    fn encoded(payload: Payload) -> Self::Output;
}

/// The kinds of calls that can be intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Calls of a client to the server: `start_workflow`, `signal_workflow`, `update_schedule` …
    ClientOutbound,
    /// Calls into a workflow: `execute`, `handle_signal`, `handle_query` …
    WorkflowInbound,
    /// Calls a workflow makes: `schedule_activity`, `start_timer`, `start_child_workflow` …
    WorkflowOutbound,
    /// Calls into an activity: `execute_activity`.
    ActivityInbound,
    /// Calls an activity makes: `heartbeat`, `info`.
    ActivityOutbound,
    /// gRPC calls, beneath all of the above: `StartActivityExecution`, `RecordActivityTaskHeartbeat` …
    Rpc,
}

impl Category {
    /// The category's name in snake case, as used for metric labels and span fields: `client_outbound`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientOutbound => "client_outbound",
            Self::WorkflowInbound => "workflow_inbound",
            Self::WorkflowOutbound => "workflow_outbound",
            Self::ActivityInbound => "activity_inbound",
            Self::ActivityOutbound => "activity_outbound",
            Self::Rpc => "rpc",
        }
    }

    /// Whether calls of this category come in, to a workflow or an activity, rather than go out.
    pub const fn is_inbound(self) -> bool {
        matches!(self, Self::WorkflowInbound | Self::ActivityInbound)
    }

    /// Whether calls of this category run inside a workflow: single-threaded, and again on every replay.
    pub const fn is_workflow(self) -> bool {
        matches!(self, Self::WorkflowInbound | Self::WorkflowOutbound)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
