use super::{Body, status, unary::OK};
use crate::retry::Attempts;
use http::{Request, Response};
use std::{any::Any, error::Error, sync::Arc, time::Duration};
use tokio::time::Sleep;
use tonic::{Code, Status, transport};
use tower::retry::{Policy, backoff::InvalidBackoff, budget::TpsBudget};
use tower_temporal_core::BoxError;

/// How a call has ended, as a layer over a [whole](super::Whole) response sees it.
///
/// What a channel or a middleware failed with has the code that the SDK is given for it. (One thing only a status says: why
/// HTTP/2 reset a call. Where it is not made yet, in a stack by hand without [`Whole`](super::Whole), that is a lost connection.)
/// A response that does not say in its headers how it ends is taken to end well: one that is not whole.
pub fn code<B, E: 'static>(result: &Result<Response<B>, E>) -> Code {
    match result {
        Ok(response) => match response.headers().get(Status::GRPC_STATUS) {
            Some(code) if code != OK => Code::from_bytes(code.as_bytes()),
            _ => Code::Ok,
        },
        Err(error) => as_error(error).map_or(Code::Unknown, status::code),
    }
}

/// What services of a connection fail with: middleware, [`Whole`](super::Whole) and a channel.
fn as_error<E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    let error: &dyn Any = error;
    if let Some(error) = error.downcast_ref::<BoxError>() {
        Some(error.as_ref())
    } else if let Some(error) = error.downcast_ref::<Status>() {
        Some(error)
    } else {
        Some(error.downcast_ref::<transport::Error>()?)
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
/// It repeats a call whatever it is, as the SDK's own retries above it do. The request is the same to the byte, so a start, a
/// signal, an update or a cancellation that has arrived after all is known to the server by its id. Not every call is: a
/// termination that names no run has no id, and its repeat may come to the next run; a signal with start is known by the run
/// it went to, and once that has ended, its repeat may start another.
/// [`IdempotentRetry`](crate::service::IdempotentRetry) tells such calls apart.
///
/// The SDK's retries see what is left after these, and multiply: turn them down with
/// [`RetryOptions`](temporalio_client::RetryOptions) if that is too much.
///
/// There are at most three retries, after waits that begin with 50 ms and double. Up to half as much is added at random, and
/// none is longer than 2 s. There are no more than a fifth of the calls that end otherwise, plus ten in a second: the
/// [`TpsBudget`] is shared by all clones.
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

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::transport::{Channel, Endpoint};
    use tower::{
        ServiceBuilder, ServiceExt, retry::RetryLayer, timeout::error::Elapsed,
        util::MapRequestLayer,
    };
    use tower_temporal_core::{CallError, Denied};

    type Ended<E> = Result<Response<Body>, E>;

    /// A channel to where nobody listens.
    fn refused() -> Channel {
        Endpoint::from_static("http://127.0.0.1:1").connect_lazy()
    }

    #[tokio::test]
    async fn an_error_has_the_code_that_the_sdk_is_given_for_it() {
        let call = || refused().oneshot(Request::new(tonic::body::Body::empty()));
        let boxed: [Ended<BoxError>; 6] = [
            Err(call().await.unwrap_err().into()),
            Err(CallError::Gone { operation: "x" }.into()),
            Err(Elapsed::new().into()),
            Err(Denied::new("no").into()),
            Err(Status::not_found("").into()),
            Err("anything else".into()),
        ];
        for ended in boxed {
            let code = code(&ended);
            let status = status::status(ended.unwrap_err());
            assert_eq!(code, status.code(), "{status:?}");
        }
        // As they are, in no box.
        let refused = call().await.map(|response| response.map(|_| ()));
        assert_eq!(code(&refused), Code::Unavailable);
        let not_found: Ended<Status> = Err(Status::not_found(""));
        assert_eq!(code(&not_found), Code::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_s_error_is_retried_in_a_stack_built_by_hand() {
        let attempts = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let in_stack = attempts.clone();
        let stack = ServiceBuilder::new()
            .layer(RetryLayer::new(Retry::new().retries(2)))
            .layer(MapRequestLayer::new(move |request| {
                in_stack.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                crate::rpc::into_tonic(request)
            }))
            .service(refused());
        let error = stack.oneshot(Request::new(Body::default())).await;
        assert!(error.is_err(), "nobody listens");
        assert_eq!(attempts.load(std::sync::atomic::Ordering::SeqCst), 3);
    }
}
