use super::{Body, unary::OK};
use crate::retry::Attempts;
use http::{Request, Response};
use std::{any::Any, sync::Arc, time::Duration};
use tokio::time::Sleep;
use tonic::{Code, Status};
use tower::retry::{Policy, backoff::InvalidBackoff, budget::TpsBudget};
use tower_temporal_core::{BoxError, error};

/// How a call has ended, as a layer over a [whole](super::Whole) response sees it.
///
/// What a middleware failed with has the code that [`error::status`] gives it. A response that does not say in its headers
/// how it ends is taken to end well: one that is not whole.
pub fn code<B, E: 'static>(result: &Result<Response<B>, E>) -> Code {
    match result {
        Ok(response) => match response.headers().get(Status::GRPC_STATUS) {
            Some(code) if code != OK => Code::from_bytes(code.as_bytes()),
            _ => Code::Ok,
        },
        Err(error) => {
            let error: &dyn Any = error;
            if let Some(error) = error.downcast_ref::<BoxError>() {
                error::kind(error).code()
            } else {
                error
                    .downcast_ref::<Status>()
                    .map_or(Code::Unknown, Status::code)
            }
        }
    }
}

/// A policy for [`tower::retry`] that sends a call again which ended with `UNAVAILABLE`.
///
/// ```
/// use tower::retry::RetryLayer;
/// use tower_temporal_client::rpc;
///
/// # fn connection(channel: tonic::transport::Channel) {
/// let connection = rpc::over(channel).short_calls(RetryLayer::new(rpc::Retry::new()));
/// # let _ = connection;
/// # }
/// ```
///
/// It needs no judgement of which calls may be repeated: the request is the same to the byte, with the request id by which the
/// server knows a call it has had, as in the SDK's own retries above it. Those see what is left after these, and multiply:
/// turn them down with [`RetryOptions`](temporalio_client::RetryOptions) if that is too much.
///
/// There are at most three retries, after waits that begin with 50 ms and double up to 2 s, give or take a random part; and no
/// more than a fifth of the calls that succeed, plus ten in a second: the [`TpsBudget`] is shared by all clones.
#[derive(Clone, Debug)]
pub struct Retry {
    attempts: Attempts,
    is_transient: fn(Code) -> bool,
}

impl Retry {
    /// The policy that the [type](Self) describes.
    pub fn new() -> Self {
        Self {
            attempts: Attempts::new(),
            is_transient: |code| code == Code::Unavailable,
        }
    }

    /// Sends a call again at most this often.
    pub fn retries(mut self, retries: u32) -> Self {
        self.attempts = self.attempts.retries(retries);
        self
    }

    /// Waits this long before the first retry of a call (its backoff), twice as long before the second, and at most `max`.
    ///
    /// # Errors
    ///
    /// If `min` is more than `max`, or `max` is zero.
    pub fn waits(mut self, min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        self.attempts = self.attempts.waits(min, max)?;
        Ok(self)
    }

    /// Sends a call again that ended with one of these codes.
    pub fn when(mut self, is_transient: fn(Code) -> bool) -> Self {
        self.is_transient = is_transient;
        self
    }

    /// Takes retries from `budget`, which other policies may share.
    pub fn budget(mut self, budget: Arc<TpsBudget>) -> Self {
        self.attempts = self.attempts.budget(budget);
        self
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

impl<B, E: 'static> Policy<Request<Body>, Response<B>, E> for Retry {
    type Future = Sleep;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Self::Future> {
        if (self.is_transient)(code(result)) {
            return self.attempts.next(Duration::ZERO);
        }
        self.attempts.deposit();
        None
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}
