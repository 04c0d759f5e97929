//! Calls into activities, in a real worker's stack.

use crate::{
    fixtures::{ACTIVITY_ID, Work, until_cancelled, worker},
    layers::{Deny, Record, Seen},
    support::{client, in_history, json, unique, with_worker},
};
use futures::future::ready;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use temporalio_client::{
    ActivityIdentifier, Client, RpcOptions, WorkflowCancelOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::{
    HasWorkflowDefinition,
    error::ApplicationFailure,
    protos::temporal::api::{
        common::v1::Payload,
        failure::v1::{ApplicationFailureInfo, failure::FailureInfo},
        history::v1::history_event::Attributes,
    },
};
use temporalio_sdk::{
    activities::{ActivityContext, ActivityError},
    interceptors::ActivityExecutionValue,
};
use tokio::sync::mpsc;
use tower::{ServiceBuilder, util::MapResponseLayer};
use tower_layer::Layer;
use tower_temporal::{
    BoxError, Category, Interceptors, Next, Request, Target, Terminal,
    activity::{ActivityInboundService, ExecuteActivity},
    from_fn,
};

type Handle = WorkflowHandle<Client, <Work as HasWorkflowDefinition>::Run>;

/// An activity in a worker with a stack, and the workflow that runs it.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) handle: Handle,
}

impl Running {
    pub(crate) async fn result(&self) -> Result<String, WorkflowGetResultError> {
        self.handle
            .get_result(WorkflowGetResultOptions::default())
            .await
    }

    /// How the activity failed in the end.
    pub(crate) async fn failure(&self) -> (String, ApplicationFailureInfo) {
        let what = "the activity failed";
        let failure = in_history(&self.client, &self.id, what, |event| match event {
            Attributes::ActivityTaskFailedEventAttributes(failed) => failed.failure.clone(),
            _ => None,
        });
        let failure = failure.await;
        match failure.failure_info {
            Some(FailureInfo::ApplicationFailureInfo(info)) => (failure.message, info),
            other => panic!("expected an application failure, got {other:?}"),
        }
    }
}

/// Runs the activity once, with the input `in`: `script` in a worker with `layer`, and `test` beside it.
pub(crate) async fn with_activity<L, F, Fut, T>(
    layer: L,
    script: F,
    test: impl AsyncFnOnce(&Running) -> T,
) -> T
where
    L: Layer<Terminal, Service: ActivityInboundService> + Send + Sync + 'static,
    F: Fn(ActivityContext, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, ActivityError>> + Send + 'static,
{
    let client = client(Interceptors::builder().activity_inbound(layer).build()).await;
    let id = unique("activity");
    with_worker(&client, worker(&id, script), async {
        let options = WorkflowStartOptions::new(&id, &id).build();
        let start = client.start_workflow(Work::run, "in".to_owned(), options);
        let running = Running {
            handle: start.await.unwrap(),
            client: client.clone(),
            id: id.clone(),
        };
        test(&running).await
    })
    .await
}

/// What an activity says that does nothing.
async fn done(_: ActivityContext, input: String) -> Result<String, ActivityError> {
    Ok(format!("{input} done"))
}

/// Counts how often something happens.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    /// One more; says the how-manieth.
    fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A body that counts how often it runs.
fn counted(
    count: &Count,
) -> impl Fn(ActivityContext, String) -> futures::future::Ready<Result<String, ActivityError>> + use<>
{
    let count = count.clone();
    move |_, input| {
        count.up();
        ready(Ok(format!("{input} done")))
    }
}

#[tokio::test]
async fn a_layer_sees_the_call_and_what_it_is_aimed_at() {
    let record = Record::default();
    let info = Arc::new(Mutex::new(None));
    let body = {
        let info = info.clone();
        move |ctx: ActivityContext, input| {
            *info.lock().unwrap() = Some(ctx.info().clone());
            done(ctx, input)
        }
    };
    with_activity(record.clone(), body, async |running| {
        assert_eq!(running.result().await.unwrap(), "in done");
        let info = info.lock().unwrap().take().expect("the activity ran");
        let target = Target {
            run_id: running.handle.run_id(),
            activity_type: Some(&info.activity_type),
            activity_id: Some(ACTIVITY_ID),
            task_queue: Some(&running.id),
            attempt: Some(1),
            ..Target::workflow(Some("Work"), Some(&running.id))
        };
        assert!(
            info.activity_type.contains("work"),
            "{}",
            info.activity_type
        );
        let expected = Seen {
            operation: "execute_activity",
            category: Category::ActivityInbound,
            target: format!("{target:?}"),
            carries_headers: true,
        };
        assert_eq!(record.seen(), [expected]);
    })
    .await;
}

#[tokio::test]
async fn a_layer_changes_the_arguments() {
    let layer = from_fn(
        |mut request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
            request.args_mut::<String>().unwrap().push_str("-changed");
            next.run(request)
        },
    );
    with_activity(layer, done, async |running| {
        assert_eq!(running.result().await.unwrap(), "in-changed done");
    })
    .await;
}

#[tokio::test]
async fn a_layer_reads_the_result_and_replaces_it() {
    let layer = MapResponseLayer::new(|output: Box<dyn ActivityExecutionValue>| {
        let is = output
            .downcast_ref::<String>()
            .expect("the activity returns a string");
        Box::new(format!("{is}, replaced")) as Box<dyn ActivityExecutionValue>
    });
    with_activity(layer, done, async |running| {
        assert_eq!(running.result().await.unwrap(), "in done, replaced");
    })
    .await;
}

#[tokio::test]
async fn layers_write_and_read_headers() {
    let payload = |text: &str| Payload {
        data: text.into(),
        ..Default::default()
    };
    let text = |payload: &Payload| String::from_utf8(payload.data.clone()).unwrap();
    let write = from_fn(
        move |mut request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
            let mut headers = request.headers_mut();
            headers.insert("user", payload("alice")).unwrap();
            next.run(request)
        },
    );
    let read = from_fn(
        move |mut request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
            let user = request.headers().get("user").map(text);
            let greeting = format!("hello {}", user.as_deref().unwrap_or("nobody"));
            let mut headers = request.headers_mut();
            headers.insert("greeting", payload(&greeting)).unwrap();
            next.run(request)
        },
    );
    let body = move |ctx: ActivityContext, _| {
        let greeting = ctx.headers().get("greeting").map(text);
        ready(Ok(greeting.unwrap_or_default()))
    };
    let stack = ServiceBuilder::new().layer(write).layer(read);
    with_activity(stack, body, async |running| {
        assert_eq!(running.result().await.unwrap(), "hello alice");
    })
    .await;
}

#[tokio::test]
async fn a_denied_activity_is_not_run_and_not_retried() {
    let (record, count) = (Record::default(), Count::default());
    let stack = ServiceBuilder::new()
        .layer(record.clone())
        .layer(Deny("execute_activity"));
    with_activity(stack, counted(&count), async |running| {
        let (message, info) = running.failure().await;
        assert!(message.contains(Deny::REASON), "{message}");
        assert_eq!(info.r#type, "PermissionDenied");
        assert!(info.non_retryable, "a denial is final");
        running
            .result()
            .await
            .expect_err("the workflow fails with its activity");
    })
    .await;
    assert_eq!(record.seen().len(), 1, "attempts");
    assert_eq!(count.get(), 0, "the body ran");
}

#[tokio::test]
async fn any_other_error_of_a_layer_fails_the_attempt_and_is_retried() {
    let (attempts, count) = (Count::default(), Count::default());
    let layer = {
        let attempts = attempts.clone();
        from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let is_first = attempts.up() == 1;
                async move {
                    if is_first {
                        return Err(BoxError::from("the layer's own trouble"));
                    }
                    next.run(request).await
                }
            },
        )
    };
    with_activity(layer, counted(&count), async |running| {
        assert_eq!(running.result().await.unwrap(), "in done");
    })
    .await;
    assert_eq!(
        (attempts.get(), count.get()),
        (2, 1),
        "attempts, and runs of the body"
    );
}

#[tokio::test]
async fn an_error_that_stays_fails_the_activity_with_a_type_that_tells() {
    let count = Count::default();
    let layer = from_fn(
        async |_: Request<ExecuteActivity>, _: Next<ExecuteActivity>| {
            Err::<Box<dyn ActivityExecutionValue>, _>("the layer's own trouble")
        },
    );
    with_activity(layer, counted(&count), async |running| {
        let (message, info) = running.failure().await;
        assert_eq!(message, "the layer's own trouble");
        assert_eq!(
            (info.r#type.as_str(), info.non_retryable),
            ("MiddlewareError", false)
        );
    })
    .await;
    assert_eq!(count.get(), 0, "the body ran");
}

#[tokio::test]
async fn a_layer_can_say_itself_how_the_activity_fails() {
    let layer = from_fn(
        async |_: Request<ExecuteActivity>, _: Next<ExecuteActivity>| {
            let failure = ApplicationFailure::builder("out of stock")
                .type_name("OutOfStock".to_owned())
                .non_retryable(true)
                .build();
            Err::<Box<dyn ActivityExecutionValue>, _>(failure)
        },
    );
    with_activity(layer, done, async |running| {
        let (message, info) = running.failure().await;
        assert_eq!(message, "out of stock");
        assert_eq!(
            (info.r#type.as_str(), info.non_retryable),
            ("OutOfStock", true)
        );
    })
    .await;
}

/// A stack whose layers box the errors that pass.
fn boxing() -> impl Layer<Terminal, Service: ActivityInboundService> + Send + Sync {
    ServiceBuilder::new()
        .load_shed()
        .timeout(Duration::from_secs(30))
        .layer(from_fn(
            |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| next.run(request),
        ))
}

#[tokio::test]
async fn an_activity_that_completes_later_passes_through_layers_that_box() {
    let (sender, mut started) = mpsc::unbounded_channel();
    let body = move |ctx: ActivityContext, _| {
        sender.send(ctx.info().task_token.clone()).unwrap();
        ready(Err(ActivityError::WillCompleteAsync))
    };
    with_activity(boxing(), body, async |running| {
        let token = started.recv().await.expect("the activity was started");
        let id = ActivityIdentifier::from_task_token(token.into());
        let activity = running.client.get_async_activity_handle(id);
        let result = Some("from outside".to_owned());
        activity
            .complete(result, RpcOptions::default())
            .await
            .unwrap();
        assert_eq!(running.result().await.unwrap(), "from outside");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_activity_passes_through_layers_that_box() {
    let (sender, mut started) = mpsc::unbounded_channel();
    let body = move |ctx: ActivityContext, _| {
        sender.send(()).unwrap();
        async move {
            until_cancelled(&ctx).await;
            Err(ActivityError::cancelled_with_details(
                "cleaned up".to_owned(),
            ))
        }
    };
    with_activity(boxing(), body, async |running| {
        started.recv().await.expect("the activity was started");
        running
            .handle
            .cancel(WorkflowCancelOptions::default())
            .await
            .unwrap();
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
async fn a_panic_in_a_layer_fails_the_attempt_and_the_worker_lives_on() {
    let (attempts, count) = (Count::default(), Count::default());
    let layer = {
        let attempts = attempts.clone();
        from_fn(
            move |request: Request<ExecuteActivity>, next: Next<ExecuteActivity>| {
                let attempt = attempts.up();
                assert_ne!(
                    attempt, 1,
                    "a panic when the layer is called, which the test wants"
                );
                async move {
                    let result = next.run(request).await;
                    assert_ne!(
                        attempt, 2,
                        "a panic after the activity, which the test wants"
                    );
                    result
                }
            },
        )
    };
    with_activity(layer, counted(&count), async |running| {
        assert_eq!(running.result().await.unwrap(), "in done");
    })
    .await;
    assert_eq!(
        (attempts.get(), count.get()),
        (3, 2),
        "attempts, and runs of the body"
    );
}
