//! The table of requests.

use super::{arg, names_run, new_id, starts_once, untyped};
use crate::{
    macros::always,
    operations::{activity, schedule},
    service::{
        ActivityExecution, ClientOperation, ClientService, Definition, Execution, ResponseFuture,
        definition::Of, request_id,
    },
};
use std::{
    marker::PhantomData,
    task::{Context, Poll},
};
use temporalio_client::{
    ActivityCancelOptions, ActivityCountOptions, ActivityDescribeOptions, ActivityExecutionCount,
    ActivityExecutionDescription, ActivityHandle, ActivityHeartbeatResponse, ActivityIdReusePolicy,
    ActivityIdentifier, ActivityListOptions, ActivityStartOptions, ActivityTerminateOptions,
    Client, ListActivitiesStream, ListWorkflowsStream, RpcOptions, UntypedWorkflow,
    WorkflowCancelOptions, WorkflowCountOptions, WorkflowDescribeOptions,
    WorkflowExecuteUpdateOptions, WorkflowExecutionCount, WorkflowExecutionDescription,
    WorkflowFetchHistoryOptions, WorkflowGetResultOptions, WorkflowHandle, WorkflowHistory,
    WorkflowListOptions, WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
    WorkflowStartUpdateOptions, WorkflowTerminateOptions, WorkflowUpdateHandle,
    WorkflowUpdateWithStartOptions,
    errors::{
        ActivityInteractionError, ActivityResultError, AsyncActivityError, ClientError,
        StartActivityError, WorkflowGetResultError, WorkflowInteractionError, WorkflowQueryError,
        WorkflowStartError, WorkflowUpdateError, WorkflowUpdateWithStartError,
    },
    schedules::{
        BackfillScheduleOptions, CreateScheduleOptions, DeleteScheduleOptions,
        ListSchedulesOptions, ListSchedulesStream, PauseScheduleOptions, ScheduleBackfill,
        ScheduleDescription, ScheduleError, ScheduleHandle, ScheduleOverlapPolicy, ScheduleUpdate,
        TriggerScheduleOptions, UnpauseScheduleOptions,
    },
};
use temporalio_common::{
    ActivityDefinition, HasWorkflowDefinition, QueryDefinition, SignalDefinition, UpdateDefinition,
    WorkflowDefinition, data_converters::TemporalSerializable, error::ApplicationFailure,
};
use tonic::{Code, Status};
use tower_service::Service;
use tower_temporal_core::{Operation, Request, Target};

operations! {
    start_workflow =>
    StartWorkflow<W>(StartWorkflowInput) -> WorkflowHandle<Client, W>, WorkflowStartError
    where {
        W: HasWorkflowDefinition + Send + Sync + 'static,
        W::Input: Send,
    }
    {
        "Starts a workflow."
        new: (
            /// The workflow.
            workflow: W as Definition<W>,
            /// Its input.
            input: W::Input,
            /// How it is started.
            options: WorkflowStartOptions,
        ),
        carries: request_id,
        headers: [header],
        args: [input],
        target: |input| Target {
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(input.workflow.name()), Some(&input.options.workflow_id))
        },
        idempotent: |input| starts_once(input.options.id_reuse_policy, input.options.id_conflict_policy),
        call: |client, input| {
            let handle = client.start_workflow(input.workflow, input.input, input.options).await?;
            Ok(WorkflowHandle::new(client, handle.info().clone()))
        },
    }
    signal_with_start_workflow =>
    SignalWithStartWorkflow<W, S>(SignalWithStartWorkflowInput) -> WorkflowHandle<Client, W>, WorkflowStartError
    where {
        W: HasWorkflowDefinition + Send + Sync + 'static,
        W::Input: Send,
        S: SignalDefinition<Workflow = W::Run> + Send + Sync + 'static,
        S::Input: Send,
    }
    {
        "Signals a workflow, and starts it first if it does not run."
        new: (
            /// The workflow.
            workflow: W as Definition<W>,
            /// The workflow's input.
            input: W::Input,
            /// The signal.
            signal: S as Definition<S>,
            /// The signal's input.
            signal_input: S::Input,
            /// How the workflow is started.
            options: WorkflowStartOptions,
        ),
        // A running workflow knows the id as its signal's. One that has ended does not: there the repeat would start another.
        carries: request_id if |input| starts_once(input.options.id_reuse_policy, input.options.id_conflict_policy),
        headers: [header],
        args: [input, signal_input],
        target: |input| Target {
            name: Some(input.signal.name()),
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(input.workflow.name()), Some(&input.options.workflow_id))
        },
        // Not idempotent: the SDK gives the signal no id that the server could know it by.
        call: |client, input| {
            let handle = client
                .signal_with_start_workflow(
                    input.workflow,
                    input.input,
                    input.signal,
                    input.signal_input,
                    input.options,
                )
                .await?;
            Ok(WorkflowHandle::new(client, handle.info().clone()))
        },
    }
    signal_workflow => SignalWorkflow<S>(SignalWorkflowInput) -> (), WorkflowInteractionError
    where {
        S: SignalDefinition + Send + Sync + 'static,
        S::Input: Send,
    }
    {
        "Signals a workflow."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// The signal.
            signal: S as Definition<S>,
            /// The signal's input.
            input: S::Input,
            /// How it is signalled.
            options: WorkflowSignalOptions,
        ),
        id: request_id,
        headers: [header],
        args: [input],
        target: |input| Target { name: Some(input.signal.name()), ..input.execution.target() },
        idempotent: |input| input.options.request_id.is_some(),
        call: |client, input| {
            let handle = input.execution.handle::<Of<S::Workflow>>(&client);
            handle.signal(input.signal, input.input, input.options).await
        },
    }
    query_workflow => QueryWorkflow<Q>(QueryWorkflowInput) -> Q::Output, WorkflowQueryError
    where {
        Q: QueryDefinition + Send + Sync + 'static,
        Q::Input: Send,
    }
    {
        "Queries a workflow."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// The query.
            query: Q as Definition<Q>,
            /// The query's input.
            input: Q::Input,
            /// How it is queried.
            options: WorkflowQueryOptions,
        ),
        headers: [header],
        args: [input],
        target: |input| Target { name: Some(input.query.name()), ..input.execution.target() },
        idempotent: always,
        call: |client, input| {
            let handle = input.execution.handle::<Of<Q::Workflow>>(&client);
            handle.query(input.query, input.input, input.options).await
        },
    }
    start_workflow_update =>
    StartWorkflowUpdate<U>(StartWorkflowUpdateInput) -> WorkflowUpdateHandle<Client, U::Output>, WorkflowUpdateError
    where {
        U: UpdateDefinition + Send + Sync + 'static,
        U::Input: Send,
    }
    {
        "Sends an update to a workflow, and waits until it is accepted."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// The update.
            update: U as Definition<U>,
            /// The update's input.
            input: U::Input,
            /// How it is sent.
            options: WorkflowStartUpdateOptions,
        ),
        id: update_id,
        headers: [header],
        args: [input],
        long_poll: always,
        target: |input| Target {
            name: Some(input.update.name()),
            update_id: input.options.update_id.as_deref(),
            ..input.execution.target()
        },
        idempotent: |input| input.options.update_id.is_some(),
        call: |client, input| {
            let handle = input.execution.handle::<Of<U::Workflow>>(&client);
            handle.start_update(input.update, input.input, input.options).await
        },
    }
    execute_workflow_update =>
    ExecuteWorkflowUpdate<U>(ExecuteWorkflowUpdateInput) -> U::Output, WorkflowUpdateError
    where {
        U: UpdateDefinition + Send + Sync + 'static,
        U::Input: Send,
        U::Output: Send + Sync,
    }
    {
        "Sends an update to a workflow, and waits for its outcome."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// The update.
            update: U as Definition<U>,
            /// The update's input.
            input: U::Input,
            /// How it is sent.
            options: WorkflowExecuteUpdateOptions,
        ),
        id: update_id,
        headers: [header],
        args: [input],
        long_poll: always,
        target: |input| Target {
            name: Some(input.update.name()),
            update_id: input.options.update_id.as_deref(),
            ..input.execution.target()
        },
        idempotent: |input| input.options.update_id.is_some(),
        call: |client, input| {
            let handle = input.execution.handle::<Of<U::Workflow>>(&client);
            handle.execute_update(input.update, input.input, input.options).await
        },
    }
    get_workflow_update_result =>
    GetWorkflowUpdateResult<U>(GetWorkflowUpdateResultInput) -> U::Output, WorkflowUpdateError
    where {
        U: UpdateDefinition + Send + Sync + 'static,
        U::Output: Send + Sync,
    }
    {
        "Waits for the outcome of an update that was sent before."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// The update.
            update: U as Definition<U>,
            /// The id it was sent with.
            update_id: impl Into<String> as String,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        rpc: rpc_options,
        long_poll: always,
        target: |input| Target {
            name: Some(input.update.name()),
            update_id: Some(&input.update_id),
            ..input.execution.target()
        },
        idempotent: always,
        call: |client, input| {
            let handle = input.execution.handle::<Of<U::Workflow>>(&client);
            handle.get_update_handle(input.update, input.update_id).get_result(input.rpc_options).await
        },
    }
    start_update_with_start_workflow =>
    StartUpdateWithStartWorkflow<W, U>(StartUpdateWithStartWorkflowInput)
        -> WorkflowUpdateHandle<Client, U::Output>, WorkflowUpdateWithStartError
    where {
        W: HasWorkflowDefinition + Send + Sync + 'static,
        W::Input: Send,
        U: UpdateDefinition<Workflow = W::Run> + Send + Sync + 'static,
        U::Input: Send,
    }
    {
        "Sends an update to a workflow, starting it first if it does not run, and waits until it is accepted."
        new: (
            /// The workflow.
            workflow: W as Definition<W>,
            /// The workflow's input.
            input: W::Input,
            /// The update.
            update: U as Definition<U>,
            /// The update's input.
            update_input: U::Input,
            /// How both are sent.
            options: WorkflowUpdateWithStartOptions,
        ),
        id: update_id,
        carries: request_id,
        headers: [start_header, update_header],
        args: [input, update_input],
        long_poll: always,
        target: |input| Target {
            name: Some(input.update.name()),
            update_id: input.options.update_id.as_deref(),
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(input.workflow.name()), Some(&input.options.workflow_id))
        },
        idempotent: |input| {
            input.options.update_id.is_some()
                && starts_once(input.options.id_reuse_policy, input.options.id_conflict_policy)
        },
        call: |client, input| {
            client
                .start_update_with_start_workflow(
                    input.workflow,
                    input.input,
                    input.update,
                    input.update_input,
                    input.options,
                )
                .await
        },
    }
    execute_update_with_start_workflow =>
    ExecuteUpdateWithStartWorkflow<W, U>(ExecuteUpdateWithStartWorkflowInput)
        -> U::Output, WorkflowUpdateWithStartError
    where {
        W: HasWorkflowDefinition + Send + Sync + 'static,
        W::Input: Send,
        U: UpdateDefinition<Workflow = W::Run> + Send + Sync + 'static,
        U::Input: Send,
        U::Output: Send + Sync,
    }
    {
        "Sends an update to a workflow, starting it first if it does not run, and waits for its outcome."
        new: (
            /// The workflow.
            workflow: W as Definition<W>,
            /// The workflow's input.
            input: W::Input,
            /// The update.
            update: U as Definition<U>,
            /// The update's input.
            update_input: U::Input,
            /// How both are sent.
            options: WorkflowUpdateWithStartOptions,
        ),
        id: update_id,
        carries: request_id,
        headers: [start_header, update_header],
        args: [input, update_input],
        long_poll: always,
        target: |input| Target {
            name: Some(input.update.name()),
            update_id: input.options.update_id.as_deref(),
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(input.workflow.name()), Some(&input.options.workflow_id))
        },
        idempotent: |input| {
            input.options.update_id.is_some()
                && starts_once(input.options.id_reuse_policy, input.options.id_conflict_policy)
        },
        call: |client, input| {
            client
                .execute_update_with_start_workflow(
                    input.workflow,
                    input.input,
                    input.update,
                    input.update_input,
                    input.options,
                )
                .await
        },
    }
    cancel_workflow => CancelWorkflow(CancelWorkflowInput) -> (), WorkflowInteractionError {
        "Requests the cancellation of a workflow."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// Why and how.
            options: WorkflowCancelOptions,
        ),
        id: request_id,
        target: |input| input.execution.target(),
        idempotent: |input| input.execution.is_pinned() || input.options.request_id.is_some(),
        call: |client, input| input.execution.handle::<UntypedWorkflow>(&client).cancel(input.options).await,
    }
    terminate_workflow => TerminateWorkflow(TerminateWorkflowInput) -> (), WorkflowInteractionError {
        "Terminates a workflow."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// Why and how.
            options: WorkflowTerminateOptions,
        ),
        target: |input| input.execution.target(),
        // A termination has no request id. One that names no run may come to the next start of the workflow id.
        idempotent: |input| input.execution.is_pinned(),
        done_if: NotFound,
        call: |client, input| input.execution.handle::<UntypedWorkflow>(&client).terminate(input.options).await,
    }
    describe_workflow =>
    DescribeWorkflow(DescribeWorkflowInput) -> WorkflowExecutionDescription, WorkflowInteractionError {
        "Describes a workflow."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// Controls for the call.
            options: WorkflowDescribeOptions,
        ),
        target: |input| input.execution.target(),
        idempotent: always,
        call: |client, input| input.execution.handle::<UntypedWorkflow>(&client).describe(input.options).await,
    }
    get_workflow_result => GetWorkflowResult<W>(GetWorkflowResultInput) -> W::Output, WorkflowGetResultError
    where {
        W: HasWorkflowDefinition + Send + Sync + 'static,
        W::Output: Send,
    }
    {
        "Waits for a workflow's result."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// The workflow's definition, which says what its result is.
            workflow: W as Definition<W>,
            /// Whether to follow it as it continues as new, and controls for the calls.
            options: WorkflowGetResultOptions,
        ),
        long_poll: always,
        target: |input| Target {
            workflow_type: Some(input.workflow.name()),
            ..input.execution.target()
        },
        idempotent: always,
        call: |client, input| input.execution.handle::<W>(&client).get_result(input.options).await,
    }
    fetch_workflow_history =>
    FetchWorkflowHistory(FetchWorkflowHistoryInput) -> WorkflowHistory, WorkflowInteractionError {
        "Fetches a workflow's history, as a stream, whose pages are fetched, and may fail, as it is read."
        new: (
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// Which events.
            options: WorkflowFetchHistoryOptions,
        ),
        long_poll: |input| input.options.wait_new_event,
        target: |input| input.execution.target(),
        idempotent: always,
        call: |client, input| Ok(input.execution.handle::<UntypedWorkflow>(&client).fetch_history(input.options)),
    }
    list_workflows => ListWorkflows(ListWorkflowsInput) -> ListWorkflowsStream, ClientError {
        "Lists workflows, as a stream, whose pages are fetched, and may fail, as it is read."
        new: (
            /// A query in the syntax of Temporal's list filters; empty for all.
            query: impl Into<String> as String,
            /// How many, and controls for the calls.
            options: WorkflowListOptions,
        ),
        idempotent: always,
        call: |client, input| Ok(client.list_workflows(input.query, input.options)),
    }
    count_workflows => CountWorkflows(CountWorkflowsInput) -> WorkflowExecutionCount, ClientError {
        "Counts workflows."
        new: (
            /// A query in the syntax of Temporal's list filters; empty for all.
            query: impl Into<String> as String,
            /// Controls for the call.
            options: WorkflowCountOptions,
        ),
        idempotent: always,
        call: |client, input| client.count_workflows(input.query, input.options).await,
    }
    create_schedule => CreateSchedule(CreateScheduleInput) -> ScheduleHandle<Client>, ScheduleError {
        "Creates a schedule."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// What it does, and when.
            options: CreateScheduleOptions,
        ),
        carries: request_id,
        target: |input| schedule(&input.schedule_id),
        idempotent: always,
        call: |client, input| client.create_schedule(input.schedule_id, input.options).await,
    }
    list_schedules => ListSchedules(ListSchedulesInput) -> ListSchedulesStream, ScheduleError {
        "Lists schedules, as a stream, whose pages are fetched, and may fail, as it is read."
        new: (
            /// Which schedules, and controls for the calls.
            options: ListSchedulesOptions,
        ),
        idempotent: always,
        call: |client, input| Ok(client.list_schedules(input.options)),
    }
    describe_schedule => DescribeSchedule(DescribeScheduleInput) -> ScheduleDescription, ScheduleError {
        "Describes a schedule."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: always,
        call: |client, input| client.get_schedule_handle(input.schedule_id).describe(input.rpc_options).await,
    }
    update_schedule => UpdateSchedule<F>(UpdateScheduleInput) -> (), ScheduleError
    where {
        F: FnOnce(&mut ScheduleUpdate) + Send + 'static,
    }
    {
        "Updates a schedule: describes it, and sends what a function makes of it."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// What is changed.
            update: F,
            /// Controls for both calls.
            rpc_options: RpcOptions,
        ),
        carries: request_id,
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
        // The function may change what it has changed before.
        call: |client, input| {
            client.get_schedule_handle(input.schedule_id).update(input.update, input.rpc_options).await
        },
    }
    send_schedule_update => SendScheduleUpdate(SendScheduleUpdateInput) -> (), ScheduleError {
        "Sends a prepared update of a schedule."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// What the schedule is to be.
            update: ScheduleUpdate,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        carries: request_id,
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: always,
        call: |client, input| {
            client.get_schedule_handle(input.schedule_id).send_update(input.update, input.rpc_options).await
        },
    }
    delete_schedule => DeleteSchedule(DeleteScheduleInput) -> (), ScheduleError {
        "Deletes a schedule."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// Controls for the call.
            options: DeleteScheduleOptions,
        ),
        target: |input| schedule(&input.schedule_id),
        idempotent: always,
        done_if: NotFound,
        call: |client, input| client.get_schedule_handle(input.schedule_id).delete(input.options).await,
    }
    pause_schedule => PauseSchedule(PauseScheduleInput) -> (), ScheduleError {
        "Pauses a schedule."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// Why; the SDK has a note of its own for `None`.
            note: Option<String>,
            /// Controls for the call.
            options: PauseScheduleOptions,
        ),
        carries: request_id,
        target: |input| schedule(&input.schedule_id),
        idempotent: always,
        call: |client, input| client.get_schedule_handle(input.schedule_id).pause(input.note, input.options).await,
    }
    unpause_schedule => UnpauseSchedule(UnpauseScheduleInput) -> (), ScheduleError {
        "Unpauses a schedule."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// Why; the SDK has a note of its own for `None`.
            note: Option<String>,
            /// Controls for the call.
            options: UnpauseScheduleOptions,
        ),
        carries: request_id,
        target: |input| schedule(&input.schedule_id),
        idempotent: always,
        call: |client, input| client.get_schedule_handle(input.schedule_id).unpause(input.note, input.options).await,
    }
    trigger_schedule => TriggerSchedule(TriggerScheduleInput) -> (), ScheduleError {
        "Triggers a schedule's action now."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// What happens if its workflow runs already.
            overlap_policy: ScheduleOverlapPolicy,
            /// Controls for the call.
            options: TriggerScheduleOptions,
        ),
        carries: request_id,
        target: |input| schedule(&input.schedule_id),
        call: |client, input| {
            client.get_schedule_handle(input.schedule_id).trigger(input.overlap_policy, input.options).await
        },
    }
    backfill_schedule => BackfillSchedule(BackfillScheduleInput) -> (), ScheduleError {
        "Runs a schedule's actions of the past."
        new: (
            /// The schedule's id.
            schedule_id: impl Into<String> as String,
            /// Which.
            backfills: Vec<ScheduleBackfill>,
            /// Controls for the call.
            options: BackfillScheduleOptions,
        ),
        carries: request_id,
        target: |input| schedule(&input.schedule_id),
        call: |client, input| {
            client.get_schedule_handle(input.schedule_id).backfill(input.backfills, input.options).await
        },
    }
    start_activity => StartActivity<A>(StartActivityInput) -> ActivityHandle<Client, Definition<A>>, StartActivityError
    where {
        A: ActivityDefinition + Send + Sync + 'static,
        A::Input: Send + Sync,
    }
    {
        "Starts a standalone activity."
        new: (
            /// The activity.
            activity: A as Definition<A>,
            /// Its input.
            input: A::Input,
            /// How it is started.
            options: ActivityStartOptions,
        ),
        headers: [header],
        args: [input],
        rpc: none,
        target: |input| Target {
            activity_type: Some(input.activity.name()),
            activity_id: Some(&input.options.id),
            task_queue: Some(&input.options.task_queue),
            ..Target::new()
        },
        idempotent: |input| input.options.id_reuse_policy == ActivityIdReusePolicy::RejectDuplicate,
        call: |client, input| client.start_activity(input.activity, input.input, input.options).await,
    }
    get_activity_result => GetActivityResult<A>(GetActivityResultInput) -> A::Output, ActivityResultError
    where {
        A: ActivityDefinition + Send + Sync + 'static,
        A::Output: Send,
    }
    {
        "Waits for the result of a standalone activity."
        new: (
            /// The activity.
            execution: impl Into<ActivityExecution> as ActivityExecution,
            /// The activity's definition, which says what its result is.
            activity: A as Definition<A>,
        ),
        rpc: none,
        long_poll: always,
        target: |input| Target {
            activity_type: Some(input.activity.name()),
            ..input.execution.target()
        },
        idempotent: always,
        call: |client, input| {
            let ActivityExecution { activity_id, run_id } = input.execution;
            client.get_activity_handle(input.activity, activity_id, run_id).result().await
        },
    }
    describe_activity =>
    DescribeActivity<A>(DescribeActivityInput)
        -> ActivityExecutionDescription<Definition<A>>, ActivityInteractionError
    where {
        A: ActivityDefinition + Send + Sync + 'static,
        A::Input: Send,
        A::Output: Send,
    }
    {
        "Describes a standalone activity."
        new: (
            /// The activity.
            execution: impl Into<ActivityExecution> as ActivityExecution,
            /// The activity's definition, which says what its input and result are.
            activity: A as Definition<A>,
            /// How much of it.
            options: ActivityDescribeOptions,
        ),
        rpc: none,
        target: |input| Target {
            activity_type: Some(input.activity.name()),
            ..input.execution.target()
        },
        idempotent: always,
        call: |client, input| {
            let ActivityExecution { activity_id, run_id } = input.execution;
            client.get_activity_handle(input.activity, activity_id, run_id).describe(input.options).await
        },
    }
    cancel_activity => CancelActivity(CancelActivityInput) -> (), ActivityInteractionError {
        "Requests the cancellation of a standalone activity."
        new: (
            /// The activity.
            execution: impl Into<ActivityExecution> as ActivityExecution,
            /// Why.
            options: ActivityCancelOptions,
        ),
        rpc: none,
        target: |input| input.execution.target(),
        idempotent: |input| input.execution.run_id.is_some(),
        call: |client, input| untyped(&client, input.execution).cancel(input.options).await,
    }
    terminate_activity => TerminateActivity(TerminateActivityInput) -> (), ActivityInteractionError {
        "Terminates a standalone activity."
        new: (
            /// The activity.
            execution: impl Into<ActivityExecution> as ActivityExecution,
            /// Why.
            options: ActivityTerminateOptions,
        ),
        rpc: none,
        target: |input| input.execution.target(),
        idempotent: |input| input.execution.run_id.is_some(),
        done_if: NotFound,
        call: |client, input| untyped(&client, input.execution).terminate(input.options).await,
    }
    list_activities => ListActivities(ListActivitiesInput) -> ListActivitiesStream, ClientError {
        "Lists standalone activities, as a stream, whose pages are fetched, and may fail, as it is read."
        new: (
            /// A query in the syntax of Temporal's list filters; empty for all.
            query: impl Into<String> as String,
            /// There is nothing to choose yet.
            options: ActivityListOptions,
        ),
        rpc: none,
        idempotent: always,
        call: |client, input| Ok(client.list_activities(input.query, input.options)),
    }
    count_activities => CountActivities(CountActivitiesInput) -> ActivityExecutionCount, ClientError {
        "Counts standalone activities."
        new: (
            /// A query in the syntax of Temporal's list filters; empty for all.
            query: impl Into<String> as String,
            /// There is nothing to choose yet.
            options: ActivityCountOptions,
        ),
        rpc: none,
        idempotent: always,
        call: |client, input| client.count_activities(input.query, input.options).await,
    }
    complete_async_activity => CompleteAsyncActivity<T>(CompleteAsyncActivityInput) -> (), AsyncActivityError
    where {
        T: TemporalSerializable + Send + 'static,
    }
    {
        "Completes an activity from outside its worker."
        new: (
            /// The activity.
            identifier: ActivityIdentifier,
            /// Its result.
            result: Option<T>,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        args: [result],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        idempotent: |input| names_run(&input.identifier),
        call: |client, input| {
            client.get_async_activity_handle(input.identifier).complete(input.result, input.rpc_options).await
        },
    }
    fail_async_activity => FailAsyncActivity<E, T>(FailAsyncActivityInput) -> (), AsyncActivityError
    where {
        E: Into<ApplicationFailure> + Send + 'static,
        T: TemporalSerializable + Send + 'static,
    }
    {
        "Fails an activity from outside its worker."
        new: (
            /// The activity.
            identifier: ActivityIdentifier,
            /// What it fails with.
            failure: E,
            /// Heartbeat details for the next attempt.
            last_heartbeat_details: Option<T>,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        args: [last_heartbeat_details],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        // A token is one attempt's; by its id the next attempt would fail too.
        idempotent: |input| matches!(input.identifier, ActivityIdentifier::TaskToken(_)),
        call: |client, input| {
            client
                .get_async_activity_handle(input.identifier)
                .fail(input.failure, input.last_heartbeat_details, input.rpc_options)
                .await
        },
    }
    report_async_activity_cancellation =>
    ReportAsyncActivityCancellation<T>(ReportAsyncActivityCancellationInput) -> (), AsyncActivityError
    where {
        T: TemporalSerializable + Send + 'static,
    }
    {
        "Reports from outside its worker that an activity was cancelled."
        new: (
            /// The activity.
            identifier: ActivityIdentifier,
            /// What is said about it.
            details: Option<T>,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        args: [details],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        idempotent: |input| names_run(&input.identifier),
        call: |client, input| {
            client
                .get_async_activity_handle(input.identifier)
                .report_cancelation(input.details, input.rpc_options)
                .await
        },
    }
    heartbeat_async_activity =>
    HeartbeatAsyncActivity<T>(HeartbeatAsyncActivityInput) -> ActivityHeartbeatResponse, AsyncActivityError
    where {
        T: TemporalSerializable + Send + 'static,
    }
    {
        "Records a heartbeat of an activity from outside its worker."
        new: (
            /// The activity.
            identifier: ActivityIdentifier,
            /// How far it is.
            details: Option<T>,
            /// Controls for the call.
            rpc_options: RpcOptions,
        ),
        args: [details],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        idempotent: |input| names_run(&input.identifier),
        call: |client, input| {
            client.get_async_activity_handle(input.identifier).heartbeat(input.details, input.rpc_options).await
        },
    }
}
