//! The requests: what they are is in the table, what is generated from it in the macro.

#[macro_use]
mod macros;
mod table;
#[cfg(test)]
mod tests;

pub use self::table::*;

use super::ActivityExecution;
use std::any::Any;
use temporalio_client::{
    ActivityHandle, ActivityIdentifier, Client, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
};
use temporalio_common::UntypedActivity;
use uuid::Uuid;

/// An argument, if it is an `A`: as it is, or where a call takes it as an option.
fn arg<F: Any, A: Any>(field: &F) -> Option<&A> {
    let field: &dyn Any = field;
    field
        .downcast_ref()
        .or_else(|| field.downcast_ref::<Option<A>>()?.as_ref())
}

pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Whether a second start of the same workflow id is refused, whatever has become of the first.
fn starts_once(reuse: WorkflowIdReusePolicy, conflict: WorkflowIdConflictPolicy) -> bool {
    reuse == WorkflowIdReusePolicy::RejectDuplicate
        && conflict != WorkflowIdConflictPolicy::TerminateExisting
}

fn untyped(
    client: &Client,
    ActivityExecution {
        activity_id,
        run_id,
    }: ActivityExecution,
) -> ActivityHandle<Client, UntypedActivity> {
    client.get_untyped_activity_handle(activity_id, run_id)
}

/// Whether a call by this identifier can't come to the activity of the same id in another run.
const fn names_run(identifier: &ActivityIdentifier) -> bool {
    match identifier {
        ActivityIdentifier::TaskToken(_) => true,
        ActivityIdentifier::ByIdWorkflow { run_id, .. }
        | ActivityIdentifier::ByIdStandalone { run_id, .. } => !run_id.is_empty(),
    }
}
