//! Activities that tower services do.

mod definition;
mod request;

pub use self::{
    definition::Named,
    request::{Call, FromInput},
};

use self::definition::Registered;
use super::ExecuteActivityError;
use futures_util::future::{BoxFuture, Either, select};
use std::{fmt, marker::PhantomData, pin::pin, sync::Arc};
use temporalio_common::{ActivityDefinition, error::ApplicationFailure};
use temporalio_sdk::activities::{
    ActivityContext, ActivityDefinitions, ActivityError, ActivityImplementer,
};
use tonic::Code;
use tower::ServiceExt;
use tower_service::Service;
use tower_temporal_core::{BoxError, ErrorKind, call::SharedStack, error, failure::FailureParts};

/// An activity that `service` does, for
/// [`WorkerOptions::register_activities`](temporalio_sdk::WorkerOptions::register_activities).
///
/// The activity is named and typed by one of the SDK's definitions, which a workflow needs to call it anyway. Where
/// there is none, [`Named`] is one with a name that is chosen at run time.
///
/// ```
/// use temporalio_macros::activity_definitions;
/// use temporalio_sdk::{WorkerOptions, activities::ActivityError};
/// use tower::{BoxError, ServiceBuilder, service_fn};
/// use tower_temporal_worker::activity::{self, Call, Named};
///
/// struct Payments;
///
/// #[activity_definitions]
/// impl Payments {
///     #[activity(name = "charge")]
///     fn charge(_: u32) -> Result<String, ActivityError> {
///         unimplemented!()
///     }
/// }
///
/// let charge = ServiceBuilder::new()
///     .concurrency_limit(8)
///     .service(service_fn(async |cents: u32| Ok::<_, BoxError>(format!("charged {cents}"))));
///
/// // A service that wants to know more than the input.
/// let refund = service_fn(async |call: Call<u32>| {
///     let attempt = call.context().map(|context| context.info().attempt);
///     Ok::<_, BoxError>(format!("refunded {} in attempt {attempt:?}", *call))
/// });
///
/// let options = WorkerOptions::new("payments")
///     .register_activities(activity::from_service(Payments::charge, charge))
///     .register_activities(activity::from_service(Named::<u32, String>::new("refund"), refund))
///     .build();
/// # let _ = options;
/// ```
///
/// # Requests
///
/// What the service is called with is made of the activity's input by [`FromInput`]: the input itself, a [`Call`], a
/// [`tonic::Request`] or an [`http::Request`]. All but the first have extensions, and the SDK's [`ActivityContext`] is
/// among them: the attempt and the deadline are in its [`info`](ActivityContext::info), and it tells of
/// [cancellation](ActivityContext::cancelled) and takes heartbeats.
///
/// A service of the plain input learns nothing of that. Take a [`Call`] at the edge and give on what the service within is to
/// know, with `map_request`. What needs no help from the service is done around it:
/// [`stop_when_cancelled`](ServiceActivity::stop_when_cancelled) drops it when the activity is cancelled, and a deadline that
/// ends before the server's is a layer of the worker's stack (`TimeoutLayer::deadline` of `tower-temporal-layers`).
///
/// # A client of gRPC, a handler of HTTP
///
/// A client that tonic generates has a method per call, which `service_fn` makes a service. The
/// [`tonic::Request`] has the activity's deadline:
///
/// ```
/// use temporalio_protos::temporal::api::workflowservice::v1::{
///     DescribeNamespaceRequest, workflow_service_client::WorkflowServiceClient,
/// };
/// use temporalio_sdk::WorkerOptions;
/// use tonic::{Request, Status, transport::Channel};
/// use tower::{ServiceBuilder, service_fn};
/// use tower_temporal_worker::activity::{self, Named};
///
/// fn worker(client: WorkflowServiceClient<Channel>) -> WorkerOptions {
///     let describe = ServiceBuilder::new()
///         // The activity takes a name, and the call a message.
///         .map_request(|request: Request<String>| {
///             request.map(|namespace| DescribeNamespaceRequest { namespace, ..Default::default() })
///         })
///         .service(service_fn(move |request: Request<DescribeNamespaceRequest>| {
///             let mut client = client.clone();
///             async move {
///                 let response = client.describe_namespace(request).await?.into_inner();
///                 Ok::<_, Status>(response.namespace_info.map_or_else(String::new, |info| info.id))
///             }
///         }));
///     let definition = Named::<String, String>::new("describe_namespace");
///     WorkerOptions::new("admin")
///         .register_activities(activity::from_service(definition, describe))
///         .build()
/// }
/// ```
///
/// An axum router is a service of HTTP requests. `map_request` makes one of the input, and `and_then` the output of the response:
///
/// ```
/// use axum::{Json, Router, body::Body, routing::post};
/// use temporalio_sdk::WorkerOptions;
/// use tower::{BoxError, ServiceBuilder, util::MapErrLayer};
/// use tower_temporal_worker::activity::{self, Named};
///
/// // What also serves HTTP.
/// let router: Router = Router::new()
///     .route("/charges", post(async |Json(cents): Json<u32>| format!("charged {cents}")));
///
/// let charge = ServiceBuilder::new()
///     .map_request(|request: http::Request<u32>| {
///         // The extensions stay: the activity's context is among them.
///         let (mut parts, cents) = request.into_parts();
///         parts.method = http::Method::POST;
///         parts.uri = http::Uri::from_static("/charges");
///         let json = http::HeaderValue::from_static("application/json");
///         parts.headers.insert(http::header::CONTENT_TYPE, json);
///         http::Request::from_parts(parts, Body::from(cents.to_string()))
///     })
///     .and_then(async |response: http::Response<Body>| {
///         if !response.status().is_success() {
///             return Err(BoxError::from(response.status().to_string()));
///         }
///         let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
///         Ok(String::from_utf8(bytes.into())?)
///     })
///     .layer(MapErrLayer::new(|never: std::convert::Infallible| match never {}))
///     .service(router);
///
/// let options = WorkerOptions::new("payments")
///     .register_activities(activity::from_service(Named::<u32, String>::new("charge"), charge))
///     .build();
/// # let _ = options;
/// ```
///
/// # Errors
///
/// - An [`ApplicationFailure`](temporalio_common::error::ApplicationFailure) is the activity's failure as it is: so the
///   service decides whether the activity is retried, and when.
/// - An [`ExecuteActivityError`], which any [`ActivityError`] becomes, is what it holds: so a service can say that the activity was
///   cancelled, or completes later. That it says so is seen also where a middleware has wrapped it, but the details of a
///   cancellation can't be taken out then.
/// - Anything else becomes a failure whose type is the name of the gRPC code that says it best (`DeadlineExceeded`,
///   `NotFound` …), or `ServiceError` where nothing is known. It is retried as the activity's retry policy says, unless
///   the same call can do no better: a [`Denied`](tower_temporal_core::Denied), an [`Invalid`](tower_temporal_core::Invalid), a
///   status `PERMISSION_DENIED`, `INVALID_ARGUMENT` or `UNIMPLEMENTED`.
///
/// # Readiness
///
/// The service is cloned for each call, and the activity waits until the clone is ready, holding its slot in the worker.
pub fn from_service<D, R, S>(definition: D, service: S) -> ServiceActivity<D, R, S>
where
    D: ActivityDefinition,
    R: FromInput<D::Input>,
    S: ActivityService<R, D::Output>,
{
    ServiceActivity {
        name: definition.name().into(),
        service: SharedStack::new(service),
        stops: false,
        types: PhantomData,
    }
}

/// A service that can be an activity.
///
/// It is implemented for every service that qualifies; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an activity that returns `{Output}`",
    label = "does not serve `{Request}` with the response `{Output}`",
    note = "an activity's service is `Clone + Send + 'static`, and a `Service<Request>` with the activity's output as its \
            `Response`, `Error: Into<BoxError>` and `Future: Send`",
    note = "the request is the activity's input itself, or an `activity::Call`, `http::Request` or `tonic::Request` of it"
)]
pub trait ActivityService<Request, Output>:
    Service<Request, Response = Output, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static
{
}

impl<S, Request, Output> ActivityService<Request, Output> for S where
    S: Service<Request, Response = Output, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// The activity of [`from_service`].
pub struct ServiceActivity<D, R, S> {
    name: Arc<str>,
    service: SharedStack<S>,
    stops: bool,
    types: PhantomData<fn(R) -> D>,
}

impl<D, R, S> ServiceActivity<D, R, S> {
    /// Drops the service's future when the activity is cancelled, which is then reported as cancelled.
    ///
    /// Without this a cancellation is the service's own to notice. An activity that is not local learns of
    /// its cancellation by the answer to a heartbeat. To the SDK an activity that is paused or reset is cancelled too, and it does
    /// not say which it was.
    ///
    /// The SDK also cancels an activity, heartbeats or not, whose worker shuts down (that is reported as a failure that is
    /// retried), and one that the server has given up, some seconds after its `start_to_close` or heartbeat timeout: so the slot
    /// of a service that never ends is free again.
    pub fn stop_when_cancelled(mut self) -> Self {
        self.stops = true;
        self
    }
}

impl<D, R, S> ServiceActivity<D, R, S>
where
    D: ActivityDefinition,
    R: FromInput<D::Input> + Send + 'static,
    S: ActivityService<R, D::Output>,
    D::Input: Send,
    D::Output: Send,
{
    fn execute(
        &self,
        context: ActivityContext,
        input: D::Input,
    ) -> BoxFuture<'static, Result<D::Output, ActivityError>> {
        let service = self.service.get();
        let stops = self.stops;
        Box::pin(async move {
            let request = R::from_input(input, context.clone());
            let call = service.oneshot(request);
            let result = if stops {
                let (call, cancelled) = (pin!(call), pin!(context.cancelled()));
                match select(call, cancelled).await {
                    Either::Left((result, _)) => result,
                    Either::Right(((), _)) => return Err(ActivityError::cancelled()),
                }
            } else {
                call.await
            };
            result.map_err(|error| activity_error(error.into()))
        })
    }
}

fn activity_error(error: BoxError) -> ActivityError {
    let error = match error.downcast::<ExecuteActivityError>() {
        Ok(error) => return error.0,
        Err(error) => error,
    };
    // What is wrapped can't be taken out. What is no failure can be said again.
    match error::find_in(error.as_ref()) {
        Some(ExecuteActivityError(ActivityError::WillCompleteAsync)) => {
            ActivityError::WillCompleteAsync
        }
        Some(ExecuteActivityError(ActivityError::Cancelled { .. })) => ActivityError::cancelled(),
        _ => ActivityError::application(failure(error)),
    }
}

/// As for a middleware's error, but an error that is none of tower's is named after its status, or the service.
fn failure(error: BoxError) -> ApplicationFailure {
    let error = match error.downcast::<ApplicationFailure>() {
        Ok(failure) => return *failure,
        Err(error) => error,
    };
    let mut parts = FailureParts::of(&error);
    // Who does not know the call will not know it the next time.
    parts.non_retryable |= error::kind(&error) == ErrorKind::Status(Code::Unimplemented);
    if parts.type_name.as_deref() == Some(ErrorKind::Other.type_name()) {
        parts.type_name = Some(match error::kind(&error) {
            ErrorKind::Other => "ServiceError".to_owned(),
            kind => format!("{:?}", kind.code()),
        });
    }
    parts.build(error)
}

impl<D, R, S> ActivityImplementer for ServiceActivity<D, R, S>
where
    D: ActivityDefinition + 'static,
    R: FromInput<D::Input> + Send + 'static,
    S: ActivityService<R, D::Output>,
    D::Input: Send + Sync,
    D::Output: Send + Sync,
{
    fn register_all(self: Arc<Self>, definitions: &mut ActivityDefinitions) {
        Registered::<D, R, S>::with_name(self.name.clone(), || {
            definitions.register_activity::<Registered<D, R, S>>(self);
        });
    }
}

impl<D, R, S> fmt::Debug for ServiceActivity<D, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceActivity")
            .field("name", &self.name)
            .field("stops", &self.stops)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_common::error::ApplicationFailure;
    use tower_temporal_core::Denied;

    fn failed(error: impl Into<BoxError>) -> ApplicationFailure {
        match activity_error(error.into()) {
            ActivityError::Application(failure) => *failure,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    #[test]
    fn a_failure_of_its_own_passes() {
        let own = ApplicationFailure::builder("mine")
            .type_name("Mine".to_owned())
            .non_retryable(true)
            .build();
        let failure = failed(own);
        assert_eq!(failure.type_name(), Some("Mine"));
        assert!(failure.is_non_retryable());
    }

    #[test]
    fn what_is_no_failure_passes() {
        let later = ExecuteActivityError(ActivityError::WillCompleteAsync);
        let error = activity_error(later.into());
        assert!(
            matches!(error, ActivityError::WillCompleteAsync),
            "{error:?}"
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] ExecuteActivityError);

    #[test]
    fn what_is_wrapped_is_found() {
        let error = activity_error(Wrapped(ActivityError::WillCompleteAsync.into()).into());
        assert!(
            matches!(error, ActivityError::WillCompleteAsync),
            "{error:?}"
        );
        let error = activity_error(Wrapped(ActivityError::cancelled().into()).into());
        assert!(
            matches!(error, ActivityError::Cancelled { .. }),
            "{error:?}"
        );
        let own = ApplicationFailure::builder("mine")
            .type_name("Mine".to_owned())
            .non_retryable(true)
            .build();
        let failure = failed(Wrapped(ActivityError::application(own).into()));
        assert_eq!(failure.type_name(), Some("Mine"));
        assert!(failure.is_non_retryable());
    }

    #[test]
    fn another_error_says_what_happened() {
        let denied = failed(Denied::new("no"));
        assert_eq!(denied.type_name(), Some("PermissionDenied"));
        assert!(denied.is_non_retryable());
        let absent = failed(tonic::Status::not_found("it"));
        assert_eq!(absent.type_name(), Some("NotFound"));
        assert!(!absent.is_non_retryable());
        for status in [
            tonic::Status::unimplemented("it"),
            tonic::Status::invalid_argument("it"),
        ] {
            assert!(failed(status).is_non_retryable());
        }
        let unknown = failed("broken");
        assert_eq!(unknown.type_name(), Some("ServiceError"));
        assert!(!unknown.is_non_retryable());
    }

    #[test]
    fn it_is_registered_under_its_name() {
        let service = tower::service_fn(async |n: u32| Ok::<_, BoxError>(n + 1));
        let mut definitions = ActivityDefinitions::default();
        for name in ["one", "two"] {
            definitions.register_activities(from_service(Named::<u32, u32>::new(name), service));
        }
        let registered = format!("{definitions:?}");
        assert!(
            registered.contains(r#""one""#) && registered.contains(r#""two""#),
            "{registered}"
        );
    }
}
