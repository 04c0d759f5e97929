use super::{Body, unary::OK};
use http::{Request, Response};
use std::{any::Any, fmt, sync::Arc, time::Duration};
use tonic::{Code, Status};
use tower::{
    retry::{
        Policy,
        backoff::{
            Backoff, ExponentialBackoff, ExponentialBackoffMaker, InvalidBackoff, MakeBackoff,
        },
        budget::{Budget, TpsBudget},
    },
    util::rng::HasherRng,
};
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
#[derive(Clone)]
pub struct Retry {
    retries: u32,
    min: Duration,
    max: Duration,
    is_transient: fn(Code) -> bool,
    budget: Arc<TpsBudget>,
    /// It is there from the first retry of a call on.
    backoff: Option<ExponentialBackoff>,
}

impl Retry {
    /// The policy that the [type](Self) describes.
    pub fn new() -> Self {
        Self {
            retries: 3,
            min: Duration::from_millis(50),
            max: Duration::from_secs(2),
            is_transient: |code| code == Code::Unavailable,
            budget: Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2)),
            backoff: None,
        }
    }

    /// Sends a call again at most this often.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Waits this long before the first retry of a call, twice as long before the second, and at most `max`.
    ///
    /// # Errors
    ///
    /// If `min` is more than `max`, or `max` is zero.
    pub fn waits(mut self, min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        (self.min, self.max) = (min, max);
        self.maker()?;
        Ok(self)
    }

    /// Sends a call again that ended with one of these codes.
    pub fn when(mut self, is_transient: fn(Code) -> bool) -> Self {
        self.is_transient = is_transient;
        self
    }

    /// Takes retries from `budget`, which other policies may share.
    pub fn budget(mut self, budget: Arc<TpsBudget>) -> Self {
        self.budget = budget;
        self
    }

    /// A generator of its own for each call, or all would wait for the same random times.
    fn maker(&self) -> Result<ExponentialBackoffMaker, InvalidBackoff> {
        ExponentialBackoffMaker::new(self.min, self.max, 0.5, HasherRng::new())
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

impl<B, E: 'static> Policy<Request<Body>, Response<B>, E> for Retry {
    type Future = <ExponentialBackoff as Backoff>::Future;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Self::Future> {
        if !(self.is_transient)(code(result)) {
            self.budget.deposit();
            return None;
        }
        if self.retries == 0 || !self.budget.withdraw() {
            return None;
        }
        self.retries -= 1;
        let mut backoff = self.backoff.take().unwrap_or_else(|| {
            let mut maker = self
                .maker()
                .expect("the waits were looked at when they were set");
            maker.make_backoff()
        });
        let wait = backoff.next_backoff();
        self.backoff = Some(backoff);
        Some(wait)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("retries", &self.retries)
            .field("min", &self.min)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}
