use std::{any::Any, fmt, time::SystemTime};
use temporalio_common::{
    data_converters::{
        GenericPayloadConverter, PayloadConversionError, PayloadConverter, RawValue,
        SerializationContext, SerializationContextData, TemporalSerializable,
    },
    error::ApplicationErrorCategory,
    protos::temporal::api::common::v1::Payload,
};
use temporalio_sdk::{
    activities::{ActivityError, ActivityInfo},
    interceptors::{ActivityExecutionValue, ExecuteActivityInput},
};
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Category, Ending, HeaderMap, HeaderMapMut, Headers, HeadersMut, Operation, Queued,
    Repeatable, Request, Target, failure::application_failure, scope::TaskScope,
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

    tower_temporal_core::spare!(ExecuteActivity);

    fn headers(input: &ExecuteActivityInput) -> Headers<'_> {
        Headers::one(HeaderMap::Payloads(input.headers()))
    }

    fn headers_mut(input: &mut ExecuteActivityInput) -> HeadersMut<'_> {
        HeadersMut::one(HeaderMapMut::Payloads(input.headers_mut()))
    }

    fn target<'a>(input: &'a ExecuteActivityInput, (): &'a ()) -> Target<'a> {
        target(input.activity_info())
    }

    fn args<T: Any>(input: &ExecuteActivityInput) -> [Option<&T>; 2] {
        [input.args_ref(), None]
    }

    fn deadline(input: &ExecuteActivityInput) -> Option<SystemTime> {
        input.activity_info().deadline
    }

    fn queued(input: &ExecuteActivityInput) -> Option<Queued> {
        let info = input.activity_info();
        // A local one is in no task queue, and all its attempts have the time of the first.
        if info.is_local {
            return None;
        }
        Some(Queued {
            scheduled: info.current_attempt_scheduled_time?,
            started: info.started_time?,
        })
    }

    fn error(error: BoxError) -> ExecuteActivityError {
        ExecuteActivityError(ActivityError::application(application_failure(error)))
    }

    fn ending(error: &ExecuteActivityError) -> Ending {
        match &error.0 {
            ActivityError::Application(failure)
                if failure.category() == ApplicationErrorCategory::Benign =>
            {
                Ending::Benign
            }
            ActivityError::Cancelled { .. } => Ending::Cancelled,
            ActivityError::WillCompleteAsync => Ending::CompletesLater,
            _ => Ending::Failed,
        }
    }
}

/// An activity is named by its namespace, its workflow's id and run id if it has a workflow, its type, its own id, and the time
/// when it was scheduled first, in nanoseconds since 1970; a standalone one by its own run id too.
///
/// An id alone names one activity only for as long as that is pending: a workflow may use it again.
///
/// A local activity is named without the time, which only its worker knows. The ids that the SDK gives are used once in a run;
/// one of your own must be too. A local activity that waits for its next attempt by a workflow's timer, as it does where the
/// wait is long, is a new one to the SDK: with a new id, if it is one of the SDK's.
impl Repeatable for ExecuteActivity {
    fn identity(input: &ExecuteActivityInput) -> String {
        let info = input.activity_info();
        let run = match &info.workflow_id {
            Some(_) => &info.workflow_run_id,
            None => &info.activity_run_id,
        };
        let scheduled = info.scheduled_time.filter(|_| !info.is_local);
        let scheduled = scheduled.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        // As JSON, since ids may contain whatever would separate them.
        serde_json::json!([
            info.namespace,
            info.workflow_id,
            run,
            info.activity_type,
            info.activity_id,
            scheduled.map(|time| time.as_nanos() as u64),
        ])
        .to_string()
    }

    fn encode(
        output: &mut Box<dyn ActivityExecutionValue>,
        converter: &PayloadConverter,
    ) -> Result<Payload, BoxError> {
        let data = SerializationContextData::None;
        let context = SerializationContext::new(&data, converter);
        // Types that the SDK's converters know by their type: as themselves.
        if output.downcast_ref::<()>().is_some() {
            return Ok(converter.to_payload(&context, &())?);
        }
        if let Some(bytes) = output.downcast_ref::<Vec<u8>>() {
            return Ok(converter.to_payload(&context, bytes)?);
        }
        if let Some(bytes) = output.downcast_ref::<Option<Vec<u8>>>() {
            return Ok(converter.to_payload(&context, bytes)?);
        }
        let own = OwnOutput(std::mem::replace(output, Box::new(())));
        let payload = converter.to_payload(&context, &own);
        *output = own.0;
        Ok(payload?)
    }

    fn encoded(payload: Payload) -> Box<dyn ActivityExecutionValue> {
        Box::new(RawValue::new(vec![payload]))
    }
}

/// An output that the converters take, which need to know a type.
struct OwnOutput(Box<dyn ActivityExecutionValue>);

impl TemporalSerializable for OwnOutput {
    fn as_serde(&self) -> Result<&dyn erased_serde::Serialize, PayloadConversionError> {
        self.0.as_serde()
    }

    fn to_payload(
        &self,
        context: &SerializationContext<'_>,
    ) -> Result<Payload, PayloadConversionError> {
        self.0.to_payload(context)
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

impl From<ActivityError> for ExecuteActivityError {
    fn from(error: ActivityError) -> Self {
        Self(error)
    }
}

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
            ActivityError::Application(failure) => Some(&**failure),
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
