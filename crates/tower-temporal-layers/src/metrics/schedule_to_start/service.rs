use crate::metrics::{Instrument, MeterBackend, Metric, Recorder, cache::Cache};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower_service::Service;
use tower_temporal_core::{Operation, Request};

/// The service of [`ScheduleToStartLatencyLayer`](super::ScheduleToStartLatencyLayer).
#[derive(Clone, Debug)]
pub struct ScheduleToStartLatency<S> {
    pub(super) inner: S,
    pub(super) histogram: Arc<Histogram>,
}

impl<O, S> Service<Request<O>> for ScheduleToStartLatency<S>
where
    O: Operation,
    S: Service<Request<O>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> S::Future {
        if let Some(queued) = request.queued() {
            let target = request.target();
            self.histogram
                .of(target.workflow_type, target.activity_type)
                .record(queued.latency());
        }
        self.inner.call(request)
    }
}

/// The histogram, and what has been made of it for each type of workflow and of activity.
#[derive(Debug)]
pub(super) struct Histogram {
    histogram: Instrument<Duration>,
    workflow_types: Cache<String, Arc<ActivityTypes>>,
}

type ActivityTypes = Cache<String, Recorder<Duration>>;

impl Histogram {
    pub(super) fn new(meter: &impl MeterBackend) -> Self {
        Self {
            histogram: meter.histogram(Metric::new(
                "custom_activity_schedule_to_start_latency",
                "From when an activity was scheduled to when it was started",
            )),
            workflow_types: Cache::default(),
        }
    }

    fn of(&self, workflow_type: Option<&str>, activity_type: Option<&str>) -> Recorder<Duration> {
        // An activity of its own has no workflow. Labels are always the same, or Prometheus would have two metrics.
        let (workflow, activity) = (
            workflow_type.unwrap_or("none"),
            activity_type.unwrap_or("none"),
        );
        self.workflow_types
            .get(workflow, Arc::default)
            .get(activity, || {
                self.histogram
                    .bind(&[("workflow_type", workflow), ("activity_type", activity)])
            })
    }
}
