use super::{RateLimit, service::Limiter};
use crate::limit::quota::{TokioClock, quota};
use std::{fmt, sync::Arc, time::Duration};
use tower_layer::Layer;

/// Limits how often calls are made. See the [module](crate::limit).
#[derive(Clone)]
pub struct RateLimitLayer {
    limiter: Arc<Limiter>,
    sheds: bool,
}

impl RateLimitLayer {
    /// Lets `calls` through in `per`. They may come all at once, and then one comes in `per / calls`.
    ///
    /// # Panics
    ///
    /// If `calls` is zero, or `per` is less than a nanosecond for each.
    #[track_caller]
    pub fn new(calls: u32, per: Duration) -> Self {
        let quota = quota(calls, per);
        Self {
            limiter: Arc::new(Limiter::direct_with_clock(quota, TokioClock)),
            sheds: false,
        }
    }

    /// Fails calls that are over the limit, instead of letting them wait.
    pub fn shed(self) -> Self {
        Self {
            sheds: true,
            ..self
        }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit::new(inner, self.limiter.clone(), self.sheds)
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("sheds", &self.sheds)
            .finish_non_exhaustive()
    }
}
