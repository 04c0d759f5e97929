//! Activities are cancelled, workers shut down and calls given up while they are in a stack.
//!
//! The cancellation of calls that workflows make is in `workflow/cancellation.rs`.

use crate::{
    activity::with_activity,
    fixtures::{Work, until_cancelled, worker},
    middleware::{count, start, wait_in_vain},
    misbehaving::Witness,
    support::{
        client, client_of, eventually, in_history, json, patiently, plain_client, unique,
        with_worker,
    },
};
use std::{sync::Arc, time::Duration};
use temporalio_client::{WorkflowCancelOptions, WorkflowStartOptions};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_temporal::{
    Interceptors, Next, Request, activity::ExecuteActivity, client::FetchWorkflowHistoryPage,
    from_fn, on,
};

/// Runs until it is cancelled.
async fn cancelled(ctx: ActivityContext) -> Result<String, ActivityError> {
    until_cancelled(&ctx).await;
    Err(ActivityError::cancelled_with_details(
        "cleaned up".to_owned(),
    ))
}

#[tokio::test]
async fn a_cancelled_activity_ends_as_cancelled_through_a_stack_that_waits_before_and_after_it() {
    let (into, out) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (before, after, body) = (Witness::default(), Witness::default(), Witness::default());
    let layer = {
        let (into, out) = (into.clone(), out.clone());
        let (before, after) = (before.clone(), after.clone());
        from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let (into, out) = (into.clone(), out.clone());
                let (before, after) = (before.clone(), after.clone());
                async move {
                    let waits = before.enter();
                    into.acquire().await?.forget();
                    drop(waits);
                    let result = next.run(request).await;
                    let _waits = after.enter();
                    out.acquire().await?.forget();
                    result
                }
            },
        )
    };
    let script = {
        let body = body.clone();
        move |ctx: ActivityContext, _| {
            let presence = body.enter();
            async move {
                let _presence = presence;
                cancelled(ctx).await
            }
        }
    };
    let stack = ServiceBuilder::new().concurrency_limit(1).layer(layer);
    let waits_in = async |place: &Witness, what: &str| {
        eventually(what, async || (place.running() == 1).then_some(())).await;
    };
    with_activity(stack, script, async |running| {
        waits_in(&before, "the layer holds the activity back").await;
        running
            .handle
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
        let what = "the server is asked to cancel the activity";
        in_history(&running.client, &running.id, what, |event| {
            matches!(
                event,
                Attributes::ActivityTaskCancelRequestedEventAttributes(_)
            )
            .then_some(())
        })
        .await;
        assert_eq!(body.calls(), 0, "the layer still holds the activity back");
        into.add_permits(1);
        waits_in(&after, "the activity has ended, and the layer waits").await;
        assert_eq!((body.calls(), body.running()), (1, 0));
        out.add_permits(1);
        let what = "the activity is cancelled";
        let details = in_history(&running.client, &running.id, what, |event| match event {
            Attributes::ActivityTaskCanceledEventAttributes(canceled) => {
                Some(json(&canceled.details))
            }
            Attributes::ActivityTaskFailedEventAttributes(failed) => {
                panic!("a cancellation became a failure: {:?}", failed.failure)
            }
            _ => None,
        });
        assert_eq!(details.await, [r#""cleaned up""#]);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_shuts_down_cancels_its_activities_through_their_stacks_after_a_grace() {
    let (layer, body) = (Witness::default(), Witness::default());
    let interceptors = Interceptors::builder()
        .activity_inbound(
            ServiceBuilder::new()
                .concurrency_limit(10)
                .timeout(Duration::from_secs(60))
                .layer(layer.clone()),
        )
        .build();
    let client = client(interceptors).await;
    let queue = unique("shutdown");
    let script = {
        let body = body.clone();
        move |ctx: ActivityContext, input: String| {
            let presence = body.enter();
            async move {
                let _presence = presence;
                // Nobody cancels the workflow.
                ctx.cancelled().await;
                Ok(format!("{input}, and shut down"))
            }
        }
    };
    let mut options = worker(&queue, script);
    options.graceful_shutdown_period = Some(Duration::from_millis(200));
    let ids = [(); 2].map(|()| unique("shutdown"));
    let in_flight = async {
        for id in &ids {
            let options = WorkflowStartOptions::new(&queue, id).build();
            let start = client.start_workflow(Work::run, "in".to_owned(), options);
            start.await.unwrap();
        }
        eventually("both activities run", async || {
            (body.running() == 2).then_some(())
        })
        .await;
    };
    let run = with_worker(&client, options, in_flight);
    patiently("the worker's shutdown", run).await;
    assert_eq!((body.calls(), body.running()), (2, 0), "bodies");
    assert_eq!(
        (layer.calls(), layer.running()),
        (2, 0),
        "the layer's calls"
    );
    for id in &ids {
        let result = in_history(&client, id, "the activity completed", |event| match event {
            Attributes::ActivityTaskCompletedEventAttributes(completed) => {
                Some(json(&completed.result))
            }
            _ => None,
        });
        assert_eq!(
            result.await,
            [r#""in, and shut down""#],
            "what the activity says at shutdown should still reach the server"
        );
    }
}

#[tokio::test]
async fn a_worker_that_shuts_down_waits_for_an_activity_that_a_layer_holds_back() {
    let body = Witness::default();
    let held = Witness::default();
    let go_on = Arc::new(Semaphore::new(0));
    let layer = {
        let (held, go_on) = (held.clone(), go_on.clone());
        from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let (held, go_on) = (held.clone(), go_on.clone());
                async move {
                    let _held = held.enter();
                    go_on.acquire().await?.forget();
                    next.run(request).await
                }
            },
        )
    };
    let client = client(Interceptors::builder().activity_inbound(layer).build()).await;
    let id = unique("shutdown");
    let script = {
        let body = body.clone();
        move |_: ActivityContext, input: String| {
            let presence = body.enter();
            async move {
                drop(presence);
                Ok(input)
            }
        }
    };
    let mut options = worker(&id, script);
    options.graceful_shutdown_period = Some(Duration::from_secs(20));
    let in_flight = async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Work::run, "in".to_owned(), options);
        start.await.unwrap();
        eventually("the layer holds the activity back", async || {
            (held.running() == 1).then_some(())
        })
        .await;
        // The shutdown begins when this future ends; the task has its turn after that, and lets the activity go.
        let go_on = go_on.clone();
        tokio::spawn(async move { go_on.add_permits(1) });
    };
    let run = with_worker(&client, options, in_flight);
    patiently("the worker's shutdown", run).await;
    assert_eq!((body.calls(), body.running()), (1, 0), "bodies");
    assert_eq!(held.running(), 0, "the layer's calls");
    in_history(&client, &id, "the activity completed", |event| {
        matches!(event, Attributes::ActivityTaskCompletedEventAttributes(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_clients_call_that_is_dropped_leaves_nothing_behind() {
    let id = unique("dropped");
    start(&plain_client().await, &id).await.unwrap();
    let (outer, inner) = (Witness::default(), Witness::default());
    let stack = ServiceBuilder::new()
        .layer(outer.clone())
        .concurrency_limit(1)
        .layer(on::<FetchWorkflowHistoryPage, _>(
            ServiceBuilder::new().buffer(1),
        ))
        .layer(inner.clone());
    let client = client_of(stack).await;
    for round in 1..=2 {
        let begun = eventually("the call reaches the end of the stack", async || {
            (inner.running() == 1).then_some(())
        });
        tokio::select! {
            biased;
            result = wait_in_vain(&client, &id) => panic!("nobody answers this call, but: {result:?}"),
            () = begun => {}
        }
        assert_eq!(
            (outer.running(), inner.running()),
            (0, 0),
            "calls that still run, outside and inside the buffer, in round {round}"
        );
    }
    // The limit's only permit is back.
    patiently("another call", count(&client)).await.unwrap();
}
