//! The table of requests, and what is generated from it.

use super::{
    ActivityExecution, ClientOperation, ClientService, Definition, Execution, ResponseFuture,
    definition::Of,
};
use crate::{
    operations::{activity, limit, schedule},
    sdk_error::SdkError,
};
use std::{
    any::Any,
    marker::PhantomData,
    task::{Context, Poll},
    time::Duration,
};
use temporalio_client::{
    ActivityCancelOptions, ActivityCountOptions, ActivityDescribeOptions, ActivityExecutionCount,
    ActivityExecutionDescription, ActivityHandle, ActivityHeartbeatResponse, ActivityIdReusePolicy,
    ActivityIdentifier, ActivityListOptions, ActivityStartOptions, ActivityTerminateOptions,
    Client, ListActivitiesStream, ListWorkflowsStream, RpcOptions, UntypedWorkflow,
    WorkflowCancelOptions, WorkflowCountOptions, WorkflowDescribeOptions,
    WorkflowExecuteUpdateOptions, WorkflowExecutionCount, WorkflowExecutionDescription,
    WorkflowFetchHistoryOptions, WorkflowGetResultOptions, WorkflowHandle, WorkflowHistory,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowListOptions, WorkflowQueryOptions,
    WorkflowSignalOptions, WorkflowStartOptions, WorkflowStartUpdateOptions,
    WorkflowTerminateOptions, WorkflowUpdateHandle, WorkflowUpdateWithStartOptions,
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
    ActivityDefinition, HasWorkflowDefinition, QueryDefinition, SignalDefinition, UntypedActivity,
    UpdateDefinition, WorkflowDefinition, data_converters::TemporalSerializable,
    error::ApplicationFailure,
};
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Category, Ending, ErrorKind, Headers, HeadersMut, Operation, Request, Target, error,
    scope::TaskScope,
};
use uuid::Uuid;

/// A field's type, where an argument of another type is turned into it.
macro_rules! field {
    ($argument:ty) => {
        $argument
    };
    ($argument:ty as $field:ty) => {
        $field
    };
}

/// An argument as its field.
macro_rules! value {
    ($argument:ident) => {
        $argument
    };
    ($argument:ident as $field:ty) => {
        Into::<$field>::into($argument)
    };
}

macro_rules! operations {
    ($(
        $method:ident => $operation:ident $(<$($generic:ident),+>)? ($input:ident) -> $output:ty, $error:ident
        $(where { $($bounds:tt)+ })?
        {
            $doc:literal
            new: ($($(#[$field_doc:meta])* $field:ident: $argument:ty $(as $type:ty)?),* $(,)?),
            $(id: $id:ident,)?
            headers: [$($header:ident),*],
            args: [$($args:ident),*],
            $(rpc: $($rpc:ident).+,)?
            $(long_poll: |$poll_input:ident| $long_poll:expr,)?
            target: |$target_input:ident| $target:expr,
            idempotent: |$idempotent_input:ident| $idempotent:expr,
            call: |$client:ident, $call_input:ident| $call:expr,
        }
    )*) => {
        /// The names of all requests.
        pub const OPERATIONS: &[&str] = &[$(stringify!($method)),*];

        $(
            #[doc = $doc]
            #[doc = ""]
            #[doc = concat!(
                "A request of [`ClientService`]: [`", stringify!($input), "`] → `", stringify!($output),
                "`, failing with [`", stringify!($error), "`]."
            )]
            pub struct $operation $(<$($generic),+>)? (PhantomData<fn() -> ($($($generic,)+)?)>);

            #[doc = concat!("Input to [`", stringify!($operation), "`].")]
            pub struct $input $(<$($generic),+>)? $(where $($bounds)+)? {
                $($(#[$field_doc])* pub $field: field!($argument $(as $type)?),)*
            }

            #[allow(trivial_bounds, reason = "which fields depend on a parameter differs")]
            impl $(<$($generic),+>)? Clone for $input $(<$($generic),+>)?
            where
                $(field!($argument $(as $type)?): Clone,)*
                $($($bounds)+)?
            {
                fn clone(&self) -> Self {
                    Self { $($field: self.$field.clone()),* }
                }
            }

            impl $(<$($generic),+>)? $operation $(<$($generic),+>)? $(where $($bounds)+)? {
                #[doc = concat!("The request: ", $doc)]
                $(
                    #[doc = ""]
                    #[doc = concat!(
                        "Without `", stringify!($id), "` the options are given a new one, so that every clone of the \
                         request is the same call to the server."
                    )]
                )?
                #[allow(
                    clippy::new_ret_no_self,
                    reason = "the operation is a marker; what is made is a request of it"
                )]
                #[allow(unused_mut, reason = "not every request has an id")]
                pub fn new($($field: $argument),*) -> Request<Self> {
                    let mut input = $input { $($field: value!($field $(as $type)?)),* };
                    $(input.options.$id.get_or_insert_with(new_id);)?
                    Request::new(input, ())
                }
            }

            impl $(<$($generic),+>)? Operation for $operation $(<$($generic),+>)? $(where $($bounds)+)? {
                type Input = $input $(<$($generic),+>)?;
                type Output = $output;
                type Error = $error;
                type Context = ();
                type Scope = TaskScope;

                const NAME: &'static str = stringify!($method);
                const CATEGORY: Category = Category::ClientOutbound;

                #[allow(unused_variables)]
                fn headers(input: &Self::Input) -> Headers<'_> {
                    Headers::optional([$(&input.options.$header),*])
                }

                #[allow(unused_variables)]
                fn headers_mut(input: &mut Self::Input) -> HeadersMut<'_> {
                    HeadersMut::optional([$(&mut input.options.$header),*])
                }

                fn target<'a>($target_input: &'a Self::Input, (): &'a ()) -> Target<'a> {
                    $target
                }

                #[allow(unused_variables)]
                fn args<Arg: Any>(input: &Self::Input) -> [Option<&Arg>; 2] {
                    let mut args = [$(arg::<_, Arg>(&input.$args)),*].into_iter();
                    std::array::from_fn(|_| args.next().flatten())
                }

                $(
                    fn limit_timeout(input: &mut Self::Input, timeout: Duration) {
                        limit(&mut input.$($rpc).+, timeout);
                    }
                )?

                $(
                    fn is_long_poll($poll_input: &Self::Input) -> bool {
                        $long_poll
                    }
                )?

                fn error(error: BoxError) -> $error {
                    SdkError::from_status(error::status(error))
                }

                fn kind(error: &$error) -> ErrorKind {
                    SdkError::kind(error)
                }

                fn ending(error: &$error) -> Ending {
                    if SdkError::is_answer(error) {
                        Ending::Answered
                    } else {
                        Ending::Failed
                    }
                }
            }

            impl $(<$($generic),+>)? ClientOperation for $operation $(<$($generic),+>)? $(where $($bounds)+)? {
                fn is_idempotent($idempotent_input: &Self::Input) -> bool {
                    $idempotent
                }
            }

            impl $(<$($generic),+>)? Service<Request<$operation $(<$($generic),+>)?>> for ClientService
            $(where $($bounds)+)?
            {
                type Response = $output;
                type Error = $error;
                type Future = ResponseFuture<$output, $error>;

                fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), $error>> {
                    Poll::Ready(Ok(()))
                }

                fn call(&mut self, request: Request<$operation $(<$($generic),+>)?>) -> Self::Future {
                    let $client = self.client().clone();
                    let ($call_input, (), _) = request.into_parts();
                    ResponseFuture::new(async move { $call })
                }
            }
        )*
    };
}

/// An argument, if it is an `A`: as it is, or where a call takes it as an option.
fn arg<F: Any, A: Any>(field: &F) -> Option<&A> {
    let field: &dyn Any = field;
    field
        .downcast_ref()
        .or_else(|| field.downcast_ref::<Option<A>>()?.as_ref())
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Whether a second start of the same workflow id is refused, whatever has become of the first.
fn starts_once(reuse: WorkflowIdReusePolicy, conflict: WorkflowIdConflictPolicy) -> bool {
    reuse == WorkflowIdReusePolicy::RejectDuplicate
        && conflict != WorkflowIdConflictPolicy::TerminateExisting
}

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
            /// How it is started. The SDK makes a request id of its own for every start.
            options: WorkflowStartOptions,
        ),
        headers: [header],
        args: [input],
        rpc: options.rpc_options,
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
        headers: [header],
        args: [input, signal_input],
        rpc: options.rpc_options,
        target: |input| Target {
            name: Some(input.signal.name()),
            task_queue: Some(&input.options.task_queue),
            ..Target::workflow(Some(input.workflow.name()), Some(&input.options.workflow_id))
        },
        // The signal has no id that the server could know it by.
        idempotent: |_input| false,
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
        rpc: options.rpc_options,
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
        rpc: options.rpc_options,
        target: |input| Target { name: Some(input.query.name()), ..input.execution.target() },
        idempotent: |_input| true,
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
        rpc: options.rpc_options,
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
        rpc: options.rpc_options,
        long_poll: |_input| true,
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
        headers: [],
        args: [],
        rpc: rpc_options,
        long_poll: |_input| true,
        target: |input| Target {
            name: Some(input.update.name()),
            update_id: Some(&input.update_id),
            ..input.execution.target()
        },
        idempotent: |_input| true,
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
        headers: [start_header, update_header],
        args: [input, update_input],
        rpc: options.rpc_options,
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
        headers: [start_header, update_header],
        args: [input, update_input],
        rpc: options.rpc_options,
        long_poll: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| input.execution.target(),
        // A termination has no request id. One that names no run may come to the next start of the workflow id.
        idempotent: |input| input.execution.is_pinned(),
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| input.execution.target(),
        idempotent: |_input| true,
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
            /// The workflow's definition, which says what its result is.
            workflow: W as Definition<W>,
            /// The workflow.
            execution: impl Into<Execution> as Execution,
            /// Whether to follow it as it continues as new, and controls for the calls.
            options: WorkflowGetResultOptions,
        ),
        headers: [],
        args: [],
        rpc: options.rpc_options,
        long_poll: |_input| true,
        target: |input| Target {
            workflow_type: Some(input.workflow.name()),
            ..input.execution.target()
        },
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        long_poll: |input| input.options.wait_new_event,
        target: |input| input.execution.target(),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |_input| Target::new(),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |_input| Target::new(),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| true,
        call: |client, input| client.create_schedule(input.schedule_id, input.options).await,
    }
    list_schedules => ListSchedules(ListSchedulesInput) -> ListSchedulesStream, ScheduleError {
        "Lists schedules, as a stream, whose pages are fetched, and may fail, as it is read."
        new: (
            /// Which schedules, and controls for the calls.
            options: ListSchedulesOptions,
        ),
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |_input| Target::new(),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
        // The function may change what it has changed before.
        idempotent: |_input| false,
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
        headers: [],
        args: [],
        rpc: rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| false,
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
        headers: [],
        args: [],
        rpc: options.rpc_options,
        target: |input| schedule(&input.schedule_id),
        idempotent: |_input| false,
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
            /// The activity's definition, which says what its result is.
            activity: A as Definition<A>,
            /// The activity.
            execution: impl Into<ActivityExecution> as ActivityExecution,
        ),
        headers: [],
        args: [],
        long_poll: |_input| true,
        target: |input| Target {
            activity_type: Some(input.activity.name()),
            ..input.execution.target()
        },
        idempotent: |_input| true,
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
            /// The activity's definition, which says what its input and result are.
            activity: A as Definition<A>,
            /// The activity.
            execution: impl Into<ActivityExecution> as ActivityExecution,
            /// How much of it.
            options: ActivityDescribeOptions,
        ),
        headers: [],
        args: [],
        target: |input| Target {
            activity_type: Some(input.activity.name()),
            ..input.execution.target()
        },
        idempotent: |_input| true,
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
        headers: [],
        args: [],
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
        headers: [],
        args: [],
        target: |input| input.execution.target(),
        idempotent: |input| input.execution.run_id.is_some(),
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
        headers: [],
        args: [],
        target: |_input| Target::new(),
        idempotent: |_input| true,
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
        headers: [],
        args: [],
        target: |_input| Target::new(),
        idempotent: |_input| true,
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
        headers: [],
        args: [result],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        idempotent: |_input| true,
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
        headers: [],
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
        headers: [],
        args: [details],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        idempotent: |_input| true,
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
        headers: [],
        args: [details],
        rpc: rpc_options,
        target: |input| activity(&input.identifier),
        idempotent: |_input| true,
        call: |client, input| {
            client.get_async_activity_handle(input.identifier).heartbeat(input.details, input.rpc_options).await
        },
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_client::UntypedSignal;
    use temporalio_common::data_converters::RawValue;
    use tonic::Code;
    use tower_temporal_core::Denied;

    fn start() -> Request<SignalWithStartWorkflow<UntypedWorkflow, UntypedSignal<UntypedWorkflow>>>
    {
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
        assert!(DescribeSchedule::is_failure(&error));
    }
}
