//! The activity that charges: a service that calls another over HTTP.

use super::context;
use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activity_definitions;
use temporalio_sdk::activities::ActivityError;
use tower::{BoxError, ServiceBuilder, service_fn};
use tower_temporal::activity::{ActivityService, Call};

/// What is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// For which order: it is charged once.
    pub order_id: String,
    /// How much.
    pub cents: u32,
}

/// What was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The receipt's number.
    pub number: String,
}

/// The activities that workflows call; [`charge()`] does the one.
pub(crate) struct Payments;

#[allow(
    clippy::unimplemented,
    reason = "it is what the SDK wants in a definition"
)]
#[activity_definitions]
impl Payments {
    /// Charges for an order.
    #[activity(name = "charge")]
    pub(crate) fn charge(_: Charge) -> Result<Receipt, ActivityError> {
        unimplemented!()
    }
}

/// Charges at the HTTP service at `url`, at most eight orders at a time.
pub(crate) fn charge(url: &str) -> impl ActivityService<Call<Charge>, Receipt> + use<> {
    let http = http_client();
    let url = format!("{url}/charges");
    ServiceBuilder::new()
        .concurrency_limit(8)
        .timeout(Duration::from_secs(5))
        .service(service_fn(move |call: Call<Charge>| {
            post_charge(http.clone(), url.clone(), call)
        }))
}

/// A client for HTTP.
///
/// In this workspace reqwest is built with TLS and no provider of cryptography, since the SDK's download of a dev server
/// asks for it so; a client can't be made before there is one.
pub fn http_client() -> reqwest::Client {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn post_charge(
    http: reqwest::Client,
    url: String,
    call: Call<Charge>,
) -> Result<Receipt, BoxError> {
    let mut request = http
        .post(url)
        .header("idempotency-key", &call.order_id)
        .headers(context::outgoing());
    if let Some(activity) = call.context() {
        request = request.header("x-attempt", activity.info().attempt);
    }
    let response = request.json(&*call).send().await?;
    // What the other side refuses, it refuses again. What it fails at is worth another attempt.
    if response.status().is_client_error() {
        let refused = format!("payment refused: {}", response.status());
        return Err(ApplicationFailure::builder(refused)
            .type_name("PaymentRefused".to_owned())
            .non_retryable(true)
            .build()
            .into());
    }
    Ok(response.error_for_status()?.json().await?)
}

/// A payment service for trying it out. It prints what it is asked for, and refuses to charge nothing.
pub fn fake_payments() -> Router {
    Router::new().route(
        "/charges",
        post(async |headers: HeaderMap, Json(charge): Json<Charge>| {
            let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
            println!(
                "payments: {charge:?}, {}={:?}, {}={:?}",
                context::REQUEST_ID,
                header(context::REQUEST_ID),
                context::TRACE[0],
                header(context::TRACE[0]),
            );
            if charge.cents == 0 {
                return Err(StatusCode::PAYMENT_REQUIRED);
            }
            Ok(Json(Receipt {
                number: format!("receipt-of-{}", charge.order_id),
            }))
        }),
    )
}
