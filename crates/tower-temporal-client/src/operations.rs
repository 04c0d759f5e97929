//! The table of client operations, and what is generated from it.

use crate::{Interceptor, macros::always};
use std::{future::Future, pin::Pin, time::Duration};
use temporalio_client::{
    ActivityHeartbeatResponse, ActivityIdentifier, BackfillScheduleInput, CancelWorkflowInput,
    ClientInterceptor, CompleteAsyncActivityInput, CountWorkflowsInput, CountWorkflowsOutput,
    CreateScheduleInput, CreateScheduleOutput, DeleteScheduleInput, DescribeScheduleInput,
    DescribeScheduleOutput, DescribeWorkflowInput, DescribeWorkflowOutput, FailAsyncActivityInput,
    FetchWorkflowHistoryPageInput, FetchWorkflowHistoryPageOutput, HasArgs,
    HeartbeatAsyncActivityInput, ListSchedulesPageInput, ListSchedulesPageOutput,
    ListWorkflowsPageInput, ListWorkflowsPageOutput, PauseScheduleInput, PollWorkflowUpdateInput,
    PollWorkflowUpdateOutput, QueryWorkflowInput, QueryWorkflowOutput,
    ReportAsyncActivityCancellationInput, RpcOptions, SendScheduleUpdateInput,
    SignalWithStartWorkflowInput, SignalWorkflowInput, StartWorkflowInput, StartWorkflowOutput,
    StartWorkflowUpdateInput, StartWorkflowUpdateOutput, TerminateWorkflowInput,
    TriggerScheduleInput, UnpauseScheduleInput, UpdateScheduleInput, UpdateWithStartWorkflowInput,
    UpdateWithStartWorkflowOutput,
    errors::{
        AsyncActivityError, ClientError, WorkflowInteractionError, WorkflowQueryError,
        WorkflowStartError, WorkflowUpdateError, WorkflowUpdateWithStartError,
    },
    schedules::ScheduleError,
};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request, Target, call::Call};

macro_rules! operations {
    ($(
        $method:ident => $operation:ident($input:ident) -> $output:ty, $error:ident {
            $doc:literal
            $(headers: [$($header:ident),*],)?
            $(args: [$($args:ident),*],)?
            $(rpc: $($rpc:ident).+,)?
            $(long_poll: $long_poll:expr,)?
            $(target: |$target_input:ident| $target:expr,)?
        }
    )*) => {
        /// The names of all client operations.
        pub const OPERATIONS: &[&str] = &[$(stringify!($method)),*];

        $(
            #[doc = $doc]
            #[doc = ""]
            #[doc = concat!(
                "The operation `", stringify!($method), "` of [`ClientInterceptor`]: [`", stringify!($input),
                "`] → `", stringify!($output), "`, failing with [`", stringify!($error), "`]."
            )]
            #[derive(Clone, Copy, Debug)]
            pub struct $operation;

            impl Operation for $operation {
                type Input = $input;
                type Output = $output;
                type Error = $error;

                tower_temporal_core::spare!($operation);

                client_operation! {
                    $method,
                    headers: [$($($header),*)?],
                    args: |input, Arg| [$($(input.$args::<Arg>()),*)?],
                    rpc: [$($($rpc).+)?],
                    long_poll: [$($long_poll)?],
                    target: [$(|$target_input| $target)?],
                }
            }
        )*

        /// A stack that serves every client operation.
        ///
        /// It is implemented for every service that qualifies; there is nothing to implement by hand. A stack of generic
        /// layers qualifies as it is. One that serves a single request type (`map_request` with a closure,
        /// `BoxCloneService`, `buffer`) does inside [`on`](tower_temporal_core::on).
        #[diagnostic::on_unimplemented(
            message = "`{Self}` can't be the stack of a Temporal client",
            label = "does not serve every client operation",
            note = "a client's stack is `Clone + Send + 'static`, serves `Request<O>` for every client operation `O` with \
                    `Response = O::Output`, `Error: Into<BoxError>` and `Future: Send`",
            note = "put a layer that serves one operation only inside `on::<client::StartWorkflow, _>(layer)`"
        )]
        pub trait ClientOutboundService:
            Clone + Send + 'static
            $(+ Service<Request<$operation>, Response = $output, Error: Into<BoxError>, Future: Send>)*
        {
        }

        impl<S> ClientOutboundService for S where
            S: Clone + Send + 'static
            $(+ Service<Request<$operation>, Response = $output, Error: Into<BoxError>, Future: Send>)*
        {
        }

        impl<S: ClientOutboundService> ClientInterceptor for Interceptor<S> {$(
            fn $method<'a>(
                &'a self,
                input: $input,
                next: temporalio_client::Next<'a, $input, BoxFuture<'a, Result<$output, $error>>>,
            ) -> BoxFuture<'a, Result<$output, $error>> {
                Call::<$operation, _, _>::boxed(self.stack.get(), input, (), |input| next.run(input))
            }
        )*}
    };
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

operations! {
    start_workflow => StartWorkflow(StartWorkflowInput) -> StartWorkflowOutput, WorkflowStartError {
        "Starts a workflow."
        headers: [header],
        args: [args_ref],
        rpc: rpc_options,
        target: |input| Target {
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(&input.workflow_type), Some(&input.options.workflow_id))
        },
    }
    signal_with_start_workflow =>
    SignalWithStartWorkflow(SignalWithStartWorkflowInput) -> StartWorkflowOutput, WorkflowStartError {
        "Signals a workflow, and starts it first if it does not run."
        headers: [header],
        args: [workflow_args_ref, signal_args_ref],
        rpc: rpc_options,
        target: |input| Target {
            name: Some(&input.signal_name),
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(&input.workflow_type), Some(&input.options.workflow_id))
        },
    }
    list_workflows_page => ListWorkflowsPage(ListWorkflowsPageInput) -> ListWorkflowsPageOutput, ClientError {
        "Fetches one page of a list of workflows."
        rpc: rpc_options,
    }
    count_workflows => CountWorkflows(CountWorkflowsInput) -> CountWorkflowsOutput, ClientError {
        "Counts workflows."
    }
    describe_workflow =>
    DescribeWorkflow(DescribeWorkflowInput) -> DescribeWorkflowOutput, WorkflowInteractionError {
        "Describes a workflow."
        target: |input| run(&input.workflow_id, &input.run_id),
    }
    fetch_workflow_history_page =>
    FetchWorkflowHistoryPage(FetchWorkflowHistoryPageInput)
        -> FetchWorkflowHistoryPageOutput, WorkflowInteractionError {
        "Fetches one page of a workflow's history. Waiting for a workflow's result is made of these."
        long_poll: |input| input.options.wait_new_event,
        target: |input| run(&input.workflow_id, &input.run_id),
    }
    signal_workflow => SignalWorkflow(SignalWorkflowInput) -> (), WorkflowInteractionError {
        "Signals a workflow."
        headers: [header],
        args: [args_ref],
        target: |input| Target {
            name: Some(&input.signal_name),
            ..run(&input.workflow_id, &input.run_id)
        },
    }
    query_workflow => QueryWorkflow(QueryWorkflowInput) -> QueryWorkflowOutput, WorkflowQueryError {
        "Queries a workflow."
        headers: [header],
        args: [args_ref],
        target: |input| Target {
            name: Some(&input.query_name),
            ..run(&input.workflow_id, &input.run_id)
        },
    }
    start_workflow_update =>
    StartWorkflowUpdate(StartWorkflowUpdateInput) -> StartWorkflowUpdateOutput, WorkflowUpdateError {
        "Sends an update to a workflow."
        headers: [header],
        args: [args_ref],
        long_poll: always,
        target: |input| Target {
            name: Some(&input.update_name),
            update_id: input.options.update_id.as_deref(),
            ..run(&input.workflow_id, &input.run_id)
        },
    }
    update_with_start_workflow =>
    UpdateWithStartWorkflow(UpdateWithStartWorkflowInput)
        -> UpdateWithStartWorkflowOutput, WorkflowUpdateWithStartError {
        "Sends an update to a workflow, and starts it first if it does not run."
        headers: [start_header, update_header],
        args: [workflow_args_ref, update_args_ref],
        rpc: rpc_options,
        long_poll: always,
        target: |input| Target {
            name: Some(&input.update_name),
            update_id: input.options.update_id.as_deref(),
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(&input.workflow_type), Some(&input.options.workflow_id))
        },
    }
    poll_workflow_update =>
    PollWorkflowUpdate(PollWorkflowUpdateInput) -> PollWorkflowUpdateOutput, WorkflowUpdateError {
        "Waits for the outcome of an update."
        rpc: rpc_options,
        long_poll: always,
        target: |input| Target {
            update_id: Some(&input.update_id),
            ..run(&input.workflow_id, &input.run_id)
        },
    }
    cancel_workflow => CancelWorkflow(CancelWorkflowInput) -> (), WorkflowInteractionError {
        "Requests the cancellation of a workflow."
        target: |input| run(&input.workflow_id, &input.run_id),
    }
    terminate_workflow => TerminateWorkflow(TerminateWorkflowInput) -> (), WorkflowInteractionError {
        "Terminates a workflow."
        target: |input| run(&input.workflow_id, &input.run_id),
    }
    create_schedule => CreateSchedule(CreateScheduleInput) -> CreateScheduleOutput, ScheduleError {
        "Creates a schedule."
        target: |input| schedule(&input.schedule_id),
    }
    list_schedules_page => ListSchedulesPage(ListSchedulesPageInput) -> ListSchedulesPageOutput, ScheduleError {
        "Fetches one page of a list of schedules."
        rpc: rpc_options,
    }
    describe_schedule => DescribeSchedule(DescribeScheduleInput) -> DescribeScheduleOutput, ScheduleError {
        "Describes a schedule."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    update_schedule => UpdateSchedule(UpdateScheduleInput) -> (), ScheduleError {
        "Updates a schedule: describes it, and sends what the caller makes of it. It is one call: there is no [`DescribeSchedule`] or [`SendScheduleUpdate`] within it."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    send_schedule_update => SendScheduleUpdate(SendScheduleUpdateInput) -> (), ScheduleError {
        "Sends a prepared update of a schedule."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    delete_schedule => DeleteSchedule(DeleteScheduleInput) -> (), ScheduleError {
        "Deletes a schedule."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    pause_schedule => PauseSchedule(PauseScheduleInput) -> (), ScheduleError {
        "Pauses a schedule."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    unpause_schedule => UnpauseSchedule(UnpauseScheduleInput) -> (), ScheduleError {
        "Unpauses a schedule."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    trigger_schedule => TriggerSchedule(TriggerScheduleInput) -> (), ScheduleError {
        "Triggers a schedule's action now."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    backfill_schedule => BackfillSchedule(BackfillScheduleInput) -> (), ScheduleError {
        "Runs a schedule's actions of the past."
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
    }
    complete_async_activity => CompleteAsyncActivity(CompleteAsyncActivityInput) -> (), AsyncActivityError {
        "Completes an activity from outside its worker."
        args: [result_ref],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
    }
    fail_async_activity => FailAsyncActivity(FailAsyncActivityInput) -> (), AsyncActivityError {
        "Fails an activity from outside its worker."
        args: [last_heartbeat_details_ref],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
    }
    report_async_activity_cancellation =>
    ReportAsyncActivityCancellation(ReportAsyncActivityCancellationInput) -> (), AsyncActivityError {
        "Reports an activity as cancelled from outside its worker."
        args: [details_ref],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
    }
    heartbeat_async_activity =>
    HeartbeatAsyncActivity(HeartbeatAsyncActivityInput) -> ActivityHeartbeatResponse, AsyncActivityError {
        "Heartbeats an activity from outside its worker."
        args: [details_ref],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
    }
}

fn run<'a>(workflow_id: &'a str, run_id: &'a str) -> Target<'a> {
    Target {
        run_id: non_empty(run_id),
        ..Target::workflow(None, Some(workflow_id))
    }
}

pub(crate) fn limit(rpc_options: &mut RpcOptions, timeout: Duration) {
    // tonic panics where eight digits of hours are not enough.
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    let timeout = timeout.min(LONGEST);
    let limit = &mut rpc_options.timeout;
    *limit = Some(limit.map_or(timeout, |limit| limit.min(timeout)));
}

pub(crate) fn schedule(schedule_id: &str) -> Target<'_> {
    Target {
        schedule_id: Some(schedule_id),
        ..Target::new()
    }
}

pub(crate) fn activity(identifier: &ActivityIdentifier) -> Target<'_> {
    match identifier {
        ActivityIdentifier::TaskToken(_) => Target::new(),
        ActivityIdentifier::ByIdWorkflow {
            workflow_id,
            run_id,
            activity_id,
        } => Target {
            activity_id: Some(activity_id),
            ..run(workflow_id, run_id)
        },
        ActivityIdentifier::ByIdStandalone {
            activity_id,
            run_id,
        } => Target {
            activity_id: Some(activity_id),
            run_id: non_empty(run_id),
            ..Target::new()
        },
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::{Code, Status};
    use tower_temporal_core::{Ending, ErrorKind, error};

    #[test]
    fn a_limit_is_one_that_can_be_sent() {
        let mut options = RpcOptions::default();
        limit(&mut options, Duration::MAX);
        let mut request = tonic::Request::new(());
        // It panics where it can't be.
        request.set_timeout(options.timeout.expect("there is a limit"));
        limit(&mut options, Duration::from_secs(5));
        limit(&mut options, Duration::from_secs(9));
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn the_status_in_an_error_is_found_though_it_is_no_source() {
        let error = WorkflowInteractionError::Rpc(Status::unavailable("gone"));
        assert!(
            std::error::Error::source(&error).is_none(),
            "the SDK has mended it"
        );
        let unavailable = ErrorKind::Status(Code::Unavailable);
        assert_eq!(error::kind_of::<CancelWorkflow, _>(&error), unavailable);
        assert_eq!(
            error::kind_of::<CancelWorkflow, BoxError>(&error.into()),
            unavailable
        );
    }

    #[test]
    fn an_error_that_names_the_status_as_its_source_is_looked_into_too() {
        let error = WorkflowInteractionError::NotFound(Status::not_found("no such workflow"));
        assert_eq!(
            error::kind_of::<CancelWorkflow, _>(&error),
            ErrorKind::Status(Code::NotFound)
        );
    }

    #[test]
    fn an_answer_is_no_failure() {
        let started = WorkflowStartError::AlreadyStarted {
            run_id: None,
            source: Status::already_exists(""),
        };
        assert_eq!(StartWorkflow::ending(&started), Ending::Answered);
        let rejected = WorkflowQueryError::Rejected { status: None };
        assert_eq!(QueryWorkflow::ending(&rejected), Ending::Answered);
        let gone = WorkflowQueryError::Rpc(Status::unavailable("gone"));
        assert_eq!(QueryWorkflow::ending(&gone), Ending::Failed);
    }
}
