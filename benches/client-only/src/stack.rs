//! The stack: the README's layers, or every ready-made layer that a client can have.

use std::time::Duration;
use tower_temporal::{
    Interceptors,
    propagation::{ContextKey, PropagationLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

pub(crate) fn interceptors() -> Interceptors {
    let interceptors = Interceptors::builder()
        .client(TraceLayer::new())
        .client(PropagationLayer::<UserId>::new())
        .client(TimeoutLayer::new(Duration::from_secs(10)));
    #[cfg(feature = "every-layer")]
    let interceptors = {
        use opentelemetry::{global, trace::TracerProvider};
        use opentelemetry_sdk::trace::SdkTracerProvider;
        use tower_temporal::{
            CallInfo, audit::*, authorize::*, catch_panic::*, limit::*, map_error::*, metrics::*,
            otel::*, validate::*,
        };

        let second = Duration::from_secs(1);
        let task_queue = |call: &CallInfo<'_>| call.target.task_queue.map(str::to_owned);
        interceptors
            .client(OtelLayer::new(
                SdkTracerProvider::default().tracer("client"),
            ))
            .client(MetricsLayer::new(&global::meter("client")))
            .client(AuditLayer::new(|record: AuditRecord<()>| {
                println!("{record:?}")
            }))
            .client(AuthorizeLayer::new(|_: &CallInfo<'_>| Ok::<_, String>(())))
            .client(ValidateLayer::new(|_: &u64, _| Ok::<_, String>(())))
            .client(RateLimitLayer::new(100, second))
            .client(KeyedRateLimitLayer::new(100, second, task_queue))
            .client(KeyedConcurrencyLimitLayer::new(100, task_queue))
            .client(MapErrorLayer::new(|_: &mut Failed| ()))
            .client(CatchPanicLayer::new())
    };
    interceptors.build()
}
