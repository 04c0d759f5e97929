use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tonic::Code;
use tower_temporal::{BoxError, ErrorKind, Operation, error};

/// What an HTTP caller gets for a call of Temporal that did not succeed.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    /// What a stack around the operation `O` failed with.
    pub fn new<O: Operation>(error: &BoxError) -> Self {
        let status = match error::kind_of::<O, _>(error) {
            ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            kind => match kind.code() {
                Code::AlreadyExists => StatusCode::CONFLICT,
                Code::NotFound => StatusCode::NOT_FOUND,
                Code::InvalidArgument => StatusCode::BAD_REQUEST,
                Code::PermissionDenied => StatusCode::FORBIDDEN,
                Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
                Code::ResourceExhausted | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                // The workflow has answered: it refuses the update, or has failed.
                _ if !error::is_failure::<O, _>(error) => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::BAD_GATEWAY,
            },
        };
        Self {
            status,
            message: error.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}
