use super::{
    cancellation::Cancellation,
    error::{InitializeWorkflowError, SignalMiddlewareError},
    handler::{Handler, fail_handler},
    operations::*,
    table::workflow_operations,
};
use futures_util::{FutureExt, TryFutureExt};
use std::{any::TypeId, cell::Cell, future::ready, panic::resume_unwind};
use temporalio_sdk::{
    TimerResult, WorkflowContextView, WorkflowTermination,
    workflow_interceptors::{
        CancelExternalWorkflowInput, CancelExternalWorkflowResult,
        CancellableWorkflowOutboundFuture, ContinueAsNewInput, ContinueAsNewResult,
        ExecuteWorkflowInput, ExecuteWorkflowResult, HandleQueryInput, HandleSignalInput,
        HandleSignalResult, HandleUpdateInput, InitializeWorkflowInput, InitializeWorkflowOutput,
        ScheduleActivityInput, ScheduleLocalActivityInput, SignalWorkflowInput,
        SignalWorkflowResult, SignalWorkflowTarget, StartChildWorkflowInput,
        StartNexusOperationInput, StartNexusOperationResult, StartTimerInput,
        SyncWorkflowInterceptorContext, ValidateUpdateInput, WorkflowInterceptor,
        WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowInterceptorFuture,
        WorkflowNext, WorkflowOutboundFuture,
    },
    workflows::WorkflowError,
};
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, ErrorKind, Operation, ReplaySafe, Terminal,
    call::{Call, Returned},
    catch_panic::{CatchPanic, Panicked},
    error,
};

/// Makes a pair of stacks the interceptor of a worker's workflows.
///
/// Give it to [`WorkerOptions::workflow_interceptor`](temporalio_sdk::WorkerOptions::workflow_interceptor). The stacks are
/// built from the layers for each workflow that the worker holds in memory; in both, the first layer added sees a call
/// first. See the [module](super) for an example.
///
/// Where several interceptors are registered, the SDK itself runs the *last* registered first for outbound calls. Put
/// layers whose order matters into one stack.
pub fn interceptor<I, O>(inbound: I, outbound: O) -> WorkflowInterceptorConstructor
where
    I: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
    I::Service: WorkflowInboundService,
    O: Layer<Terminal> + ReplaySafe + Send + Sync + 'static,
    O::Service: WorkflowOutboundService,
{
    WorkflowInterceptorConstructor::new(move |_| Interceptor {
        inbound: inbound.layer(Terminal),
        outbound: outbound.layer(Terminal),
        initialize_failed: Cell::new(None),
        signal_failed: Cell::new(None),
    })
}

/// The stacks of one workflow.
struct Interceptor<I, O> {
    inbound: I,
    outbound: O,
    /// What a middleware failed with when the workflow was created.
    initialize_failed: Cell<Option<InitializeWorkflowError>>,
    /// What a middleware of a signal handler failed with. It fails the workflow, since nobody waits for a signal.
    /// One that was refused is not among them: see [`drop_refused`].
    signal_failed: Cell<Option<BoxError>>,
}

/// Whether there is no layer in a stack.
fn is_empty<S: 'static>() -> bool {
    TypeId::of::<S>() == TypeId::of::<Terminal>()
}

macro_rules! intercept {
    (
        inbound: $_i:ident { $($inbound:tt)* }
        outbound: $_o:ident { $($outbound:tt)* }
    ) => {
        impl<I, O> WorkflowInterceptor for Interceptor<I, O>
        where
            I: WorkflowInboundService,
            O: WorkflowOutboundService,
        {
            intercept_each! { $($inbound)* }
            intercept_each! { $($outbound)* }

            fn initialize_workflow(
                &self,
                context: WorkflowContextView,
                input: InitializeWorkflowInput,
                next: WorkflowNext<'_, InitializeWorkflowInput, InitializeWorkflowOutput>,
            ) -> InitializeWorkflowOutput {
                let next = Cell::new(Some(next));
                let create = |input| next.take().expect("a workflow is created once").run(input);
                let stack = CatchPanic::new(self.inbound.clone());
                let call = Call::<InitializeWorkflow, _, _>::new(stack, input, context, |input| {
                    ready(Ok(create(input)))
                });
                match call.now_or_input() {
                    Ok(output) => output,
                    // The SDK takes no error here, and a panic would go through it and end the worker. So the workflow is
                    // created all the same, and its first task fails, before any code of it runs but `#[init]`.
                    Err((error, Some(input))) => {
                        self.initialize_failed.set(Some(error));
                        create(input)
                    }
                    Err((error, None)) => match error.0.downcast::<Panicked>() {
                        // It may well be `#[init]` itself.
                        Ok(panicked) => resume_unwind(Box::new(panicked.into_text())),
                        Err(error) => panic!("{}", InitializeWorkflowError(error)),
                    },
                }
            }

            fn execute<'a>(
                &'a self,
                context: WorkflowInterceptorContext,
                input: ExecuteWorkflowInput,
                next: WorkflowNext<'a, ExecuteWorkflowInput, WorkflowInterceptorFuture<'a, ExecuteWorkflowResult>>,
            ) -> WorkflowInterceptorFuture<'a, ExecuteWorkflowResult> {
                if let Some(error) = self.initialize_failed.take() {
                    // Here the SDK catches a panic, and fails the workflow task with its text.
                    panic!("{error}");
                }
                let call = Call::<ExecuteWorkflow, _, _>::new(self.inbound.clone(), input, context, |input| {
                    next.run(input)
                });
                let mut handler = Box::pin(Handler::<ExecuteWorkflow, _>::new(call));
                WorkflowInterceptorFuture::new(std::future::poll_fn(move |cx| match self.signal_failed.take() {
                    Some(error) => Err(ExecuteWorkflow::error(error)).into(),
                    None => handler.as_mut().poll(cx),
                }))
            }

            fn handle_signal<'a>(
                &'a self,
                context: WorkflowInterceptorContext,
                input: HandleSignalInput,
                next: WorkflowNext<'a, HandleSignalInput, WorkflowInterceptorFuture<'a, HandleSignalResult>>,
            ) -> WorkflowInterceptorFuture<'a, HandleSignalResult> {
                let surroundings = context.clone();
                let call = Call::<HandleSignal, _, _>::new(self.inbound.clone(), input, context, |input| {
                    next.run(input)
                });
                // Inside of the handler, for a call that the handler makes and that is refused is no refused signal.
                let returned = call.keep_returned();
                let call = call.map(move |result| drop_refused(result, &returned, &surroundings));
                let handler = Handler::<HandleSignal, _>::new(call);
                WorkflowInterceptorFuture::new(handler.map(|result| match result {
                    Err(WorkflowError::Execution(error)) => match error.downcast::<SignalMiddlewareError>() {
                        // The workflow's own routine is polled after the signals', and finds it.
                        Ok(failed) => {
                            self.signal_failed.set(Some(failed.0));
                            Ok(())
                        }
                        Err(error) => Err(WorkflowError::Execution(error)),
                    },
                    result => result,
                }))
            }

            fn start_timer(
                &self,
                context: WorkflowInterceptorContext,
                input: StartTimerInput,
                next: WorkflowNext<'static, StartTimerInput, CancellableWorkflowOutboundFuture<TimerResult>>,
            ) -> CancellableWorkflowOutboundFuture<TimerResult> {
                if is_empty::<O>() {
                    return next.run(input);
                }
                let cancellation = Cancellation::default();
                let handle = cancellation.handle();
                let call = Call::<StartTimer, _, _>::new(self.outbound.clone(), input, context, move |input| {
                    let timer = next.run(input);
                    cancellation.started(timer.cancellation_handle());
                    // The future's own `map` is another box.
                    FutureExt::map(timer, Ok)
                });
                let timer = call.or_else(|error| fail_handler(error.0).map(Ok));
                CancellableWorkflowOutboundFuture::new(timer.map(always_ok), handle)
            }

            fn signal_workflow(
                &self,
                context: WorkflowInterceptorContext,
                input: SignalWorkflowInput,
                next: WorkflowNext<
                    'static,
                    SignalWorkflowInput,
                    CancellableWorkflowOutboundFuture<SignalWorkflowResult>,
                >,
            ) -> CancellableWorkflowOutboundFuture<SignalWorkflowResult> {
                match input.target() {
                    SignalWorkflowTarget::Child { .. } => {
                        cancellable::<SignalChildWorkflow, _>(&self.outbound, input, context, next)
                    }
                    _ => cancellable::<SignalExternalWorkflow, _>(&self.outbound, input, context, next),
                }
            }

            fn cancel_external_workflow(
                &self,
                context: WorkflowInterceptorContext,
                input: CancelExternalWorkflowInput,
                next: WorkflowNext<
                    'static,
                    CancelExternalWorkflowInput,
                    WorkflowOutboundFuture<CancelExternalWorkflowResult>,
                >,
            ) -> WorkflowOutboundFuture<CancelExternalWorkflowResult> {
                if is_empty::<O>() {
                    return next.run(input);
                }
                WorkflowOutboundFuture::new(Call::<CancelExternalWorkflow, _, _>::new(
                    self.outbound.clone(),
                    input,
                    context,
                    |input| next.run(input),
                ))
            }

            fn continue_as_new(
                &self,
                context: SyncWorkflowInterceptorContext,
                input: ContinueAsNewInput,
                next: WorkflowNext<'static, ContinueAsNewInput, ContinueAsNewResult>,
            ) -> ContinueAsNewResult {
                // To the SDK, continuing is one more way for a workflow to end; to a layer, it is the call's success.
                let call = Call::<ContinueAsNew, _, _>::new(self.outbound.clone(), input, context, |input| {
                    ready(match next.run(input) {
                        Err(WorkflowTermination::ContinueAsNew(command)) => Ok(command),
                        Err(error) => Err(error),
                        Ok(never) => match never {},
                    })
                });
                Err(call.now().map_or_else(|error| error, WorkflowTermination::ContinueAsNew))
            }

            fn start_nexus_operation(
                &self,
                context: WorkflowInterceptorContext,
                input: StartNexusOperationInput,
                next: WorkflowNext<
                    'static,
                    StartNexusOperationInput,
                    CancellableWorkflowOutboundFuture<StartNexusOperationResult>,
                >,
            ) -> CancellableWorkflowOutboundFuture<StartNexusOperationResult> {
                if is_empty::<O>() {
                    return next.run(input);
                }
                let cancellation = Cancellation::default();
                let handle = cancellation.handle();
                let call = Call::<StartNexusOperation, _, _>::new(self.outbound.clone(), input, context, move |input| {
                    let operation = next.run(input);
                    cancellation.started(operation.cancellation_handle());
                    operation.map_err(super::StartNexusOperationError)
                });
                CancellableWorkflowOutboundFuture::new(call.map_err(|error| error.0), handle)
            }
        }
    };
}

macro_rules! intercept_each {
    ($(
        $kind:ident $method:ident => $operation:ident($input:ident) -> $output:ty, $error:ident in $context:ident {
            $($_rest:tt)*
        }
    )*) => {$(
        intercept_one! { $kind $method $operation $input $context }
    )*};
}

macro_rules! intercept_one {
    (special $($_rest:tt)*) => {};
    (sync $method:ident $operation:ident $input:ident $context:ident) => {
        fn $method(
            &self,
            context: $context,
            input: $input,
            next: WorkflowNext<'_, $input, Outcome<$operation>>,
        ) -> Outcome<$operation> {
            Call::<$operation, _, _>::new(self.inbound.clone(), input, context, |input| {
                ready(next.run(input))
            })
            .now()
        }
    };
    (handler $method:ident $operation:ident $input:ident $context:ident) => {
        fn $method<'a>(
            &'a self,
            context: $context,
            input: $input,
            next: WorkflowNext<'a, $input, WorkflowInterceptorFuture<'a, Outcome<$operation>>>,
        ) -> WorkflowInterceptorFuture<'a, Outcome<$operation>> {
            let call =
                Call::<$operation, _, _>::new(self.inbound.clone(), input, context, |input| {
                    next.run(input)
                });
            WorkflowInterceptorFuture::new(Handler::<$operation, _>::new(call))
        }
    };
    (cancellable $method:ident $operation:ident $input:ident $context:ident) => {
        fn $method(
            &self,
            context: $context,
            input: $input,
            next: WorkflowNext<
                'static,
                $input,
                CancellableWorkflowOutboundFuture<Outcome<$operation>>,
            >,
        ) -> CancellableWorkflowOutboundFuture<Outcome<$operation>> {
            cancellable::<$operation, _>(&self.outbound, input, context, next)
        }
    };
}

workflow_operations!(intercept);

/// Drops a signal that a middleware has refused. Whoever may send signals could else fail the workflow, with one that the
/// policy is there to keep away.
fn drop_refused(
    result: HandleSignalResult,
    returned: &Returned<HandleSignal>,
    context: &WorkflowInterceptorContext,
) -> HandleSignalResult {
    let Err(WorkflowError::Execution(error)) = &result else {
        return result;
    };
    let Some(SignalMiddlewareError(refusal)) = error.downcast_ref() else {
        return result;
    };
    if !is_refusal(refusal) {
        return result;
    }
    if !context.is_replaying_history_events() {
        // Unknown where a layer has kept the input.
        let input = returned.take();
        tracing::warn!(
            signal = input.as_ref().map(HandleSignalInput::name),
            workflow_type = context.workflow_type(),
            workflow_id = context.workflow_id(),
            run_id = context.run_id(),
            error = refusal.to_string(),
            "a signal was refused, and dropped"
        );
    }
    Ok(())
}

/// Whether a signal's error says that it must not be handled, and nothing of the handler itself.
fn is_refusal(error: &BoxError) -> bool {
    matches!(error::kind(error), ErrorKind::Denied | ErrorKind::Invalid)
        && error::find::<HandleSignal, _>(error).is_none()
}

type Outcome<O> = Result<<O as Operation>::Output, <O as Operation>::Error>;

/// Sends a call that the workflow can cancel through `stack`.
fn cancellable<O, S>(
    stack: &S,
    input: O::Input,
    context: O::Context,
    next: WorkflowNext<'static, O::Input, CancellableWorkflowOutboundFuture<Outcome<O>>>,
) -> CancellableWorkflowOutboundFuture<Outcome<O>>
where
    O: Operation,
    S: tower_service::Service<tower_temporal_core::Request<O>, Response = O::Output>
        + Clone
        + 'static,
    S::Error: Into<BoxError>,
{
    if is_empty::<S>() {
        return next.run(input);
    }
    let cancellation = Cancellation::default();
    let handle = cancellation.handle();
    let call = Call::<O, _, _>::new(stack.clone(), input, context, move |input| {
        let operation = next.run(input);
        cancellation.started(operation.cancellation_handle());
        operation
    });
    CancellableWorkflowOutboundFuture::new(call, handle)
}

fn always_ok<T>(result: Result<T, std::convert::Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_common::error::ApplicationFailure;
    use tower_temporal_core::{Denied, Invalid};

    #[test]
    fn a_signal_is_refused_by_a_middleware_that_denies_it_or_finds_it_invalid() {
        assert!(is_refusal(&Denied::new("no").into()));
        assert!(is_refusal(&Invalid::new("no").into()));
        let reported = ApplicationFailure::new(Denied::new("no"));
        assert!(is_refusal(&reported.into()), "as an error mapper makes it");
        assert!(!is_refusal(&"broken".into()));
        // The handler itself failed, with what its own call was denied.
        let handler = WorkflowError::Execution(Denied::new("no").into());
        let reported = ApplicationFailure::new(handler);
        assert!(!is_refusal(&reported.into()));
    }
}
