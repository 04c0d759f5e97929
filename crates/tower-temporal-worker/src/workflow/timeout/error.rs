use std::time::Duration;
use tower::timeout::error::Elapsed;

/// A call of or into a workflow has taken longer than a [`TimeoutLayer`](super::TimeoutLayer) allows.
#[derive(Debug, thiserror::Error)]
#[error("`{operation}` has timed out after {timeout:?}")]
pub struct TimeoutError {
    operation: &'static str,
    timeout: Duration,
    // What every tower user's code looks for.
    #[source]
    source: Elapsed,
}

impl TimeoutError {
    pub(super) fn new(operation: &'static str, timeout: Duration) -> Self {
        Self {
            operation,
            timeout,
            source: Elapsed::new(),
        }
    }

    /// The operation's name.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The time the call was given.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }
}
