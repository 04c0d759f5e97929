//! Whether the SDK takes something for a long poll that is none here.

use crate::drift::sdk_sources;
use http::Request;
use std::fs;
use tower_temporal::rpc::{Body, is_long_poll};

/// The gRPC client's methods whose calls the SDK marks as long polls, read from its sources.
fn marked_by_the_sdk() -> Vec<String> {
    let mut methods = Vec::new();
    for source in sdk_sources(&["temporalio-client", "temporalio-sdk-core"]) {
        let text = fs::read_to_string(&source)
            .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        // `(method, Request, Response, |r| { … exts.insert(IsUserLongPoll) … });`
        for entry in text.split("\n    (\n").skip(1) {
            if entry.contains("insert(IsUserLongPoll)") {
                methods.push(up_to(entry.trim_start(), ','));
            }
        }
        // `request.extensions_mut().insert(IsWorkerTaskLongPoll); … self.client.clone().poll_…(request)`
        if source.ends_with("worker/client.rs") {
            for call in text.split("insert(IsWorkerTaskLongPoll)").skip(1) {
                let (_, method) = call.split_once(".poll_").expect("it polls something");
                methods.push(format!("poll_{}", up_to(method, '(')));
            }
        }
    }
    methods
}

fn up_to(text: &str, end: char) -> String {
    text.split(end).next().unwrap_or_default().to_owned()
}

#[test]
fn every_call_the_sdk_takes_for_a_long_poll_is_one_here() {
    let methods = marked_by_the_sdk();
    for known in ["poll_workflow_task_queue", "update_workflow_execution"] {
        let found = methods.iter().any(|method| method == known);
        assert!(
            found,
            "the SDK's sources are not as this test reads them: {methods:?}"
        );
    }
    for method in methods {
        let name: String = method
            .split('_')
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect();
        let path = format!("/temporal.api.workflowservice.v1.WorkflowService/{name}");
        // The field 5 is set: `wait_new_event` of the one method that waits only if it is told to.
        let request = Request::post(path)
            .body(Body::new(&b"\x28\x01"[..]))
            .unwrap();
        assert!(is_long_poll(&request), "{name}");
    }
}
