use crate::{CallInfo, Failure};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt},
};
use std::borrow::Cow;
use tower_temporal_core::{Operation, error};

/// Whether a call has a span: as in Python's integration.
pub(super) fn has_one(call: &CallInfo<'_>) -> bool {
    name(call).is_some()
}

/// The span of a call that has one.
pub(super) fn builder(call: &CallInfo<'_>) -> SpanBuilder {
    let kind = if call.category.is_inbound() {
        SpanKind::Server
    } else {
        SpanKind::Client
    };
    let (verb, object) = name(call).unwrap_or((call.operation, None));
    let name = match object {
        Some(object) => Cow::Owned(format!("{verb}:{object}")),
        None => Cow::Borrowed(verb),
    };
    SpanBuilder::from_name(name)
        .with_kind(kind)
        .with_attributes(attributes(call))
}

fn name<'a>(call: &CallInfo<'a>) -> Option<(&'static str, Option<&'a str>)> {
    let target = &call.target;
    Some(match call.operation {
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
            && error::is_failure::<O, E>(error)
        {
            let text = Failure::new::<O, E>(error).to_string();
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
