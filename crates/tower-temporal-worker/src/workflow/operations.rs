use super::{
    ending::HasEnding,
    error::{self, InitializeWorkflowError, StartNexusOperationError, StartTimerError},
    scope::{InWorkflow, WorkflowScope},
    table::workflow_operations,
};
use std::any::Any;
use temporalio_common::{
    error::{
        ActivityExecutionError, CancelExternalWorkflowError, ChildWorkflowStartError,
        WorkflowSignalError,
    },
    protos::coresdk::workflow_commands::ContinueAsNewWorkflowExecution,
};
use temporalio_sdk::{
    StartChildWorkflowOutput, StartedNexusOperation, TimerResult, WorkflowContextView,
    WorkflowTermination,
    workflow_interceptors::{
        CancelExternalWorkflowInput, ContinueAsNewInput, ExecuteWorkflowInput, HandleQueryInput,
        HandleSignalInput, HandleUpdateInput, InitializeWorkflowInput, InitializeWorkflowOutput,
        ScheduleActivityInput, ScheduleLocalActivityInput, SignalWorkflowInput,
        SignalWorkflowTarget, StartChildWorkflowInput, StartNexusOperationInput, StartTimerInput,
        SyncWorkflowInterceptorContext, ValidateUpdateInput, WorkflowInterceptorContext,
        WorkflowOutboundValue, WorkflowOutputValue,
    },
    workflows::WorkflowError,
};
use tower_service::Service;
use tower_temporal_core::{
    BoxError, Category, Ending, HeaderMap, HeaderMapMut, Headers, HeadersMut, Operation, Request,
    Target,
};

/// Headers, and the arguments: the SDK has typed arguments where headers are payloads.
macro_rules! headers {
    (none, $input:ident) => {};
    (payloads, $input:ident) => {
        fn args<T: Any>(input: &$input) -> [Option<&T>; 2] {
            [input.input_ref(), None]
        }

        fn headers(input: &$input) -> Headers<'_> {
            Headers::one(HeaderMap::Payloads(input.headers()))
        }

        fn headers_mut(input: &mut $input) -> HeadersMut<'_> {
            HeadersMut::one(HeaderMapMut::Payloads(input.headers_mut()))
        }
    };
    (strings, $input:ident) => {
        fn headers(input: &$input) -> Headers<'_> {
            Headers::one(HeaderMap::Strings(&input.options().nexus_header))
        }

        fn headers_mut(input: &mut $input) -> HeadersMut<'_> {
            HeadersMut::one(HeaderMapMut::Strings(&mut input.options_mut().nexus_header))
        }
    };
}

macro_rules! define {
    (
        inbound: $inbound_category:ident { $($inbound:tt)* }
        outbound: $outbound_category:ident { $($outbound:tt)* }
    ) => {
        define_category! {
            /// The names of all inbound operations.
            INBOUND_OPERATIONS
            #[diagnostic::on_unimplemented(
                message = "`{Self}` can't be the inbound stack of workflows",
                label = "does not serve every inbound operation of a workflow",
                note = "an inbound stack is `Clone + 'static` and serves `Request<O>` for every inbound operation `O` with \
                        `Response = O::Output` and `Error: Into<BoxError>`",
                note = "put a layer that serves one operation only inside `on::<workflow::HandleSignal, _>(layer)`"
            )]
            /// A stack that serves every call into a workflow.
            WorkflowInboundService
            $inbound_category
            $($inbound)*
        }
        define_category! {
            /// The names of all outbound operations.
            OUTBOUND_OPERATIONS
            #[diagnostic::on_unimplemented(
                message = "`{Self}` can't be the outbound stack of workflows",
                label = "does not serve every outbound operation of a workflow",
                note = "an outbound stack is `Clone + 'static` and serves `Request<O>` for every outbound operation `O` with \
                        `Response = O::Output` and `Error: Into<BoxError>`",
                note = "put a layer that serves one operation only inside `on::<workflow::ScheduleActivity, _>(layer)`"
            )]
            /// A stack that serves every call that a workflow makes.
            WorkflowOutboundService
            $outbound_category
            $($outbound)*
        }
    };
}

macro_rules! define_category {
    (
        $(#[$names_attribute:meta])* $names:ident
        $(#[$service_attribute:meta])* $service:ident
        $category:ident
        $(
            $kind:ident $method:ident => $operation:ident($input:ident) -> $output:ty, $error:ident in $context:ident {
                $doc:literal
                error: $make_error:path,
                headers: $headers:ident,
                target: |$target_input:ident, $target_context:ident| $target:expr,
            }
        )*
    ) => {
        $(#[$names_attribute])*
        pub const $names: &[&str] = &[$(stringify!($method)),*];

        $(
            #[doc = $doc]
            #[doc = ""]
            #[doc = concat!(
                "The operation `", stringify!($method), "`: [`", stringify!($input), "`] → `", stringify!($output),
                "`, failing with [`", stringify!($error), "`], in [`", stringify!($context), "`]."
            )]
            #[derive(Clone, Copy, Debug)]
            pub struct $operation;

            impl Operation for $operation {
                type Input = $input;
                type Output = $output;
                type Error = $error;
                type Context = $context;
                type Scope = WorkflowScope;

                const NAME: &'static str = stringify!($method);
                const CATEGORY: Category = Category::$category;

                tower_temporal_core::spare!($operation);

                headers!($headers, $input);

                fn target<'a>($target_input: &'a $input, $target_context: &'a $context) -> Target<'a> {
                    $target
                }

                fn error(error: BoxError) -> $error {
                    $make_error(error)
                }

                fn ending(error: &$error) -> Ending {
                    error.ending()
                }
            }
        )*

        $(#[$service_attribute])*
        ///
        /// It is implemented for every service that qualifies; there is nothing to implement by hand. A stack of generic
        /// layers qualifies as it is. One that serves a single request type (`map_request` with a closure) does inside
        /// [`on`](tower_temporal_core::on).
        pub trait $service:
            Clone + 'static
            $(+ Service<Request<$operation>, Response = $output, Error: Into<BoxError>>)*
        {
        }

        impl<S> $service for S where
            S: Clone + 'static
            $(+ Service<Request<$operation>, Response = $output, Error: Into<BoxError>>)*
        {
        }
    };
}

workflow_operations!(define);

fn signal_target(input: &SignalWorkflowInput) -> Target<'_> {
    let (workflow_id, run_id) = match input.target() {
        SignalWorkflowTarget::Child { workflow_id } => (Some(workflow_id.as_str()), None),
        SignalWorkflowTarget::External {
            workflow_id,
            run_id,
            ..
        } => (Some(workflow_id.as_str()), run_id.as_deref()),
        _ => (None, None),
    };
    Target {
        name: Some(input.signal_name()),
        run_id,
        ..Target::workflow(None, workflow_id)
    }
}
