//! Nexus operations, served by a worker of the Python SDK: the Rust SDK can call them but not serve them.

use super::{
    Attributes, PATIENCE, UserId, assert_no_task_failed, attributes,
    cancellation::{What, check_after, check_before},
    history,
    outbound::{CHANGED_INPUT, CHANGED_OUTPUT, Expected, check},
    patiently, result,
    subject::{Step, Subject},
    worker_options,
};
use crate::{
    python::PythonWorker,
    support::{client, plain_client, unique, with_worker},
};
use temporalio_client::WorkflowStartOptions;
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    nexus::v1::{EndpointSpec, EndpointTarget, endpoint_target},
    operatorservice::v1::CreateNexusEndpointRequest,
};
use tonic::IntoRequest;
use tower_temporal::{ContextKey, Interceptors, propagation::PropagationLayer};
use tower_temporal_test::DevServer;

/// The endpoint of a Python worker, which ends when this is dropped.
struct Greetings {
    endpoint: String,
    worker: PythonWorker,
}

impl Greetings {
    /// Starts a worker, or says that there is no Python to run it.
    async fn serve() -> Option<Self> {
        let endpoint = unique("nexus");
        create_endpoint(&endpoint, &endpoint).await;
        let worker = PythonWorker::start("nexus_worker.py", &endpoint).await?;
        Some(Self { endpoint, worker })
    }

    fn step(&self, operation: &str) -> Step {
        Step::Nexus {
            endpoint: self.endpoint.clone(),
            operation: operation.to_owned(),
            timeout: PATIENCE,
        }
    }
}

/// Creates a Nexus endpoint that is served on `queue`.
pub(super) async fn create_endpoint(name: &str, queue: &str) {
    let target = endpoint_target::Worker {
        namespace: DevServer::shared().await.namespace().to_owned(),
        task_queue: queue.to_owned(),
    };
    let request = CreateNexusEndpointRequest {
        spec: Some(EndpointSpec {
            name: name.to_owned(),
            target: Some(EndpointTarget {
                variant: Some(endpoint_target::Variant::Worker(target)),
            }),
            ..EndpointSpec::default()
        }),
    };
    plain_client()
        .await
        .connection()
        .operator_service()
        .create_nexus_endpoint(request.into_request())
        .await
        .expect("the server takes a new endpoint");
}

#[tokio::test]
async fn a_nexus_operation_is_seen_changed_and_refused() {
    let Some(greetings) = Greetings::serve().await else {
        return;
    };
    check(Expected {
        operation: "start_nexus_operation",
        step: greetings.step("tell"),
        target: &format!("name=tell endpoint={}", greetings.endpoint),
        plain: r#" {"text":"text","user":null}"#,
        input: &format!(r#" {{"text":"{CHANGED_INPUT}","user":null}}"#),
        output: Some(&format!(
            r#"{CHANGED_OUTPUT} {{"text":"text","user":null}}"#
        )),
        denied: "denied: not today [PermissionDenied]",
        event: EventType::NexusOperationScheduled,
    })
    .await;
}

#[tokio::test]
async fn the_user_id_reaches_a_nexus_handler_as_a_string() {
    let Some(greetings) = Greetings::serve().await else {
        return;
    };
    let propagation = PropagationLayer::<UserId>::new();
    let interceptors = Interceptors::builder()
        .client(propagation.clone())
        .workflow_inbound(propagation.clone())
        .workflow_outbound(propagation)
        .build();
    let client = client(interceptors).await;
    let queue = unique("nexus-user");
    let test = async {
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        let start = client.start_workflow(Subject::run, vec![greetings.step("tell")], options);
        let handle = UserId::scope("alice".to_owned(), start)
            .await
            .expect("the workflow can be started");
        let said = result(&handle).await.expect("it completes");
        assert_eq!(said, [r#" {"text":"text","user":"alice"}"#]);
        let history = history(&handle).await;
        assert_no_task_failed(&history);
        let header = attributes(&history, |attributes| match attributes {
            Attributes::NexusOperationScheduledEventAttributes(scheduled) => {
                scheduled.nexus_header.get("user-id").cloned()
            }
            _ => None,
        });
        assert_eq!(header.as_deref(), Some("alice"));
    };
    with_worker(
        &client,
        worker_options(&queue),
        patiently("see the last workflow on the server", test),
    )
    .await;
}

#[tokio::test]
async fn a_nexus_operation_is_cancelled_through_a_stack() {
    let Some(greetings) = Greetings::serve().await else {
        return;
    };
    let what = What::Nexus {
        endpoint: greetings.endpoint.clone(),
    };
    check_after(
        "start_nexus_operation",
        what.clone(),
        "cancelled",
        EventType::NexusOperationCancelRequested,
    )
    .await;
    check_before(
        "start_nexus_operation",
        what,
        "not started: Nexus Operation cancelled before scheduled",
        Some(EventType::NexusOperationScheduled),
    )
    .await;
}

/// A test that is killed can't drop anything.
#[tokio::test]
async fn the_python_worker_ends_with_the_process_that_started_it() {
    if let Some(greetings) = Greetings::serve().await {
        assert_eq!(greetings.worker.end().await, "");
    }
}
