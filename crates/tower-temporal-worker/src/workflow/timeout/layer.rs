use super::service::{Kept, Timeout};
use std::time::Duration;
use tower_layer::Layer;
use tower_temporal_core::ReplaySafe;

/// Gives calls of and into a workflow a deadline, kept by a workflow timer.
///
/// ```
/// use std::time::Duration;
/// use tower_temporal_core::on;
/// use tower_temporal_worker::workflow::{self, ScheduleActivity, TimeoutLayer};
///
/// // No activity takes longer than a minute, retries and queueing included.
/// let outbound = on::<ScheduleActivity, _>(TimeoutLayer::new(Duration::from_secs(60)));
/// let interceptor = workflow::interceptor(tower::layer::util::Identity::new(), outbound);
/// # let _ = interceptor;
/// ```
///
/// When the time is up
///
/// - an outbound call is cancelled, through its cancellation token, and fails with a [`TimeoutError`](super::TimeoutError).
///   With [`wait_for_cancellation`](Self::wait_for_cancellation) it ends when the cancelled operation does;
/// - a handler is dropped where it stands, and fails with that error.
///
/// Synchronous operations and timers pass it by. `cancel_external_workflow` has nothing to cancel it with: it fails in time, and
/// the request goes on.
///
/// The deadline of an outbound call is for who awaits it. A call that workflow code has dropped is not cancelled by it, and its
/// timer stays in the workflow until it fires.
///
/// It changes a workflow's commands. Like every such change, adding this layer to a stack, taking it away, or changing where
/// it applies can break the replay of workflows that are already running, unless they are kept on their worker's version.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    timeout: Duration,
    waits: bool,
}

impl TimeoutLayer {
    /// Gives each call `timeout`, from when it was made.
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waits: false,
        }
    }

    /// Whether an outbound call whose time is up waits for the cancelled operation to end. By default it does not.
    ///
    /// If the operation turns out to have succeeded all the same, its output is the call's.
    pub const fn wait_for_cancellation(mut self, waits: bool) -> Self {
        self.waits = waits;
        self
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            timeout: self.timeout,
            waits: self.waits,
            kept: Kept::default(),
        }
    }
}

/// It keeps time by a workflow timer.
impl ReplaySafe for TimeoutLayer {}
