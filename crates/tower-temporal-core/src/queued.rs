use std::time::{Duration, SystemTime};

/// How long a call has waited in a task queue: from when it was scheduled to when a worker started it.
///
/// Both times are the server's, or two servers' of one cluster, whose clocks may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// When this attempt was scheduled.
    pub scheduled: SystemTime,
    /// When a worker was given it.
    pub started: SystemTime,
}

impl Queued {
    /// From scheduled to started. It is zero where the clocks say that it was started first.
    pub fn latency(&self) -> Duration {
        self.started
            .duration_since(self.scheduled)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_backwards_gives_zero() {
        let earlier = SystemTime::UNIX_EPOCH;
        let later = earlier + Duration::from_millis(1500);
        let latency = |scheduled, started| Queued { scheduled, started }.latency();
        assert_eq!(latency(earlier, later), Duration::from_millis(1500));
        assert_eq!(latency(later, earlier), Duration::ZERO);
        assert_eq!(latency(later, later), Duration::ZERO);
    }
}
