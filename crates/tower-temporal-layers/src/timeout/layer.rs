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
    /// It is for what is on the way to the server and takes a connection that waits for one that is dead. It does not end the
    /// wait for a workflow's result: the server knows the deadline of a poll, answers with nothing before, and the SDK polls
    /// again. Put a [`tokio::time::timeout`] around the wait for that.
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
