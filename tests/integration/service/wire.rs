//! What layers make of requests around the service, and what those are on the wire: in memory.

use crate::{
    fixtures::{Basket, UserId},
    metrics::Exported,
};
use opentelemetry::metrics::MeterProvider;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use temporalio_client::{
    Client, ClientOptions, WorkflowIdConflictPolicy, WorkflowStartOptions,
    WorkflowUpdateWithStartOptions,
};
use temporalio_common::protos::temporal::api::{
    common::v1::Header,
    workflowservice::v1::{
        SignalWorkflowExecutionResponse, StartWorkflowExecutionResponse,
        execute_multi_operation_request::operation::Operation as Part,
    },
};
use tonic::Code;
use tower::{BoxError, ServiceBuilder};
use tower_temporal::{
    CallInfo, Request,
    authorize::AuthorizeLayer,
    client::{
        rpc::workflow_service::{
            ExecuteMultiOperation, SignalWorkflowExecution, StartWorkflowExecution,
        },
        service::{
            ClientOperation, ClientService, ClientServiceExt, Execution, RequestIdLayer,
            SignalWorkflow, StartUpdateWithStartWorkflow, StartWorkflow,
        },
    },
    error,
    key::by_value,
    limit::RateLimitLayer,
    metrics::MetricsLayer,
    propagation::{ContextKey, PropagationLayer},
    rpc,
    timeout::TimeoutLayer,
    trace::TraceLayer,
    validate::ValidateLayer,
};
use tower_temporal_test::Frontend;
use tracing::Span;

/// A frontend that starts and signals, and a service of it whose connection has the layer of request ids.
async fn service() -> (Frontend, ClientService) {
    let frontend = Frontend::new();
    frontend.answer::<StartWorkflowExecution, _, _>(async |request| {
        Ok(StartWorkflowExecutionResponse {
            run_id: format!("run of {}", request.get_ref().workflow_id),
            ..Default::default()
        })
    });
    frontend.answer::<SignalWorkflowExecution, _, _>(async |_| {
        Ok(SignalWorkflowExecutionResponse::default())
    });
    let connection = rpc::over(frontend.clone())
        .every_call(RequestIdLayer::new())
        .connect(Frontend::connection_options())
        .await;
    let client = Client::new(connection.unwrap(), ClientOptions::new("default").build());
    (frontend, ClientService::new(client.unwrap()))
}

fn options(id: &str) -> WorkflowStartOptions {
    WorkflowStartOptions::new("baskets", id).build()
}

#[tokio::test]
async fn a_request_is_the_call_it_says_with_its_ids() {
    let (frontend, service) = service().await;
    let start = StartWorkflow::new(Basket::run, "alice".to_owned(), options("basket-1"));
    let request_id = id(&start);
    let handle = service.send(start).await.unwrap();
    assert_eq!(handle.run_id(), Some("run of basket-1"));
    let started = &frontend.requests::<StartWorkflowExecution>()[0];
    let message = started.get_ref();
    assert_eq!(message.namespace, "default");
    assert_eq!(message.workflow_id, "basket-1");
    assert_eq!(message.workflow_type.as_ref().unwrap().name, "Basket");
    assert_eq!(message.task_queue.as_ref().unwrap().name, "baskets");
    assert_eq!(message.request_id, request_id);
    let input = &message.input.as_ref().unwrap().payloads;
    assert_eq!(input[0].data, br#""alice""#);

    // By handle it names the run, by id it does not.
    for (execution, run) in [
        (Execution::from(&handle), "run of basket-1"),
        ("basket-1".into(), ""),
    ] {
        let pear = "pear".to_owned();
        let signal = SignalWorkflow::new(execution, Basket::add, pear, Default::default());
        let request_id = signal.options.request_id.clone().expect("it was given one");
        service.send(signal).await.unwrap();
        let signalled = frontend.requests::<SignalWorkflowExecution>();
        let message = signalled.last().unwrap().get_ref();
        assert_eq!(message.signal_name, "add");
        assert_eq!(message.request_id, request_id);
        let execution = message.workflow_execution.as_ref().unwrap();
        assert_eq!(execution.workflow_id, "basket-1");
        assert_eq!(execution.run_id, run);
    }
}

fn id<O: ClientOperation>(request: &Request<O>) -> String {
    O::request_id(request).expect("it was given one").to_owned()
}

#[tokio::test]
async fn both_halves_of_an_update_with_start_carry_the_headers() {
    let (frontend, service) = service().await;
    let service = ServiceBuilder::new()
        .layer(PropagationLayer::<UserId>::new())
        .service(service);
    let policy = WorkflowIdConflictPolicy::Fail;
    let options = WorkflowUpdateWithStartOptions::new("baskets", "basket-1", policy).build();
    let put = StartUpdateWithStartWorkflow::new(
        Basket::run,
        "alice".to_owned(),
        Basket::put,
        "pear".to_owned(),
        options,
    );
    let request_id = id(&put);
    // The frontend knows no such call. What matters is what it was asked.
    let call = UserId::scope("mallory".to_owned(), service.send(put)).await;
    assert!(call.is_err());
    let asked = frontend.requests::<ExecuteMultiOperation>();
    let parts = &asked[0].get_ref().operations;
    let user = |header: &Option<Header>| header.as_ref().unwrap().fields["user-id"].data.clone();
    let [start, update] = [0, 1].map(|i| parts[i].operation.as_ref().unwrap());
    let Part::StartWorkflow(start) = start else {
        panic!("the first part is the start: {start:?}")
    };
    assert_eq!(user(&start.header), br#""mallory""#);
    assert_eq!(start.request_id, request_id);
    let Part::UpdateWorkflow(update) = update else {
        panic!("the second part is the update: {update:?}")
    };
    let input = update.request.as_ref().unwrap().input.as_ref().unwrap();
    assert_eq!(user(&input.header), br#""mallory""#);
}

#[tokio::test]
async fn the_ready_made_layers_take_the_requests_as_they_are() {
    let (frontend, service) = service().await;
    let exported = Exported::new();
    let spans = Arc::new(Mutex::new(Vec::new()));
    let seen = spans.clone();
    let service = ServiceBuilder::new()
        .layer(
            TraceLayer::new().make_span_with(move |call: &CallInfo<'_>| {
                let workflow_type = call.target.workflow_type.map(str::to_owned);
                seen.lock().unwrap().push((call.operation, workflow_type));
                Span::none()
            }),
        )
        .layer(MetricsLayer::new(&exported.provider.meter("wire")))
        .layer(AuthorizeLayer::by(
            by_value::<UserId>(),
            |user, call| match user.is_some_and(|user| user.as_str() == "alice") {
                true => Ok(()),
                false => Err(format!("{user:?} may not {}", call.operation)),
            },
        ))
        .layer(ValidateLayer::new(|owner: &String, _| {
            match owner.is_empty() {
                true => Err("an owner has a name"),
                false => Ok(()),
            }
        }))
        // It counts what asks for a place, also what is refused outside of it.
        .layer(RateLimitLayer::new(3, Duration::from_secs(3600)).shed())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .service(service);
    let send = async |user: &str, owner: &str| {
        let start = StartWorkflow::new(Basket::run, owner.to_owned(), options("basket-1"));
        let call = UserId::scope(user.to_owned(), service.send(start));
        code(call.await)
    };

    assert_eq!(send("mallory", "bob").await, Code::PermissionDenied);
    assert_eq!(send("alice", "").await, Code::InvalidArgument);
    assert_eq!(send("alice", "bob").await, Code::Ok);
    assert_eq!(send("alice", "bob").await, Code::ResourceExhausted);

    let started = frontend.requests::<StartWorkflowExecution>();
    assert_eq!(started.len(), 1);
    assert_eq!(
        started[0].metadata().get("grpc-timeout").unwrap(),
        "5000000u"
    );
    let start = ("start_workflow", Some("Basket".to_owned()));
    assert_eq!(*spans.lock().unwrap(), vec![start; 4]);
    let totals = exported.totals();
    let total = |metric: &str| -> i64 {
        let of_metric = totals.iter().filter(|(name, _)| name.starts_with(metric));
        of_metric.map(|(_, total)| total).sum()
    };
    assert_eq!(total("tower_temporal_calls"), 4, "{totals:?}");
    assert_eq!(total("tower_temporal_failures"), 3, "{totals:?}");
}

/// The code of what a stack around a start failed with.
fn code<T>(result: Result<T, BoxError>) -> Code {
    match result {
        Ok(_) => Code::Ok,
        Err(error) => error::kind(&error).code(),
    }
}
