//! Which layers may go into a workflow's stack, and which may not.

#![cfg(feature = "full")]

use std::marker::PhantomData;
use tower_temporal_core::{ContextKey, InterceptLayer, ReplaySafe};
use tower_temporal_layers::{
    audit::AuditLayer,
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    catch_panic::CatchPanicLayer,
    dedup::DedupLayer,
    gate::GateLayer,
    key::ByValue,
    limit::{
        ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer,
    },
    map_error::MapErrorLayer,
    metrics::{MetricsLayer, ScheduleToStartLatencyLayer},
    otel::OtelLayer,
    propagation::PropagationLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
    validate::ValidateLayer,
};

struct Is<L>(PhantomData<L>);

/// What is found for a type that has nothing better.
trait NotSafe {
    const SAFE: bool = false;
}

impl<L> NotSafe for Is<L> {}

/// This is better, where it applies.
impl<L: ReplaySafe> Is<L> {
    const SAFE: bool = true;
}

struct User;

impl ContextKey for User {
    type Value = String;
    const HEADER: &'static str = "user";
}

#[test]
fn layers_for_workflows_are_replay_safe_and_no_others() {
    let safe = [
        Is::<AuditLayer<()>>::SAFE,
        Is::<AuthorizeLayer<()>>::SAFE,
        Is::<InterceptLayer<()>>::SAFE,
        Is::<MapErrorLayer<()>>::SAFE,
        Is::<MetricsLayer>::SAFE,
        Is::<OtelLayer>::SAFE,
        Is::<PropagationLayer<()>>::SAFE,
        Is::<TraceLayer>::SAFE,
        Is::<ValidateLayer<(), ()>>::SAFE,
    ];
    assert_eq!(safe, [true; 9]);
    let others = [
        Is::<AsyncAuthorizeLayer<()>>::SAFE,
        Is::<CatchPanicLayer>::SAFE,
        Is::<ConcurrencyLimitLayer>::SAFE,
        Is::<DedupLayer<()>>::SAFE,
        Is::<GateLayer<()>>::SAFE,
        Is::<KeyedConcurrencyLimitLayer<ByValue<User>>>::SAFE,
        Is::<KeyedRateLimitLayer<ByValue<User>>>::SAFE,
        Is::<RateLimitLayer>::SAFE,
        Is::<ScheduleToStartLatencyLayer>::SAFE,
        Is::<TimeoutLayer>::SAFE,
    ];
    assert_eq!(others, [false; 10]);
}
