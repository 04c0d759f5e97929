//! Which limits give a call its place before others are asked, as the documentation of `limit` says.

#![cfg(feature = "full")]

use std::{future::pending, time::Duration};
use tokio_test::task::spawn;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Denied, ErrorKind, Request, Terminal,
    call::Call,
    error,
    probe::{self, ClientProbe, OtherProbe, ProbeError},
};
use tower_temporal_layers::{
    CallInfo,
    authorize::{AsyncAuthorizeLayer, AuthorizeLayer},
    key::EveryCall,
    limit::{
        ConcurrencyLimitLayer, KeyedConcurrencyLimitLayer, KeyedRateLimitLayer, RateLimitLayer,
    },
    timeout::TimeoutLayer,
};

const SECOND: Duration = Duration::from_secs(1);

fn operation(call: &CallInfo<'_>) -> Option<&'static str> {
    Some(call.operation)
}

/// Whether a rate of one call still has room when one has been refused.
async fn has_room<L>(layers: L) -> bool
where
    L: Layer<Terminal>,
    L::Service: Service<Request<ClientProbe>, Response = u32, Error = BoxError>
        + Service<Request<OtherProbe>, Response = u32, Error = BoxError>
        + Clone,
{
    let stack = layers.layer(Terminal);
    let refused = probe::call::<OtherProbe, _, _>(stack.clone(), 1, |_| panic!("refused"));
    let Err(ProbeError::Middleware(refused)) = refused.await else {
        panic!("the call should be refused")
    };
    assert_eq!(error::kind(&refused), ErrorKind::Denied);
    match probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(7)).await {
        Ok(_) => true,
        Err(ProbeError::Middleware(error)) => {
            assert_eq!(error::kind(&error), ErrorKind::Overloaded);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_counts_refused_calls_unless_it_is_asked_after_what_refuses_them() {
    let policy = AuthorizeLayer::new(|call: &CallInfo<'_>| call.operation != "other_probe");
    let asks = AsyncAuthorizeLayer::new(|call: &CallInfo<'_>| {
        std::future::ready(match call.operation {
            "other_probe" => Err(Denied::new("no")),
            _ => Ok(()),
        })
    });
    let rate = || RateLimitLayer::new(1, SECOND).shed();
    let gate = || KeyedRateLimitLayer::new(1, SECOND, EveryCall).shed();
    let stack = ServiceBuilder::new;
    assert!(!has_room(stack().layer(rate()).layer(policy)).await);
    assert!(!has_room(stack().layer(policy).layer(rate())).await);
    assert!(!has_room(stack().layer(asks).layer(rate())).await);
    assert!(has_room(stack().layer(policy).layer(gate())).await);
    assert!(has_room(stack().layer(asks).layer(gate())).await);
    let timeout = TimeoutLayer::new(SECOND);
    assert!(has_room(stack().layer(policy).layer(timeout).layer(rate())).await);
    assert!(has_room(stack().layer(asks).layer(timeout).layer(rate())).await);
}

/// Whether a call with another key gets in while one runs and one waits for its key. There is room for two.
fn lets_others_in<L>(overall: L) -> bool
where
    L: Layer<Terminal>,
    L::Service: Service<Request<ClientProbe>, Response = u32, Error: Into<BoxError>>
        + Service<Request<OtherProbe>, Response = u32, Error: Into<BoxError>>
        + Clone,
{
    let stack = ServiceBuilder::new()
        .layer(KeyedConcurrencyLimitLayer::new(1, operation))
        .layer(overall)
        .service(Terminal);
    let mut same_key = [(); 2].map(|()| {
        let hangs = |_| Box::pin(pending());
        spawn(Call::<ClientProbe, _, _>::new(
            stack.clone(),
            1.into(),
            (),
            hangs,
        ))
    });
    for call in &mut same_key {
        tokio_test::assert_pending!(call.poll());
    }
    let mut other = spawn(probe::call::<OtherProbe, _, _>(stack, 1, |_| Ok(7)));
    other.poll().is_ready()
}

#[test]
fn a_call_that_waits_for_its_key_keeps_a_permit_of_tower_s_and_no_place_of_a_gate() {
    assert!(!lets_others_in(GlobalConcurrencyLimitLayer::new(2)));
    assert!(lets_others_in(ConcurrencyLimitLayer::new(2)));
}
