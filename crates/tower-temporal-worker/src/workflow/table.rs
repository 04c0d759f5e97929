//! The table of workflow operations. Types, stacks' bounds and the interceptor are generated from it.

/// Gives the table to `$generate!`.
///
/// An operation is introduced by how the SDK runs it: `handler` is an async call into a workflow, `sync` is done at once,
/// `cancellable` is a call of a workflow that can be cancelled, and `special` is written by hand in the interceptor.
macro_rules! workflow_operations {
    ($generate:ident) => {
        $generate! {
            inbound: WorkflowInbound {
                special initialize_workflow =>
                InitializeWorkflow(InitializeWorkflowInput) -> InitializeWorkflowOutput, InitializeWorkflowError
                in WorkflowContextView {
                    "Creates a workflow that has an `#[init]` method."
                    error: error::initialize,
                    headers: payloads,
                    target: |_input, context| context.workflow(),
                }
                special execute =>
                ExecuteWorkflow(ExecuteWorkflowInput) -> Box<dyn WorkflowOutputValue>, WorkflowTermination
                in WorkflowInterceptorContext {
                    "Executes a workflow."
                    error: error::termination,
                    headers: payloads,
                    target: |_input, context| context.workflow(),
                }
                special handle_signal =>
                HandleSignal(HandleSignalInput) -> (), WorkflowError in WorkflowInterceptorContext {
                    "Handles a signal."
                    error: error::signal_handler,
                    headers: payloads,
                    target: |input, context| Target {
                        name: Some(input.name()),
                        ..context.workflow()
                    },
                }
                sync handle_query =>
                HandleQuery(HandleQueryInput) -> Box<dyn WorkflowOutputValue>, WorkflowError
                in SyncWorkflowInterceptorContext {
                    "Handles a query."
                    error: error::handler,
                    headers: payloads,
                    target: |input, context| Target {
                        name: Some(input.name()),
                        ..context.workflow()
                    },
                }
                handler handle_update =>
                HandleUpdate(HandleUpdateInput) -> Box<dyn WorkflowOutputValue>, WorkflowError
                in WorkflowInterceptorContext {
                    "Handles an update."
                    error: error::handler,
                    headers: payloads,
                    target: |input, context| Target {
                        name: Some(input.name()),
                        update_id: Some(input.id()),
                        ..context.workflow()
                    },
                }
                sync validate_update =>
                ValidateUpdate(ValidateUpdateInput) -> (), WorkflowError in SyncWorkflowInterceptorContext {
                    "Validates an update, before it is accepted."
                    error: error::handler,
                    headers: payloads,
                    target: |input, context| Target {
                        name: Some(input.name()),
                        update_id: Some(input.id()),
                        ..context.workflow()
                    },
                }
            }
            outbound: WorkflowOutbound {
                special start_timer =>
                StartTimer(StartTimerInput) -> TimerResult, StartTimerError in WorkflowInterceptorContext {
                    "Starts a timer."
                    error: error::timer,
                    headers: none,
                    target: |input, _context| Target {
                        name: input.options().summary.as_deref(),
                        ..Target::new()
                    },
                }
                cancellable schedule_activity =>
                ScheduleActivity(ScheduleActivityInput) -> Box<dyn WorkflowOutboundValue>, ActivityExecutionError
                in WorkflowInterceptorContext {
                    "Schedules an activity, and waits for its result."
                    error: error::activity,
                    headers: payloads,
                    target: |input, context| Target {
                        activity_type: Some(input.activity_type()),
                        activity_id: input.options().activity_id.as_deref(),
                        task_queue: input.options().task_queue.as_deref().or(Some(context.task_queue())),
                        ..Target::new()
                    },
                }
                cancellable schedule_local_activity =>
                ScheduleLocalActivity(ScheduleLocalActivityInput)
                    -> Box<dyn WorkflowOutboundValue>, ActivityExecutionError
                in WorkflowInterceptorContext {
                    "Schedules a local activity, and waits for its result."
                    error: error::activity,
                    headers: payloads,
                    target: |input, context| Target {
                        activity_type: Some(input.activity_type()),
                        activity_id: input.options().activity_id.as_deref(),
                        task_queue: Some(context.task_queue()),
                        ..Target::new()
                    },
                }
                cancellable start_child_workflow =>
                StartChildWorkflow(StartChildWorkflowInput) -> StartChildWorkflowOutput, ChildWorkflowStartError
                in WorkflowInterceptorContext {
                    "Starts a child workflow. It succeeds when the child has started."
                    error: error::child_workflow,
                    headers: payloads,
                    target: |input, context| Target {
                        task_queue: input.options().task_queue.as_deref().or(Some(context.task_queue())),
                        ..Target::workflow(Some(input.workflow_type()), input.options().workflow_id.as_deref())
                    },
                }
                special signal_child_workflow =>
                SignalChildWorkflow(SignalWorkflowInput) -> (), WorkflowSignalError in WorkflowInterceptorContext {
                    "Signals a child workflow. In the SDK it is `signal_workflow` with a child as its target."
                    error: error::signal,
                    headers: payloads,
                    target: |input, _context| signal_target(input),
                }
                special signal_external_workflow =>
                SignalExternalWorkflow(SignalWorkflowInput) -> (), WorkflowSignalError in WorkflowInterceptorContext {
                    "Signals a workflow that is no child. In the SDK it is `signal_workflow` with an external target."
                    error: error::signal,
                    headers: payloads,
                    target: |input, _context| signal_target(input),
                }
                special cancel_external_workflow =>
                CancelExternalWorkflow(CancelExternalWorkflowInput) -> (), CancelExternalWorkflowError
                in WorkflowInterceptorContext {
                    "Requests the cancellation of a workflow that is no child."
                    error: error::cancel_external,
                    headers: none,
                    target: |input, _context| Target {
                        run_id: input.run_id.as_deref(),
                        ..Target::workflow(None, Some(&input.workflow_id))
                    },
                }
                special continue_as_new =>
                ContinueAsNew(ContinueAsNewInput) -> Box<ContinueAsNewWorkflowExecution>, WorkflowTermination
                in SyncWorkflowInterceptorContext {
                    "Continues the workflow as a new run. Its output is the command that says so."
                    error: error::termination,
                    headers: payloads,
                    target: |input, context| Target {
                        task_queue: input.options().task_queue.as_deref().or(Some(context.task_queue())),
                        ..Target::workflow(
                            input.options().workflow_type.as_deref().or(Some(context.workflow_type())),
                            Some(context.workflow_id()),
                        )
                    },
                }
                special start_nexus_operation =>
                StartNexusOperation(StartNexusOperationInput) -> StartedNexusOperation, StartNexusOperationError
                in WorkflowInterceptorContext {
                    "Starts a Nexus operation. It succeeds when the operation has started. Its headers are strings."
                    error: error::nexus,
                    headers: strings,
                    target: |input, _context| Target {
                        name: Some(&input.options().operation),
                        endpoint: Some(&input.options().endpoint),
                        ..Target::new()
                    },
                }
            }
        }
    };
}

pub(super) use workflow_operations;
