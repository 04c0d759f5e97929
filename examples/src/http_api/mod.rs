//! An HTTP API in front of Temporal, made of tower services from one end to the other.
//!
//! ```text
//!  HTTP request ─▶ axum ─▶ ClientService in a stack ─▶ Temporal ─▶ OrderWorkflow ─▶ activity `charge` ─▶ HTTP request
//!  x-request-id    scope   load shed, limit, timeout,              (Temporal       a reqwest service     x-request-id
//!  traceparent             retry, propagation                      headers)                              traceparent
//! ```
//!
//! `cargo run --bin http_api` runs all of it on a dev server.

mod context;
mod error;
mod orders;
mod payments;
mod routes;
mod temporal;

pub use self::{
    context::{REQUEST_ID, RequestId, TRACEPARENT, TraceParent},
    error::ApiError,
    orders::{NewOrder, Status},
    payments::{Charge, Receipt, fake_payments, http_client},
    routes::router,
    temporal::{Limits, Temporal},
};

use self::{
    orders::OrderWorkflow,
    payments::{Payments, charge},
};
use temporalio_sdk::{WorkerOptions, workflows::WorkflowRegistrationError};
use tower::ServiceBuilder;
use tower_temporal::{Interceptors, activity, propagation::PropagationLayer};

/// Carries the request's context from the client through workflows into activities.
///
/// The calls into Temporal get it from [`Temporal`]'s own stack, so the client needs no layer here.
pub fn interceptors() -> Interceptors {
    let context = ServiceBuilder::new()
        .layer(PropagationLayer::<RequestId>::new())
        .layer(PropagationLayer::<TraceParent>::new());
    Interceptors::builder()
        .workflow_inbound(context.clone())
        .workflow_outbound(context.clone())
        .activity_inbound(context)
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
        .register_activities(activity::from_service(
            Payments::charge,
            charge(payments_url),
        ))
        .build())
}
