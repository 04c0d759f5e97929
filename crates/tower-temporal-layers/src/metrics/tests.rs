use super::{Attribute, Instrument, MeterBackend, Metric, MetricsLayer, Recorder};
use crate::{
    metrics::ScheduleToStartLatencyLayer,
    test_support::{ExecuteActivity, ExecuteWorkflow, InitializeWorkflow, Surroundings, call},
};
use std::{
    collections::BTreeMap,
    future::pending,
    ops::AddAssign,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tower::service_fn;
use tower_layer::Layer;
use tower_temporal_core::{BoxError, Denied, Request, Terminal, probe};

/// A registry of the test's own: what each instrument has come to, and how often one was bound.
#[derive(Clone, Default)]
struct Registry {
    sums: Arc<Mutex<BTreeMap<String, i64>>>,
    bound: Arc<Mutex<usize>>,
}

impl Registry {
    fn instrument<V: 'static>(
        &self,
        metric: Metric,
        amount: impl Fn(V) -> i64 + Copy + Send + Sync + 'static,
    ) -> Instrument<V> {
        let this = self.clone();
        Instrument::new(move |attributes: &[Attribute<'_>]| {
            *this.bound.lock().unwrap() += 1;
            let values: Vec<_> = attributes.iter().map(|(_, value)| *value).collect();
            let name = format!("{} {}", metric.name, values.join(" "));
            let sums = this.sums.clone();
            Recorder::new(move |value| {
                let mut sums = sums.lock().unwrap();
                sums.entry(name.clone())
                    .or_default()
                    .add_assign(amount(value));
            })
        })
    }

    fn sums(&self) -> Vec<(String, i64)> {
        self.sums.lock().unwrap().clone().into_iter().collect()
    }

    fn sum(&self, name: &str) -> Option<i64> {
        self.sums.lock().unwrap().get(name).copied()
    }
}

impl MeterBackend for Registry {
    fn counter(&self, metric: Metric) -> Instrument<u64> {
        self.instrument(metric, |value: u64| value.try_into().unwrap())
    }

    fn up_down_counter(&self, metric: Metric) -> Instrument<i64> {
        self.instrument(metric, |value| value)
    }

    /// How many durations there were, and not how long.
    fn histogram(&self, metric: Metric) -> Instrument<Duration> {
        self.instrument(metric, |_| 1)
    }
}

#[tokio::test]
async fn calls_failures_and_latency_are_recorded_by_category_and_operation() {
    let registry = Registry::default();
    let layer = MetricsLayer::new(&registry);
    let stack = layer.layer(Terminal);
    let succeed = |input: probe::ProbeInput| Ok(input.value);
    for _ in 0..3 {
        let call = probe::call::<probe::ClientProbe, _, _>(stack.clone(), 1, succeed);
        call.await.unwrap();
    }
    let fail = |_| Err(probe::ProbeError::Failed("x".to_owned()));
    let call = probe::call::<probe::ActivityInboundProbe, _, _>(stack, 1, fail);
    call.await.unwrap_err();
    let denied = layer.layer(service_fn(async |_: Request<probe::ClientProbe>| {
        Err::<u32, _>(BoxError::from(Denied::new("no")))
    }));
    let call = probe::call::<probe::ClientProbe, _, _>(denied, 1, succeed);
    call.await.unwrap_err();
    let (client, activity) = (
        "client_outbound client_probe",
        "activity_inbound activity_inbound_probe",
    );
    let expected = [
        (format!("tower_temporal_calls {activity}"), 1),
        (format!("tower_temporal_calls {client}"), 4),
        (format!("tower_temporal_failures {activity} failed"), 1),
        (
            format!("tower_temporal_failures {client} permission_denied"),
            1,
        ),
        (format!("tower_temporal_in_flight {activity}"), 0),
        (format!("tower_temporal_in_flight {client}"), 0),
        (format!("tower_temporal_latency {activity}"), 1),
        (format!("tower_temporal_latency {client}"), 4),
    ];
    assert_eq!(registry.sums(), expected);
    assert_eq!(*registry.bound.lock().unwrap(), 8, "each is bound once");
}

#[tokio::test]
async fn an_error_that_is_no_failure_is_not_counted_as_one() {
    let registry = Registry::default();
    let stack =
        MetricsLayer::new(&registry).layer(service_fn(async |_: Request<ExecuteActivity>| {
            Err::<u32, _>(probe::ProbeError::Failed("benign".to_owned()))
        }));
    let surroundings = Surroundings::outside();
    call(stack, 1, &surroundings).await.unwrap_err();
    let names: Vec<_> = registry.sums().into_iter().map(|(name, _)| name).collect();
    assert!(
        !names.iter().any(|name| name.contains("failures")),
        "{names:?}"
    );
    let latency = "tower_temporal_latency activity_inbound execute_activity";
    assert_eq!(registry.sum(latency), Some(1));
}

#[tokio::test]
async fn what_is_in_flight_comes_down_when_a_call_is_dropped() {
    let registry = Registry::default();
    let stack = MetricsLayer::new(&registry).layer(service_fn(|_: Request<ExecuteActivity>| {
        pending::<Result<u32, BoxError>>()
    }));
    let in_flight = || registry.sum("tower_temporal_in_flight activity_inbound execute_activity");
    let surroundings = Surroundings::outside();
    let first = call(stack.clone(), 1, &surroundings);
    let second = call(stack, 1, &surroundings);
    assert_eq!(in_flight(), Some(2));
    drop(first);
    assert_eq!(in_flight(), Some(1));
    drop(second);
    assert_eq!(in_flight(), Some(0));
    let latency = "tower_temporal_latency activity_inbound execute_activity";
    assert_eq!(registry.sum(latency), None, "it has not ended");
}

#[tokio::test]
async fn a_panic_in_a_call_leaves_nothing_in_flight() {
    let registry = Registry::default();
    let stack =
        MetricsLayer::new(&registry).layer(service_fn(async |_: Request<ExecuteActivity>| {
            panic!("the activity's own")
        }));
    let surroundings = Surroundings::outside();
    let ended = tokio::spawn(async move { call::<_, _>(stack, 1, &surroundings).await });
    let ended: Result<Result<u32, BoxError>, _> = ended.await;
    assert!(ended.unwrap_err().is_panic());
    let in_flight = "tower_temporal_in_flight activity_inbound execute_activity";
    assert_eq!(registry.sum(in_flight), Some(0));
}

#[tokio::test]
async fn a_replay_records_nothing_and_what_ends_after_it_only_its_failure() {
    let registry = Registry::default();
    let layer = MetricsLayer::new(&registry);
    let operation = "workflow_inbound execute";
    let surroundings = Surroundings::workflow(true);
    let stack = layer.layer(service_fn(async |_: Request<ExecuteWorkflow>| {
        Ok::<_, BoxError>(1)
    }));
    call(stack, 1, &surroundings).await.unwrap();
    let in_flight = format!("tower_temporal_in_flight {operation}");
    assert_eq!(registry.sums(), [(in_flight.clone(), 0)]);

    let until_live = surroundings.clone();
    let stack = layer.layer(service_fn(move |_: Request<ExecuteWorkflow>| {
        until_live.is_replaying.store(false, Ordering::SeqCst);
        async { Err::<u32, _>(probe::ProbeError::Failed("x".to_owned())) }
    }));
    call(stack, 1, &surroundings).await.unwrap_err();
    let expected = [
        (format!("tower_temporal_failures {operation} failed"), 1),
        (in_flight, 0),
    ];
    assert_eq!(registry.sums(), expected);
}

#[tokio::test]
async fn the_creation_of_a_workflow_that_may_be_a_replay_is_not_counted() {
    let registry = Registry::default();
    let stack =
        MetricsLayer::new(&registry).layer(service_fn(async |_: Request<InitializeWorkflow>| {
            Ok::<_, BoxError>(1)
        }));
    call(stack, 1, &Surroundings::before_workflow())
        .await
        .unwrap();
    let in_flight = "tower_temporal_in_flight workflow_inbound initialize_workflow";
    assert_eq!(registry.sums(), [(in_flight.to_owned(), 0)]);
}

/// What [`ScheduleToStartLatencyLayer`] records for an activity that was started at second `started`.
async fn schedule_to_start(started: u32) -> Vec<(String, Duration)> {
    struct Durations(Arc<Mutex<Vec<(String, Duration)>>>);

    impl MeterBackend for Durations {
        fn counter(&self, _: Metric) -> Instrument<u64> {
            unreachable!("nothing is counted")
        }

        fn up_down_counter(&self, _: Metric) -> Instrument<i64> {
            unreachable!("nothing is counted")
        }

        fn histogram(&self, metric: Metric) -> Instrument<Duration> {
            let durations = self.0.clone();
            Instrument::new(move |attributes: &[Attribute<'_>]| {
                let name = format!("{} {attributes:?}", metric.name);
                let durations = durations.clone();
                Recorder::new(move |value| durations.lock().unwrap().push((name.clone(), value)))
            })
        }
    }

    let durations = Arc::default();
    let stack = ScheduleToStartLatencyLayer::new(&Durations(Arc::clone(&durations))).layer(
        service_fn(async |_: Request<ExecuteActivity>| Ok::<u32, BoxError>(1)),
    );
    let surroundings = Surroundings::outside();
    call(stack.clone(), started, &surroundings).await.unwrap();
    call(stack, started, &surroundings).await.unwrap();
    let durations = durations.lock().unwrap();
    durations.clone()
}

#[tokio::test]
async fn an_activity_s_wait_is_recorded_and_is_never_negative() {
    let name = r#"custom_activity_schedule_to_start_latency [("workflow_type", "Order"), ("activity_type", "charge")]"#;
    let recorded = |seconds| vec![(name.to_owned(), Duration::from_secs(seconds)); 2];
    assert_eq!(schedule_to_start(12).await, recorded(2));
    assert_eq!(
        schedule_to_start(7).await,
        recorded(0),
        "a clock that ran backwards"
    );
}
