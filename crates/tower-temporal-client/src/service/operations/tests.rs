//! Tests of what is generated.

use super::*;
use crate::service::ClientOperation;
use std::time::Duration;
use temporalio_client::{
    RpcOptions, UntypedSignal, UntypedUpdate, UntypedWorkflow, WorkflowStartOptions,
};
use temporalio_common::data_converters::RawValue;
use tonic::{Code, Status};
use tower_temporal_core::{Denied, Ending, Operation, Request, Target};

fn start() -> Request<SignalWithStartWorkflow<UntypedWorkflow, UntypedSignal<UntypedWorkflow>>> {
    let mut request = SignalWithStartWorkflow::new(
        UntypedWorkflow::new("Order"),
        RawValue::empty(),
        UntypedSignal::new("pay"),
        RawValue::empty(),
        WorkflowStartOptions::new("queue", "order-1").build(),
    );
    request.extensions_mut().insert(7_u32);
    request
}

#[test]
fn a_clone_is_the_same_request_with_its_extensions() {
    let clone = start().clone();
    assert_eq!(clone.extensions().get(), Some(&7_u32));
    assert_eq!(clone.target(), start().target());
    assert_eq!(
        clone.target(),
        Target {
            name: Some("pay"),
            task_queue: Some("queue"),
            ..Target::workflow(Some("Order"), Some("order-1"))
        }
    );
}

fn args<O: Operation, A: Any>(request: &Request<O>) -> [bool; 2] {
    O::args::<A>(request).map(|arg| arg.is_some())
}

#[test]
fn arguments_are_found_by_their_type_also_as_an_option() {
    assert_eq!(args::<_, RawValue>(&start()), [true, true]);
    assert_eq!(args::<_, String>(&start()), [false, false]);
    let token = ActivityIdentifier::TaskToken(b"token".to_vec().into());
    let complete = CompleteAsyncActivity::new(token, Some(1_u8), RpcOptions::default());
    assert_eq!(args::<_, u8>(&complete), [true, false]);
    assert_eq!(args::<_, Option<u8>>(&complete), [true, false]);
}

#[test]
fn a_deadline_only_shortens_that_of_the_request() {
    let (long, short) = (Duration::from_secs(9), Duration::from_secs(1));
    let mut describe = DescribeSchedule::new("daily", RpcOptions::default());
    for (given, expected) in [(long, long), (short, short), (long, short)] {
        DescribeSchedule::limit_timeout(&mut describe, given);
        assert_eq!(describe.rpc_options.timeout, Some(expected));
    }
}

#[test]
fn what_a_middleware_fails_with_is_the_error_of_the_call() {
    let error = DescribeSchedule::error(Denied::new("no").into());
    let code = DescribeSchedule::kind(&error).code();
    assert_eq!(code, Code::PermissionDenied, "{error:?}");
    assert_eq!(DescribeSchedule::ending(&error), Ending::Failed);
}

#[test]
fn the_status_is_found_in_every_error_that_has_one() {
    use temporalio_client::errors::{
        WorkflowInteractionError, WorkflowStartError, WorkflowUpdateError,
        WorkflowUpdateWithStartError,
    };

    fn code<O: ClientOperation>(error: O::Error) -> Option<Code> {
        O::status(&error).map(Status::code)
    }

    type Start = StartWorkflow<UntypedWorkflow>;
    type Update = ExecuteUpdateWithStartWorkflow<UntypedWorkflow, UntypedUpdate<UntypedWorkflow>>;
    let not_found = || Status::not_found("");
    assert_eq!(
        code::<CancelWorkflow>(WorkflowInteractionError::Rpc(not_found())),
        Some(Code::NotFound)
    );
    assert_eq!(
        code::<CancelWorkflow>(WorkflowInteractionError::NotFound(not_found())),
        Some(Code::NotFound)
    );
    let started = WorkflowStartError::AlreadyStarted {
        run_id: None,
        source: Status::already_exists(""),
    };
    assert_eq!(code::<Start>(started), Some(Code::AlreadyExists));
    let of_update = WorkflowUpdateError::NotFound(not_found());
    assert_eq!(
        code::<Update>(WorkflowUpdateWithStartError::Update(of_update)),
        Some(Code::NotFound)
    );
    let other = WorkflowInteractionError::Other("no status".into());
    assert_eq!(code::<CancelWorkflow>(other), None);
}

#[test]
fn a_request_carries_one_request_id_however_often_it_is_cloned() {
    fn id<O: ClientOperation>(request: &Request<O>) -> Option<&str> {
        O::request_id(request)
    }

    let start = || {
        let options = WorkflowStartOptions::new("queue", "order-1").build();
        let order = UntypedWorkflow::new("Order");
        StartWorkflow::new(order, RawValue::empty(), options)
    };
    let request = start();
    assert!(id(&request).is_some());
    assert_eq!(id(&request), id(&request.clone()));
    assert_ne!(id(&request), id(&start()));

    let mut rpc_options = RpcOptions::default();
    let metadata = &mut rpc_options.metadata;
    metadata.insert(crate::service::REQUEST_ID, "mine").unwrap();
    let update = |_: &mut _| {};
    let update = UpdateSchedule::new("daily", update, rpc_options.clone());
    assert_eq!(id(&update), Some("mine"));
    // What the server takes no id of has none, whatever its metadata says.
    assert_eq!(id(&DescribeSchedule::new("daily", rpc_options)), None);
}
