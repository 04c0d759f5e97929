use crate::failure::application_failure;
use std::fmt;
use temporalio_common::error::ApplicationErrorCategory;
use temporalio_sdk::{
    activities::{ActivityError, ActivityInfo},
    interceptors::{ActivityExecutionValue, ExecuteActivityInput},
};
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Category, HeaderMap, HeaderMapMut, Headers, HeadersMut, Operation, Queued, Request,
    Target, scope::TaskScope,
};

/// The names of all inbound operations.
pub const INBOUND_OPERATIONS: &[&str] = &[ExecuteActivity::NAME];

/// Executes an activity.
///
/// The operation `execute_activity` of
/// [`ActivityInboundInterceptor`](temporalio_sdk::interceptors::ActivityInboundInterceptor): [`ExecuteActivityInput`] →
/// [`Box<dyn ActivityExecutionValue>`](ActivityExecutionValue), failing with [`ExecuteActivityError`].
#[derive(Clone, Copy, Debug)]
pub struct ExecuteActivity;

impl Operation for ExecuteActivity {
    type Input = ExecuteActivityInput;
    type Output = Box<dyn ActivityExecutionValue>;
    type Error = ExecuteActivityError;
    type Context = ();
    type Scope = TaskScope;

    const NAME: &'static str = "execute_activity";
    const CATEGORY: Category = Category::ActivityInbound;

    fn headers(input: &ExecuteActivityInput) -> Headers<'_> {
        Headers::one(HeaderMap::Payloads(input.headers()))
    }

    fn headers_mut(input: &mut ExecuteActivityInput) -> HeadersMut<'_> {
        HeadersMut::one(HeaderMapMut::Payloads(input.headers_mut()))
    }

    fn target<'a>(input: &'a ExecuteActivityInput, (): &'a ()) -> Target<'a> {
        target(input.activity_info())
    }

    fn queued(input: &ExecuteActivityInput) -> Option<Queued> {
        let info = input.activity_info();
        Some(Queued {
            scheduled: info.current_attempt_scheduled_time?,
            started: info.started_time?,
        })
    }

    fn error(error: BoxError) -> ExecuteActivityError {
        ExecuteActivityError(ActivityError::application(application_failure(error)))
    }

    fn is_failure(error: &ExecuteActivityError) -> bool {
        match &error.0 {
            ActivityError::Application(failure) => {
                failure.category() != ApplicationErrorCategory::Benign
            }
            ActivityError::Cancelled { .. } | ActivityError::WillCompleteAsync => false,
            _ => true,
        }
    }
}

pub(super) fn target(info: &ActivityInfo) -> Target<'_> {
    Target {
        run_id: info
            .workflow_run_id
            .as_deref()
            .or(info.activity_run_id.as_deref()),
        activity_type: Some(&info.activity_type),
        activity_id: Some(&info.activity_id),
        task_queue: Some(&info.task_queue),
        attempt: Some(info.attempt),
        ..Target::workflow(info.workflow_type.as_deref(), info.workflow_id.as_deref())
    }
}

/// What an activity failed with: the SDK's [`ActivityError`], as a [`std::error::Error`], which that type is not.
///
/// `WillCompleteAsync` and `Cancelled` are outcomes rather than failures; a layer should let them through untouched.
#[derive(Debug)]
pub struct ExecuteActivityError(pub ActivityError);

impl fmt::Display for ExecuteActivityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ActivityError::Application(failure) => failure.fmt(f),
            ActivityError::Cancelled { .. } => f.write_str("the activity was cancelled"),
            ActivityError::WillCompleteAsync => {
                f.write_str("the activity will be completed asynchronously")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl std::error::Error for ExecuteActivityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            ActivityError::Application(failure) => Some(failure.source_error()),
            _ => None,
        }
    }
}

/// A stack that serves every call into an activity.
///
/// It is implemented for every service that qualifies; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the inbound stack of activities",
    label = "does not serve `ExecuteActivity`",
    note = "an activity's stack is `Clone + Send + 'static` and serves `Request<ExecuteActivity>` with \
            `Response = Box<dyn ActivityExecutionValue>`, `Error: Into<BoxError>` and `Future: Send`"
)]
pub trait ActivityInboundService:
    Clone
    + Send
    + 'static
    + Service<
        Request<ExecuteActivity>,
        Response = Box<dyn ActivityExecutionValue>,
        Error: Into<BoxError>,
        Future: Send,
    >
{
}

impl<S> ActivityInboundService for S where
    S: Clone
        + Send
        + 'static
        + Service<
            Request<ExecuteActivity>,
            Response = Box<dyn ActivityExecutionValue>,
            Error: Into<BoxError>,
            Future: Send,
        >
{
}
