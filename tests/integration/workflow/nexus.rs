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
use crate::support::{client, plain_client, unique, with_worker};
use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
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
    worker: Child,
}

impl Greetings {
    /// Starts a worker, or says that there is no Python to run it.
    async fn serve() -> Option<Self> {
        let python = tokio::task::spawn_blocking(python)
            .await
            .expect("nothing panics there");
        let Some(python) = python else {
            let text = "there is no Python with the packages `temporalio` and `nexus-rpc`, and pip can't get them";
            assert_ne!(
                env::var("CI").as_deref(),
                Ok("true"),
                "Nexus must be tested here, but {text}"
            );
            eprintln!("SKIPPED: {text}");
            return None;
        };
        let server = DevServer::shared().await;
        let endpoint = unique("nexus");
        create_endpoint(&endpoint, &endpoint).await;
        // The Python SDK wants no scheme.
        let address = server.address();
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/nexus_worker.py");
        let worker = Command::new(python)
            .arg(script)
            .args([address, server.namespace(), &endpoint])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut this = Self { endpoint, worker };
        let output = this.worker.stdout.take().expect("it is piped");
        let ready = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("the Python worker should be ready by now")
            .expect("nothing panics there")
            .expect("its output can be read");
        assert_eq!(line.trim(), "ready", "the Python worker did not start");
        Some(this)
    }

    fn step(&self, operation: &str) -> Step {
        Step::Nexus {
            endpoint: self.endpoint.clone(),
            operation: operation.to_owned(),
            timeout: PATIENCE,
        }
    }
}

impl Drop for Greetings {
    fn drop(&mut self) {
        // It would end by itself when this process does; a test that is over need not keep it until then.
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

/// A Python that has what the worker needs: the system's, or one of a virtual environment under `target/`.
fn python() -> Option<OsString> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().ok()?;
    let suits = |python: &OsString| {
        succeeds(Command::new(python).args(["-c", "import temporalio, nexusrpc"]))
    };
    let system = OsString::from("python3");
    if suits(&system) {
        return Some(system);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nexus-venv");
    let own = directory.join("bin/python").into_os_string();
    if !suits(&own) {
        succeeds(Command::new(&system).args(["-m", "venv"]).arg(&directory));
        succeeds(Command::new(&own).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "temporalio==1.35.*",
        ]));
    }
    suits(&own).then_some(own)
}

fn succeeds(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
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
    with_worker(&client, worker_options(&queue), patiently(test)).await;
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
        EventType::NexusOperationScheduled,
    )
    .await;
}

/// A test that is killed can't drop anything.
#[tokio::test]
async fn the_python_worker_ends_with_the_process_that_started_it() {
    let Some(mut greetings) = Greetings::serve().await else {
        return;
    };
    drop(greetings.worker.stdin.take());
    let ended = tokio::task::spawn_blocking(move || greetings.worker.wait());
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it should end when its standard input does")
        .expect("nothing panics there")
        .expect("it can be waited for");
}
