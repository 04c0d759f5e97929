//! What may go into a workflow's stack. What may not is in the tests of the crate `tower-temporal-core`.

use std::{future::ready, time::Duration};
use tower::{
    ServiceBuilder,
    filter::FilterLayer,
    layer::{layer_fn, util::Stack},
    util::{
        AndThenLayer, MapErrLayer, MapRequestLayer, MapResponseLayer, MapResultLayer, ThenLayer,
        option_layer,
    },
};
use tower_temporal::{
    BoxError, ContextKey, Interceptors, Next, ReplaySafe, Request, assert_replay_safe, from_fn, on,
    propagation::PropagationLayer,
    workflow::{HandleSignal, ScheduleActivity, StartTimer, TimeoutLayer},
};

struct UserId;

impl ContextKey for UserId {
    type Value = String;
    const HEADER: &'static str = "user-id";
}

/// A layer of a user's, marked by them.
#[derive(Clone)]
struct Mine;

impl ReplaySafe for Mine {}

impl<S> tower::Layer<S> for Mine {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

#[test]
fn all_that_is_allowed_makes_a_stack() {
    let inner = ServiceBuilder::new()
        .option_layer(Some(Mine))
        .layer(option_layer(None::<Mine>))
        .layer(Stack::new(Mine, Mine));
    let inbound = ServiceBuilder::new()
        .layer(inner)
        .layer(PropagationLayer::<UserId>::new())
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .layer(from_fn(
            async |request: Request<HandleSignal>, next: Next<HandleSignal>| {
                next.run(request).await
            },
        ))
        .layer(assert_replay_safe(layer_fn(|service| service)));
    let outbound = ServiceBuilder::new()
        .layer(on::<StartTimer, _>(MapRequestLayer::new(
            |request: Request<StartTimer>| request,
        )))
        .layer(on::<StartTimer, _>(FilterLayer::new(
            |request: Request<StartTimer>| Ok::<_, BoxError>(request),
        )))
        .layer(on::<ScheduleActivity, _>(
            ServiceBuilder::new()
                .layer(MapErrLayer::new(|error: BoxError| error))
                .layer(MapResponseLayer::new(|response| response))
                .layer(MapResultLayer::new(|result: Result<_, BoxError>| result))
                .layer(ThenLayer::new(|result: Result<_, BoxError>| ready(result)))
                .layer(AndThenLayer::new(|response| {
                    ready(Ok::<_, BoxError>(response))
                }))
                .layer(MapErrLayer::new(BoxError::from)),
        ));
    let interceptors = Interceptors::builder()
        .workflow_inbound(inbound)
        .workflow_outbound(outbound)
        .build();
    assert!(format!("{interceptors:?}").contains("workflow: true"));
}
