//! The routes.

use super::{ApiError, NewOrder, Status, Temporal, context, orders::OrderWorkflow};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    middleware,
    routing::{get, post, put},
};
use opentelemetry_sdk::trace::SdkTracer;
use serde_json::{Value, json};
use temporalio_client::{WorkflowIdReusePolicy, WorkflowStartOptions};
use tower::ServiceBuilder;
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use tower_temporal::client::service::{
    ExecuteWorkflowUpdate, GetWorkflowResult, QueryWorkflow, SignalWorkflow, StartWorkflow,
};

/// The API.
///
/// | | | |
/// |---|---|---|
/// | `POST` | `/orders` | starts an order: `{"id": "1", "cents": 250}` |
/// | `GET` | `/orders/{id}` | how it stands |
/// | `PUT` | `/orders/{id}/address` | sets where it goes: `"12 Main Street"` |
/// | `POST` | `/orders/{id}/approval` | lets it be charged |
/// | `GET` | `/orders/{id}/receipt` | waits for its receipt |
///
/// A request without an `x-request-id` is given one, and the response says which.
///
/// Each request is a span, made with `tracer`; it is the caller's child if there is a `traceparent`.
pub fn router(temporal: Temporal, tracer: SdkTracer) -> Router {
    Router::new()
        .route("/orders", post(start))
        .route("/orders/{id}", get(status))
        .route("/orders/{id}/address", put(set_address))
        .route("/orders/{id}/approval", post(approve))
        .route("/orders/{id}/receipt", get(receipt))
        .with_state(temporal)
        .layer(
            ServiceBuilder::new()
                .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
                .layer(TraceLayer::new_for_http())
                .layer(PropagateRequestIdLayer::x_request_id())
                .layer(middleware::from_fn_with_state(tracer, context::scope)),
        )
}

async fn start(
    State(temporal): State<Temporal>,
    Json(order): Json<NewOrder>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    // An order's id is used once. A start whose answer is lost is made again as the same start, so what is answered with 409 is
    // another's.
    let options = WorkflowStartOptions::new(&temporal.task_queue, &order.id)
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .build();
    let start = StartWorkflow::new(OrderWorkflow::run, order, options);
    let handle = temporal.call(start).await?;
    let started = json!({ "id": handle.info().workflow_id, "run_id": handle.run_id() });
    Ok((StatusCode::CREATED, Json(started)))
}

async fn status(
    State(temporal): State<Temporal>,
    Path(id): Path<String>,
) -> Result<Json<Status>, ApiError> {
    let query = QueryWorkflow::new(id, OrderWorkflow::status, (), Default::default());
    Ok(Json(temporal.call(query).await?))
}

async fn set_address(
    State(temporal): State<Temporal>,
    Path(id): Path<String>,
    Json(address): Json<String>,
) -> Result<Json<Status>, ApiError> {
    let update = OrderWorkflow::set_address;
    let update = ExecuteWorkflowUpdate::new(id, update, address, Default::default());
    Ok(Json(temporal.call(update).await?))
}

async fn approve(
    State(temporal): State<Temporal>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let signal = SignalWorkflow::new(id, OrderWorkflow::approve, (), Default::default());
    temporal.call(signal).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn receipt(
    State(temporal): State<Temporal>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let result = GetWorkflowResult::new(id, OrderWorkflow::run, Default::default());
    let number = temporal.call(result).await?;
    Ok(Json(json!({ "receipt": number })))
}
