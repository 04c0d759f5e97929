use crate::{CallInfo, Outcome};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt},
};
use std::any::Any;
use tower_temporal_core::{BoxError, Operation, error};

/// What the span of a call is, as in the SDKs' own integrations. None for calls that have no span there.
pub(super) fn builder(call: &CallInfo<'_>) -> Option<SpanBuilder> {
    let kind = if call.category.is_inbound() {
        SpanKind::Server
    } else {
        SpanKind::Client
    };
    Some(
        SpanBuilder::from_name(name(call)?)
            .with_kind(kind)
            .with_attributes(attributes(call)),
    )
}

fn name(call: &CallInfo<'_>) -> Option<String> {
    let target = &call.target;
    let (verb, object) = match call.operation {
        "start_workflow" => ("StartWorkflow", target.workflow_type),
        "signal_with_start_workflow" => ("SignalWithStartWorkflow", target.workflow_type),
        "signal_workflow" => ("SignalWorkflow", target.name),
        "describe_workflow" => ("DescribeWorkflow", None),
        "query_workflow" => ("QueryWorkflow", target.name),
        "start_workflow_update" => ("StartWorkflowUpdate", target.name),
        "update_with_start_workflow" => ("UpdateWithStartWorkflow", target.workflow_type),
        "cancel_workflow" => ("CancelWorkflow", None),
        "terminate_workflow" => ("TerminateWorkflow", None),
        "execute" => ("RunWorkflow", target.workflow_type),
        "handle_signal" => ("HandleSignal", target.name),
        "handle_query" => ("HandleQuery", target.name),
        "handle_update" => ("HandleUpdate", target.name),
        "validate_update" => ("ValidateUpdate", target.name),
        "schedule_activity" | "schedule_local_activity" => ("StartActivity", target.activity_type),
        "start_child_workflow" => ("StartChildWorkflow", target.workflow_type),
        "signal_child_workflow" | "signal_external_workflow" => ("SignalWorkflow", target.name),
        "cancel_external_workflow" => ("CancelWorkflow", None),
        "start_nexus_operation" => ("StartNexusOperation", target.name),
        "execute_activity" => ("RunActivity", target.activity_type),
        _ => return None,
    };
    Some(match object {
        Some(object) => format!("{verb}:{object}"),
        None => verb.to_owned(),
    })
}

/// The workflow is the one that the call is made in, and else the one it is aimed at.
fn attributes(call: &CallInfo<'_>) -> Vec<KeyValue> {
    let CallInfo { target, caller, .. } = call;
    let executes_activity = call.operation == "execute_activity";
    [
        (
            "temporalWorkflowID",
            caller.workflow_id.or(target.workflow_id),
        ),
        ("temporalRunID", caller.run_id.or(target.run_id)),
        (
            "temporalActivityID",
            target.activity_id.filter(|_| executes_activity),
        ),
        (
            "temporalActivityType",
            target.activity_type.filter(|_| executes_activity),
        ),
        ("temporalUpdateID", target.update_id),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some(KeyValue::new(key, value?.to_owned())))
    .collect()
}

/// A span that ends when this is dropped: with the call, or when the call is given up or its workflow evicted.
pub(super) struct ActiveSpan(pub(super) Context);

impl ActiveSpan {
    /// Ends the span. An error that is no failure leaves it as it is.
    pub(super) fn end<O: Operation, T, E: 'static>(self, result: &Result<T, E>) {
        if let Err(error) = result
            && Outcome::new::<O, E>(error).is_failure
        {
            let text = describe::<O, E>(error);
            let span = self.0.span();
            let message = KeyValue::new("exception.message", text.clone());
            span.add_event("exception", vec![message]);
            span.set_status(Status::error(text));
        }
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

fn describe<O: Operation, E: 'static>(error: &E) -> String {
    match (error as &dyn Any).downcast_ref::<BoxError>() {
        Some(error) => error.to_string(),
        None => match error::find::<O, E>(error) {
            Some(error) => error.to_string(),
            None => error::kind_of::<O, E>(error).type_name().to_owned(),
        },
    }
}
