use super::{ActivityInboundService, ExecuteActivity, ExecuteActivityError, OutboundStack};
use futures_util::TryFutureExt;
use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
};
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};
use tower_layer::Layer;
use tower_temporal_core::{
    Terminal,
    call::{Call, SharedStack},
};

/// A stack of layers as an interceptor of a worker's activities.
///
/// It implements [`ActivityInboundInterceptor`]. See the [module](super) for an example.
pub struct Interceptor<S> {
    stack: SharedStack<S>,
    outbound: Option<OutboundStack>,
}

impl<S: ActivityInboundService> Interceptor<S> {
    /// Builds the stack: the first layer added sees a call first.
    pub fn new<L>(layer: L) -> Self
    where
        L: Layer<Terminal, Service = S>,
    {
        Self {
            stack: SharedStack::new(layer.layer(Terminal)),
            outbound: None,
        }
    }

    /// Sends the calls that the activities make themselves, with [`ctx.outbound()`](super::ActivityContextExt::outbound), through
    /// `stack`.
    ///
    /// ```
    /// use temporalio_sdk::WorkerOptions;
    /// use tower::layer::util::Identity;
    /// use tower_temporal_core::{Next, Request, from_fn};
    /// use tower_temporal_worker::activity::{Heartbeat, Interceptor, OutboundStack};
    ///
    /// let log = from_fn(async |request: Request<Heartbeat>, next: Next<Heartbeat>| {
    ///     println!("{} is at {:?}", request.target(), request.details_ref::<u32>());
    ///     next.run(request).await
    /// });
    /// let interceptor = Interceptor::new(Identity::new()).with_outbound(OutboundStack::new(log));
    /// let options = WorkerOptions::new("orders").activity_inbound_interceptor(interceptor).build();
    /// # let _ = options;
    /// ```
    pub fn with_outbound(mut self, stack: OutboundStack) -> Self {
        self.outbound = Some(stack);
        self
    }
}

impl<S: ActivityInboundService> ActivityInboundInterceptor for Interceptor<S> {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let outbound = self
            .outbound
            .clone()
            .map(|outbound| (outbound, input.activity_info().clone()));
        let stack = match panic::catch_unwind(AssertUnwindSafe(|| self.stack.get())) {
            Ok(stack) => stack,
            // The SDK catches a panic of the future. One of what makes the future would take the worker's slot with it.
            Err(panicked) => return Box::pin(async { panic::resume_unwind(panicked) }),
        };
        let call = Call::<ExecuteActivity, _, _>::new(stack, input, (), |input| {
            next.run(input).map_err(ExecuteActivityError)
        })
        .map_err(|error| error.0);
        match outbound {
            Some((outbound, info)) => Box::pin(outbound.run(info, call)),
            None => Box::pin(call),
        }
    }
}

impl<S> fmt::Debug for Interceptor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptor").finish_non_exhaustive()
    }
}
