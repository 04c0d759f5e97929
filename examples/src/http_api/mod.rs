//! An HTTP API in front of Temporal, made of tower services from one end to the other.
//!
//! ```text
//!  HTTP request ─▶ axum ─▶ ClientService in a stack ─▶ Temporal ─▶ OrderWorkflow ─▶ activity `charge` ─▶ HTTP request
//!  x-request-id    scope   load shed, limit, timeout,              (Temporal       a reqwest service     x-request-id
//!  traceparent             retry, timeout, propagation             headers)                              traceparent
//! ```
//!
//! It is one trace: each step has a span under that of the step before, and the trace's id is the caller's.
//!
//! `cargo run --bin http_api` runs all of it on a dev server.

mod context;
mod error;
mod orders;
mod payments;
mod routes;
mod temporal;

pub use self::{
    context::{REQUEST_ID, RequestId, TRACE},
    error::ApiError,
    orders::{NewOrder, Status},
    payments::{Charge, Receipt, fake_payments, http_client},
    routes::router,
    temporal::{Limits, Temporal, client_options},
};

use self::{
    orders::OrderWorkflow,
    payments::{Payments, charge},
};
use opentelemetry_sdk::trace::SdkTracer;
use std::time::Duration;
use temporalio_sdk::{WorkerOptions, workflows::WorkflowRegistrationError};
use tower::ServiceBuilder;
use tower_temporal::{
    Interceptors, activity, otel::OtelLayer, propagation::PropagationLayer, timeout::TimeoutLayer,
};

/// Carries the trace and the request's id from the client through workflows into activities.
///
/// The calls into Temporal get the request's id from [`Temporal`]'s own stack, which could as well be done here. Spans are named
/// after the SDK's calls, which are seen here.
pub fn interceptors(tracer: SdkTracer) -> Interceptors {
    let spans = OtelLayer::new(tracer);
    let context = ServiceBuilder::new()
        .layer(spans.clone())
        .layer(PropagationLayer::<RequestId>::new());
    // An attempt ends a second before the server gives it up, so that it is known why.
    let deadline = TimeoutLayer::deadline().margin(Duration::from_secs(1));
    Interceptors::builder()
        .client(spans)
        .workflow_inbound(context.clone())
        .workflow_outbound(context.clone())
        .activity_inbound(ServiceBuilder::new().layer(context).layer(deadline))
        .build()
}

/// A worker of orders, which charges at the HTTP service at `payments_url`.
///
/// # Errors
///
/// If the SDK refuses the workflow.
pub fn worker(
    task_queue: &str,
    payments_url: &str,
) -> Result<WorkerOptions, WorkflowRegistrationError> {
    Ok(WorkerOptions::new(task_queue)
        .register_workflow::<OrderWorkflow>()?
        .register_activities(
            // A worker that shuts down need not wait for the payment service.
            activity::from_service(Payments::charge, charge(payments_url)).stop_when_cancelled(),
        )
        .build())
}
