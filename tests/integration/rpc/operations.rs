//! Calls that no interceptor of the SDK sees, in a stack of operations.

use super::{channel, client_of, options};
use crate::{
    fixtures::{UserId, Work, until_cancelled, worker},
    support::{eventually, in_history, unique, with_worker},
};
use futures::TryStreamExt;
use opentelemetry::{
    Context,
    trace::{FutureExt, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use temporalio_client::{
    ActivityCancelOptions, ActivityCountOptions, ActivityDescribeOptions, ActivityListOptions,
    ActivityStartOptions, ActivityTerminateOptions, Client, ClientOptions, RpcOptions,
    UntypedWorkflow, WorkflowGetResultOptions, WorkflowStartOptions, WorkflowTerminateOptions,
    errors::ActivityResultError,
    grpc::{OperatorService, WorkflowService},
    schedules::{
        CreateScheduleOptions, DeleteScheduleOptions, ScheduleAction, ScheduleOverlapPolicy,
        ScheduleSpec, ScheduleUpdate, TriggerScheduleOptions,
    },
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        common::v1::Payload, history::v1::history_event::Attributes,
        operatorservice::v1::ListSearchAttributesRequest,
        workflowservice::v1::DescribeNamespaceRequest,
    },
};
use temporalio_macros::activities;
use temporalio_sdk::{
    WorkerOptions,
    activities::{ActivityContext, ActivityError},
};
use tonic::{Code, transport::Endpoint};
use tower::ServiceBuilder;
use tower_temporal::{
    BoxError, CallInfo, Denied, Interceptors, Next, Request, from_fn,
    otel::OtelLayer,
    propagation::{ContextKey, PropagationLayer},
    rpc::{
        self,
        operator_service::ListSearchAttributes,
        workflow_service::{DescribeNamespace, RecordActivityTaskHeartbeat},
    },
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tower_temporal_test::DevServer;
use tracing::Span;

/// Of every call but long polls.
const TIMEOUT: Duration = Duration::from_secs(1);

struct Standalone;

#[activities]
impl Standalone {
    /// Says who it runs for.
    #[activity]
    async fn user(_: ActivityContext) -> Result<String, ActivityError> {
        Ok(UserId::current().map_or("nobody".to_owned(), |user| user.to_string()))
    }

    /// Says in which trace it runs.
    #[activity]
    async fn trace(_: ActivityContext) -> Result<String, ActivityError> {
        let context = Context::current();
        Ok(context.span().span_context().trace_id().to_string())
    }

    /// Longer than the stack's timeout.
    #[activity]
    async fn slow(_: ActivityContext) -> Result<String, ActivityError> {
        tokio::time::sleep(3 * TIMEOUT).await;
        Ok("slow".to_owned())
    }

    #[activity]
    async fn forever(ctx: ActivityContext) -> Result<(), ActivityError> {
        until_cancelled(&ctx).await;
        Err(ActivityError::cancelled())
    }
}

fn start_options(queue: &str, name: &str) -> ActivityStartOptions {
    ActivityStartOptions::with_start_to_close_timeout(
        queue,
        format!("{queue}-{name}"),
        Duration::from_secs(60),
    )
    .build()
}

#[tokio::test]
async fn standalone_activities_are_traced_and_carry_the_caller_s_values() {
    // They are a preview, which a dev server has to be told of.
    let server = DevServer::builder()
        .extra_args(["--dynamic-config-value", "activity.enableStandalone=true"])
        .start()
        .await
        .unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let in_layer = calls.clone();
    let trace = TraceLayer::new().make_span_with(move |call: &CallInfo<'_>| {
        in_layer.lock().unwrap().push(call.operation);
        Span::none()
    });
    let tracer = SdkTracerProvider::default().tracer("test");
    let otel = OtelLayer::new(tracer.clone());
    let endpoint = Endpoint::from_shared(server.address().to_owned()).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let service = ServiceBuilder::new()
        .layer(rpc::operations(
            ServiceBuilder::new()
                .layer(trace)
                .layer(otel.clone())
                .layer(TimeoutLayer::new(TIMEOUT))
                .layer(PropagationLayer::<UserId>::new()),
        ))
        .map_request(rpc::into_tonic)
        .service(channel);
    let connection = rpc::connect(options(), service).await.unwrap();
    let client = Client::new(connection, ClientOptions::new(server.namespace()).build()).unwrap();

    let queue = unique("standalone");
    let interceptors = Interceptors::builder()
        .activity_inbound(otel)
        .activity_inbound(PropagationLayer::<UserId>::new())
        .build();
    let worker = WorkerOptions::new(&queue)
        .default_heartbeat_throttle_interval(Duration::from_millis(100))
        .register_activities(Standalone)
        .worker_plugin(interceptors)
        .build();
    with_worker(&client, worker, async {
        let options = start_options(&queue, "user");
        let start = client.start_activity(Standalone::user, (), options);
        let handle = UserId::scope("alice".to_owned(), start).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "alice");
        handle
            .describe(ActivityDescribeOptions::default())
            .await
            .unwrap();

        let context = Context::new().with_span(tracer.start("test"));
        let options = start_options(&queue, "trace");
        let start = client.start_activity(Standalone::trace, (), options);
        let handle = start.with_context(context.clone()).await.unwrap();
        let trace = context.span().span_context().trace_id();
        assert_eq!(handle.result().await.unwrap(), trace.to_string());

        // The poll for its result outlives the timeout.
        let options = start_options(&queue, "slow");
        let handle = client.start_activity(Standalone::slow, (), options);
        assert_eq!(handle.await.unwrap().result().await.unwrap(), "slow");

        let options = start_options(&queue, "cancelled");
        let handle = client.start_activity(Standalone::forever, (), options);
        let handle = handle.await.unwrap();
        eventually("the activity runs", async || {
            let calls = calls.lock().unwrap();
            calls.contains(&"RecordActivityTaskHeartbeat").then_some(())
        })
        .await;
        handle
            .cancel(ActivityCancelOptions::default())
            .await
            .unwrap();
        let result = handle.result().await;
        assert!(
            matches!(result, Err(ActivityResultError::Cancelled { .. })),
            "{result:?}"
        );

        let options = start_options(&queue, "terminated");
        let handle = client.start_activity(Standalone::forever, (), options);
        let handle = handle.await.unwrap();
        handle
            .terminate(ActivityTerminateOptions::default())
            .await
            .unwrap();
        let result = handle.result().await;
        assert!(
            matches!(result, Err(ActivityResultError::Terminated)),
            "{result:?}"
        );

        let query = format!("TaskQueue = '{queue}'");
        eventually("all five are listed", async || {
            let listed = client.list_activities(&query, ActivityListOptions::default());
            let listed: Vec<_> = listed.try_collect().await.unwrap();
            (listed.len() == 5).then_some(())
        })
        .await;
        let count = client.count_activities(&query, ActivityCountOptions::default());
        assert_eq!(count.await.unwrap().count(), 5);
    })
    .await;

    server.stop().await;
    let calls = calls.lock().unwrap();
    for operation in [
        "StartActivityExecution",
        "PollActivityExecution",
        "DescribeActivityExecution",
        "RequestCancelActivityExecution",
        "TerminateActivityExecution",
        "ListActivityExecutions",
        "CountActivityExecutions",
        "RecordActivityTaskHeartbeat",
    ] {
        assert!(calls.contains(&operation), "{operation}: {calls:?}");
    }
}

#[tokio::test]
async fn a_plain_heartbeat_is_seen_and_answered_by_a_layer() {
    let details = Arc::new(Mutex::new(None));
    let in_layer = details.clone();
    // The layer tells the activity that it is cancelled, which the server does not.
    let layer = from_fn(
        move |request: Request<RecordActivityTaskHeartbeat>,
              next: Next<RecordActivityTaskHeartbeat>| {
            let details = in_layer.clone();
            async move {
                *details.lock().unwrap() = request.details.clone();
                let mut answer = next.run(request).await?;
                assert!(!answer.cancel_requested);
                answer.cancel_requested = true;
                Ok::<_, BoxError>(answer)
            }
        },
    );
    let service = ServiceBuilder::new()
        .layer(rpc::operations(layer))
        .map_request(rpc::into_tonic)
        .service(channel().await);
    let client = client_of(rpc::connect(options(), service).await.unwrap()).await;
    let queue = unique("heartbeat");
    let worker = worker(&queue, async |ctx, _| {
        ctx.record_heartbeat("half way".to_owned()).await?;
        ctx.cancelled().await;
        Ok::<_, ActivityError>("stopped".to_owned())
    });
    let result = with_worker(&client, worker, async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let handle = client
            .start_workflow(Work::run, String::new(), options)
            .await;
        let result = handle
            .unwrap()
            .get_result(WorkflowGetResultOptions::default())
            .await;
        result.unwrap()
    })
    .await;
    assert_eq!(result, "stopped");
    let details = details
        .lock()
        .unwrap()
        .take()
        .expect("the heartbeat had details");
    assert_eq!(details.payloads[0].data, br#""half way""#);
}

/// Who a workflow was started for.
fn started_for(event: &Attributes) -> Option<Payload> {
    match event {
        Attributes::WorkflowExecutionStartedEventAttributes(started) => {
            started.header.as_ref()?.fields.get(UserId::HEADER).cloned()
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_scheduled_workflow_carries_the_values_of_who_made_the_schedule() {
    let service = ServiceBuilder::new()
        .layer(rpc::operations(PropagationLayer::<UserId>::new()))
        .map_request(rpc::into_tonic)
        .service(channel().await);
    let client = client_of(rpc::connect(options(), service).await.unwrap()).await;
    let id = unique("schedule");
    let options = CreateScheduleOptions::builder()
        .action(ScheduleAction::start_workflow(
            UntypedWorkflow::new("Nobody"),
            RawValue::empty(),
            &id,
            &id,
        ))
        .spec(ScheduleSpec::from_interval(Duration::from_secs(3600)))
        .trigger_immediately(true)
        .build();
    let create = client.create_schedule(&id, options);
    let handle = UserId::scope("alice".to_owned(), create).await.unwrap();
    let workflow_id = eventually("the schedule has started its workflow", async || {
        let description = handle.describe(RpcOptions::default()).await.unwrap();
        let mut actions = description.recent_actions().into_iter();
        actions.next().map(|action| action.workflow_id)
    })
    .await;
    let user = in_history(&client, &workflow_id, "the header", started_for).await;
    assert_eq!(user.data, br#""alice""#);

    // What an update sends is the schedule anew, with the headers of who updates it.
    let update = handle.update(
        |update: &mut ScheduleUpdate| {
            update.set_note("updated");
        },
        RpcOptions::default(),
    );
    UserId::scope("bob".to_owned(), update).await.unwrap();
    client
        .get_workflow_handle::<UntypedWorkflow>(&workflow_id)
        .terminate(WorkflowTerminateOptions::default())
        .await
        .unwrap();
    let second = eventually("the schedule has started another workflow", async || {
        // Two triggers within a second are one, so it may take more of them.
        handle
            .trigger(
                ScheduleOverlapPolicy::AllowAll,
                TriggerScheduleOptions::default(),
            )
            .await
            .unwrap();
        let description = handle.describe(RpcOptions::default()).await.unwrap();
        let mut actions = description.recent_actions().into_iter();
        let other = actions.find(|action| action.workflow_id != workflow_id);
        other.map(|action| action.workflow_id)
    })
    .await;
    let user = in_history(&client, &second, "the header", started_for).await;
    assert_eq!(user.data, br#""bob""#);
    handle
        .delete(DeleteScheduleOptions::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_namespace_s_call_can_be_refused() {
    let layer = from_fn(
        async |request: Request<DescribeNamespace>, next: Next<DescribeNamespace>| {
            if request.target().name == Some("secret") {
                return Err(BoxError::from(Denied::new("nobody looks in there")));
            }
            next.run(request).await
        },
    );
    let service = ServiceBuilder::new()
        .layer(rpc::operations(layer))
        .map_request(rpc::into_tonic)
        .service(channel().await);
    let connection = rpc::connect(options(), service).await.unwrap();
    let describe = async |namespace: &str| {
        let request = DescribeNamespaceRequest {
            namespace: namespace.to_owned(),
            ..Default::default()
        };
        connection
            .clone()
            .describe_namespace(tonic::Request::new(request))
            .await
    };
    let described = describe("default").await.unwrap().into_inner();
    assert_eq!(described.namespace_info.unwrap().name, "default");
    let refused = describe("secret").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn an_operator_s_call_goes_through_a_stack_of_operations() {
    let layer = from_fn(
        async |request: Request<ListSearchAttributes>, next: Next<ListSearchAttributes>| {
            assert_eq!(request.namespace, "default");
            let mut listed = next.run(request).await?;
            listed.custom_attributes.insert("OnlyHere".to_owned(), 1);
            Ok::<_, BoxError>(listed)
        },
    );
    let connection = rpc::over(channel().await)
        .every_call(rpc::operations(layer))
        .connect(options());
    let request = tonic::Request::new(ListSearchAttributesRequest {
        namespace: "default".to_owned(),
    });
    let mut connection = connection.await.unwrap();
    let listed = connection.list_search_attributes(request).await.unwrap();
    let listed = listed.into_inner();
    assert!(listed.custom_attributes.contains_key("OnlyHere"));
    assert!(listed.system_attributes.contains_key("WorkflowId"));
}
