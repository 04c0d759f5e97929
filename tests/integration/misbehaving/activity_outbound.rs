//! In an activity's outbound stack. The activity sees an error, or panics, and is tried again in the worker's only slot.

use super::{
    How, KEPT, Misbehave, Spawn, Witness, activity::bench, answer, keep, misbehave, twice,
};
use crate::support::patiently;
use futures::future::BoxFuture;
use std::time::Duration;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tower::ServiceBuilder;
use tower_layer::Layer;
use tower_temporal::{
    Interceptors, Terminal,
    activity::{ActivityContextExt, ActivityOutboundService, Heartbeat, Info},
};

type Script = fn(ActivityContext, String) -> BoxFuture<'static, Result<String, ActivityError>>;

fn outbound<L>(layer: L) -> Interceptors
where
    L: Layer<Terminal, Service: ActivityOutboundService> + Clone + Send + Sync + 'static,
{
    Interceptors::builder().activity_outbound(layer).build()
}

/// Between the things an activity says.
const SEPARATOR: &str = " | ";

/// Says what three heartbeats have come to.
fn heartbeats(
    ctx: ActivityContext,
    _: String,
) -> BoxFuture<'static, Result<String, ActivityError>> {
    Box::pin(async move {
        let mut said = Vec::new();
        for _ in 0..3 {
            let outbound = ctx.outbound();
            let heartbeat = outbound.heartbeat("details".to_owned());
            said.push(match patiently("the heartbeat", heartbeat).await {
                Ok(()) => "recorded".to_owned(),
                Err(error) => error.to_string(),
            });
        }
        Ok(said.join(SEPARATOR))
    })
}

/// Says what is known of the activity's type, or why not, twice.
fn infos(ctx: ActivityContext, _: String) -> BoxFuture<'static, Result<String, ActivityError>> {
    Box::pin(async move {
        let said = [(); 2].map(|()| match ctx.outbound().info() {
            Ok(info) => info.activity_type,
            Err(error) => error.to_string(),
        });
        Ok(said.join(SEPARATOR))
    })
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("a middleware of the activity's outbound stack failed: {error}")
}

/// The activity succeeds at once, with what `said` accepts.
async fn assert_says(interceptors: Interceptors, script: Script, said: &[&str]) {
    bench(interceptors, script, async |bench| {
        let ran = bench.run().await;
        let result = ran.result.expect("the activity survives its middleware");
        let heard: Vec<_> = result.split(SEPARATOR).collect();
        assert_eq!(heard.len(), said.len(), "{heard:?}");
        for (heard, said) in heard.into_iter().zip(said) {
            assert!(heard.starts_with(said), "`{heard}` should be `{said}`");
        }
        assert_eq!(ran.attempts, 1);
        bench.assert_alive().await;
    })
    .await;
}

const WORK: &str = "Activities::work";

#[tokio::test]
async fn a_panic_fails_the_attempt() {
    let assert_retried = async |layer: Misbehave, script: Script, text: String| {
        bench(outbound(layer), script, async |bench| {
            let ran = bench.run().await;
            ran.result.expect("the second attempt succeeds");
            assert_eq!(ran.attempts, 2, "{text}");
            assert_eq!(
                ran.last_failure,
                format!("Activity function panicked: {text}")
            );
            bench.assert_alive().await;
        })
        .await;
    };
    for how in How::PANICS {
        let layer = misbehave::<Heartbeat>(how).once();
        assert_retried(layer, heartbeats, how.text::<Heartbeat>()).await;
        let layer = misbehave::<Info>(how).once();
        assert_retried(layer, infos, how.text::<Info>()).await;
    }
}

#[tokio::test]
async fn a_failed_readiness_is_the_calls_error() {
    let how = How::FailReady;
    let heartbeat = failed(how.text::<Heartbeat>());
    let layer = outbound(misbehave::<Heartbeat>(how).once());
    assert_says(layer, heartbeats, &[&heartbeat, "recorded", "recorded"]).await;
    let info = failed(how.text::<Info>());
    let layer = outbound(misbehave::<Info>(how).once());
    assert_says(layer, infos, &[&info, WORK]).await;
}

/// Waits for a heartbeat as long as it likes.
fn impatient(ctx: ActivityContext, _: String) -> BoxFuture<'static, Result<String, ActivityError>> {
    Box::pin(async move {
        let outbound = ctx.outbound();
        let heartbeat = outbound.heartbeat(());
        let patience = Duration::from_millis(50);
        Ok(match tokio::time::timeout(patience, heartbeat).await {
            Ok(Ok(())) => "recorded".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "given up".to_owned(),
        })
    })
}

#[tokio::test]
async fn a_layer_that_is_never_ready_holds_a_heartbeat_until_the_activity_gives_it_up() {
    let layer = misbehave::<Heartbeat>(How::NeverReady).once();
    let interceptors = outbound(layer.clone());
    bench(interceptors, impatient, async |bench| {
        let holders = layer.holders();
        let ran = bench.run().await;
        assert_eq!(ran.result.unwrap(), "given up");
        bench.assert_alive().await;
        assert_eq!(layer.holders(), holders, "a call was leaked");
        assert_eq!(bench.run().await.result.unwrap(), "recorded");
    })
    .await;
}

#[tokio::test]
async fn a_layer_that_is_never_ready_fails_the_info_since_that_is_synchronous() {
    let info = failed("`info` is synchronous");
    let layer = outbound(misbehave::<Info>(How::NeverReady).once());
    assert_says(layer, infos, &[&info, WORK]).await;
}

fn details(ctx: ActivityContext, _: String) -> BoxFuture<'static, Result<String, ActivityError>> {
    Box::pin(async move {
        if ctx.info().attempt > 1 {
            let left: Option<String> = ctx.heartbeat_details().deserialize()?;
            return Ok(left.unwrap_or_else(|| "nothing".to_owned()));
        }
        ctx.outbound().heartbeat("details".to_owned()).await?;
        Err(anyhow::anyhow!("once more").into())
    })
}

#[tokio::test]
async fn a_layer_can_answer_itself() {
    bench(
        outbound(answer::<Heartbeat>(|_| ())),
        details,
        async |bench| {
            let ran = bench.run().await;
            assert_eq!(ran.result.unwrap(), "nothing", "it went on inward");
        },
    )
    .await;
    let own = answer::<Info>(|request| {
        let mut info = request.activity_info().clone();
        info.activity_type = "the layer's own".to_owned();
        info
    });
    let own_info = "the layer's own";
    assert_says(outbound(own), infos, &[own_info, own_info]).await;
}

#[tokio::test]
async fn the_second_call_inward_fails() {
    let info = failed("`info`: the call reached the SDK twice");
    assert_says(outbound(twice::<Info>()), infos, &[&info, &info]).await;
}

#[tokio::test]
async fn a_request_that_is_kept_fails_once_its_call_has_ended() {
    let kept = failed(KEPT);
    let gone = failed("`heartbeat`: the request outlived its call");
    let layer = outbound(keep::<Heartbeat>());
    bench(layer, heartbeats, async |bench| {
        let said = bench.run().await.result.unwrap();
        let said: Vec<_> = said.split(SEPARATOR).map(str::to_owned).collect();
        assert_eq!(said[0], kept);
        assert!(said[1].starts_with(&gone), "{said:?}");
        assert_eq!(said.last().map(String::as_str), Some("recorded"));
        bench.assert_alive().await;
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_can_go_on_on_another_task_but_the_info_can_t() {
    let task = Witness::default();
    let stack = || outbound(ServiceBuilder::new().layer(Spawn).layer(task.clone()));
    bench(stack(), details, async |bench| {
        assert_eq!(bench.run().await.result.unwrap(), "details");
    })
    .await;
    let info = failed("`info` is synchronous");
    assert_says(stack(), infos, &[&info, &info]).await;
    crate::support::eventually("the tasks of the layer end", async || {
        (task.running() == 0).then_some(())
    })
    .await;
}
