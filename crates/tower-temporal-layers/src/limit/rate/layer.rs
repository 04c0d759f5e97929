use super::{RateLimit, service::Limiter};
use crate::limit::quota::quota;
use std::{fmt, sync::Arc, time::Duration};
use tower_layer::Layer;

/// Limits how often calls are made. See the [module](crate::limit).
///
/// A value, with its clones, is one limit for all that it is applied to: several workers are limited together. For a limit
/// of each, give each a value of its own.
///
/// It counts a call before gates and policies are asked, wherever they are, and so also one that they refuse. To count none
/// of those, use a [`KeyedRateLimitLayer`](super::KeyedRateLimitLayer) with the key [`EveryCall`](crate::key::EveryCall), inside
/// of them.
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
        Self {
            limiter: Arc::new(Limiter::new(quota(calls, per))),
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
