use super::Timeout;
use std::time::{Duration, SystemTime};
use tower_layer::Layer;
use tower_temporal_core::Operation;

/// Gives every call a deadline. See the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    timeout: Option<Duration>,
    long_polls: Option<Duration>,
    margin: Duration,
}

impl TimeoutLayer {
    /// Half a second.
    pub const DEFAULT_MARGIN: Duration = Duration::from_millis(500);

    /// Gives every call that is no long poll `timeout`, and an activity no more than its own deadline leaves.
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..Self::deadline()
        }
    }

    /// Ends activities before their own deadline, and nothing else.
    pub const fn deadline() -> Self {
        Self {
            timeout: None,
            long_polls: None,
            margin: Self::DEFAULT_MARGIN,
        }
    }

    /// Gives long polls `timeout`. Without it they wait as long as the server likes, which is 20 seconds or so.
    ///
    /// Use it where a proxy or load balancer closes connections that look idle. What it does to a wait depends on who polls:
    ///
    /// - A workflow's result is waited for with a call per poll. The server knows the deadline, answers with nothing before
    ///   it, and the SDK makes the next call: the wait goes on.
    /// - An update's outcome, in a client's stack, and every wait of a `ClientService`, is a single call in which the SDK polls.
    ///   It fails when `timeout` is over.
    pub const fn long_polls(self, timeout: Duration) -> Self {
        Self {
            long_polls: Some(timeout),
            ..self
        }
    }

    /// Ends an activity `margin` before its own deadline. Where less than twice as much is left, it is half of that.
    pub const fn margin(self, margin: Duration) -> Self {
        Self { margin, ..self }
    }

    /// How long a call with `input` may take from now on.
    pub(super) fn limit<O: Operation>(&self, input: &O::Input) -> Option<Duration> {
        let timeout = if O::is_long_poll(input) {
            self.long_polls
        } else {
            self.timeout
        };
        let left = O::deadline(input).map(|deadline| {
            let left = deadline
                .duration_since(SystemTime::now())
                .unwrap_or(Duration::ZERO);
            left - self.margin.min(left / 2)
        });
        match (timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (timeout, left) => timeout.or(left),
        }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout::new(inner, *self)
    }
}
