//! For adapters: how a call of the SDK goes through a stack.
//!
//! An adapter implements one of the SDK's interceptor traits. It clones its stack, and hands it to [`Call::new`] with the
//! input and the SDK's continuation; what it returns to the SDK is that future. Applications and layers need nothing of
//! this module.

use crate::{
    BoxError, CallError, Operation, Request,
    rendezvous::{self, Rendezvous, Slot, Step},
    request::CallSlot,
};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use std::{
    cell::Cell,
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};
use tower_service::Service;

/// A stack that is kept once and cloned for each call, from any thread.
///
/// Services need not be `Sync`, and the SDK calls from many threads: the lock is held for a clone.
#[derive(Debug)]
pub struct SharedStack<S>(Mutex<S>);

impl<S: Clone> SharedStack<S> {
    /// Keeps `stack`.
    pub const fn new(stack: S) -> Self {
        Self(Mutex::new(stack))
    }

    /// A clone of the stack, for one call.
    pub fn get(&self) -> S {
        self.0.lock().clone()
    }
}

/// What a call that is over leaves to the next call of its operation on this thread; see [`Operation::spare`].
///
/// It is the slot in which a call and its request meet. To allocate one for each call would be a good part of what an empty stack
/// costs.
pub struct Spare<O: Operation>(Cell<Option<Arc<CallSlot<O>>>>);

impl<O: Operation> Spare<O> {
    /// There is none yet.
    pub const fn new() -> Self {
        Self(Cell::new(None))
    }

    #[inline]
    fn take() -> Option<Arc<CallSlot<O>>> {
        O::spare()?.try_with(|Self(slot)| slot.take()).ok()?
    }

    /// Keeps a slot that nobody else has.
    #[inline]
    fn keep(slot: Arc<CallSlot<O>>) {
        if let Some(spare) = O::spare() {
            // On a thread that ends it is let go.
            let _ = spare.try_with(|Self(spare)| spare.set(Some(slot)));
        }
    }
}

/// Writes [`Operation::spare`] for an operation.
///
/// `spare!(MyOperation);` goes among the items of `impl Operation for MyOperation`. It makes a `static`, so it is for operations
/// without type parameters, and does not take `Self`.
#[macro_export]
macro_rules! spare {
    ($operation:ty) => {
        fn spare() -> ::std::option::Option<&'static ::std::thread::LocalKey<$crate::call::Spare<Self>>> {
            ::std::thread_local! {
                static SPARE: $crate::call::Spare<$operation> = const { $crate::call::Spare::new() };
            }
            ::std::option::Option::Some(&SPARE)
        }
    };
}

impl<O: Operation> Default for Spare<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Operation> fmt::Debug for Spare<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A call on its way through a stack: readiness is awaited, the stack is called, and the SDK's next step runs when
    /// the request has reached [`Terminal`](crate::Terminal).
    #[must_use = "futures do nothing unless polled"]
    pub struct Call<O, S, N>
    where
        O: Operation,
        S: Service<Request<O>>,
        N: Step<O::Input>,
    {
        #[pin]
        rendezvous: Rendezvous<Entry<O, S>, N, O::Input, Result<O::Output, O::Error>>,
    }
}

impl<O, S, N> Call<O, S, N>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
    N: Step<O::Input>,
    N::Future: Future<Output = Result<O::Output, O::Error>>,
{
    #[inline]
    fn slot() -> Arc<CallSlot<O>> {
        Spare::<O>::take().unwrap_or_else(|| Slot::new(!O::CATEGORY.is_workflow()))
    }

    /// Sends `input` through `stack`, and what arrives at its end to `next`.
    ///
    /// Nothing of the stack runs before the call is polled.
    #[inline]
    pub fn new(stack: S, input: O::Input, context: O::Context, next: N) -> Self {
        let slot = Self::slot();
        let request = Request::with_slot(input, Some(slot.clone()), context);
        let entry = Entry::Waiting {
            stack,
            request: Some(request),
        };
        Self {
            rendezvous: Rendezvous::new(slot, entry, next),
        }
    }

    /// The same as [`new`](Self::new), in a box, and a stack that is ready is called at once: the input, which is large, is
    /// moved less.
    ///
    /// It is for an adapter that runs in its caller's task, where a panic of the stack is one of the caller's.
    #[inline]
    pub fn boxed(mut stack: S, input: O::Input, context: O::Context, next: N) -> Pin<Box<Self>> {
        let place = Box::new_uninit();
        let call = match stack.poll_ready(&mut Context::from_waker(Waker::noop())) {
            // Polled again, the stack finds a waker that counts.
            Poll::Pending => Self::new(stack, input, context, next),
            Poll::Ready(ready) => {
                let slot = Self::slot();
                let entry = match ready {
                    Ok(()) => Entry::Called {
                        future: stack.call(Request::with_slot(input, Some(slot.clone()), context)),
                    },
                    Err(error) => Entry::Failed {
                        error: Some(error.into()),
                    },
                };
                Self {
                    rendezvous: Rendezvous::new(slot, entry, next),
                }
            }
        };
        Box::into_pin(Box::write(place, call))
    }

    /// Runs the call at once, for the operations the SDK runs synchronously.
    ///
    /// # Errors
    ///
    /// The operation's own; if the stack is not done at once, with [`CallError::Pending`] as its source.
    pub fn now(self) -> Result<O::Output, O::Error> {
        match pin!(self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let operation = O::NAME;
                Err(O::error(CallError::Pending { operation }.into()))
            }
        }
    }

    /// Runs the call at once, as [`now`](Self::now) does, for an SDK that must have its next step run all the same.
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now). With it comes the input, as the layers have left it, unless the next step has run or a
    /// layer has kept the input to itself.
    pub fn now_or_input(self) -> Result<O::Output, ErrorAndInput<O>> {
        let returned = self.keep_returned();
        self.now().map_err(|error| (error, returned.take()))
    }

    /// Keeps the input if it is dropped before the next step has it: for an adapter that has to say what was refused.
    pub fn keep_returned(&self) -> Returned<O> {
        let slot = self.rendezvous.slot().clone();
        slot.keep_returned();
        Returned(Some(slot))
    }
}

impl<O, S, N> Future for Call<O, S, N>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
    N: Step<O::Input>,
    N::Future: Future<Output = Result<O::Output, O::Error>>,
{
    type Output = Result<O::Output, O::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut meeting = self.project().rendezvous;
        let poll = meeting.as_mut().poll(cx);
        if poll.is_ready()
            && let Some(slot) = rendezvous::free(meeting.slot_mut())
        {
            Spare::<O>::keep(slot);
        }
        poll
    }
}

impl<O, S, N> fmt::Debug for Call<O, S, N>
where
    O: Operation,
    S: Service<Request<O>>,
    N: Step<O::Input>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Waits until a stack is ready, calls it, and goes on as its future.
    ///
    /// It is tower's `Oneshot`, with three differences: the input, which is large, waits where it is needed; the stack of a
    /// workflow has to be ready at once; and what the stack fails with becomes the operation's error.
    #[project = EntryProj]
    enum Entry<O, S>
    where
        O: Operation,
        S: Service<Request<O>>,
    {
        Waiting {
            stack: S,
            request: Option<Request<O>>,
        },
        Called {
            #[pin]
            future: S::Future,
        },
        Failed {
            error: Option<BoxError>,
        },
    }
}

impl<O, S> Future for Entry<O, S>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
{
    type Output = Result<O::Output, O::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !matches!(*self, Self::Called { .. }) {
            ready!(self.as_mut().poll_call(cx))?;
        }
        let EntryProj::Called { future } = self.project() else {
            unreachable!("the stack was called");
        };
        // A `map_err` would move the output once more.
        Poll::Ready(match ready!(future.poll(cx)) {
            Ok(output) => Ok(output),
            Err(error) => Err(into_error::<O>(error)),
        })
    }
}

impl<O, S> Entry<O, S>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
{
    /// Waits until the stack is ready, and calls it.
    #[inline(never)]
    fn poll_call(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        match self.as_mut().project() {
            EntryProj::Waiting { stack, request } => {
                match stack.poll_ready(cx) {
                    Poll::Ready(ready) => ready.map_err(into_error::<O>)?,
                    Poll::Pending if O::CATEGORY.is_workflow() => {
                        let operation = O::NAME;
                        return Poll::Ready(Err(O::error(
                            CallError::NotReady { operation }.into(),
                        )));
                    }
                    Poll::Pending => return Poll::Pending,
                }
                let request = request.take().expect("it is not polled after a panic");
                let future = stack.call(request);
                self.set(Self::Called { future });
                Poll::Ready(Ok(()))
            }
            EntryProj::Failed { error } => {
                let error = error.take().expect("it is not polled when done");
                Poll::Ready(Err(into_error::<O>(error)))
            }
            EntryProj::Called { .. } => Poll::Ready(Ok(())),
        }
    }
}

/// Where the input of a call is kept that is dropped on its way: see [`Call::keep_returned`].
pub struct Returned<O: Operation>(Option<Arc<CallSlot<O>>>);

impl<O: Operation> Returned<O> {
    /// The input, as the layers have left it. There is none if the next step has run, or a layer has kept it to itself.
    pub fn take(&self) -> Option<O::Input> {
        self.0.as_ref()?.take_kept()
    }
}

/// It outlives its call, so the slot is free only now.
impl<O: Operation> Drop for Returned<O> {
    fn drop(&mut self) {
        if let Some(slot) = rendezvous::free(&mut self.0) {
            Spare::<O>::keep(slot);
        }
    }
}

impl<O: Operation> fmt::Debug for Returned<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}

/// What [`Call::now_or_input`] failed with, and the input if it came back.
pub type ErrorAndInput<O> = (<O as Operation>::Error, Option<<O as Operation>::Input>);

/// Turns what a stack failed with into the operation's error: itself if that is what it is, and otherwise what
/// [`Operation::error`] makes of it.
pub fn into_error<O: Operation>(error: impl Into<BoxError>) -> O::Error {
    match error.into().downcast::<O::Error>() {
        Ok(error) => *error,
        Err(error) => O::error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ContextKey, Denied, ErrorKind, Next, Terminal, error, from_fn, on,
        probe::{self, ClientProbe, OtherProbe, ProbeError, ProbeInput, WorkflowOutboundProbe},
    };
    use std::{
        future::{pending, poll_fn, ready},
        time::Duration,
    };
    use tower::{
        ServiceBuilder, ServiceExt,
        util::{BoxCloneService, MapRequestLayer},
    };
    use tower_layer::Layer;

    type Log = Arc<Mutex<Vec<String>>>;

    /// Logs on the way in and out, for every operation.
    #[derive(Clone)]
    struct Trace<S> {
        name: &'static str,
        log: Log,
        inner: S,
    }

    fn trace<S>(
        name: &'static str,
        log: &Log,
    ) -> impl Layer<S, Service = Trace<S>> + Clone + use<S> {
        let log = log.clone();
        tower::layer::layer_fn(move |inner| Trace {
            name,
            log: log.clone(),
            inner,
        })
    }

    impl<O: Operation, S: Service<Request<O>>> Service<Request<O>> for Trace<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.inner.poll_ready(cx)
        }

        fn call(&mut self, request: Request<O>) -> S::Future {
            self.log.lock().push(format!("{} {}", self.name, O::NAME));
            self.inner.call(request)
        }
    }

    fn plus_one(input: ProbeInput) -> Result<u32, ProbeError> {
        Ok(input.value + 1)
    }

    fn must_not_run(_: ProbeInput) -> Result<u32, ProbeError> {
        panic!("the call should not have reached the SDK")
    }

    fn middleware_error(result: Result<u32, ProbeError>) -> BoxError {
        match result {
            Err(ProbeError::Middleware(error)) => error,
            other => panic!("expected a middleware's error, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_first_layer_sees_the_request_first() {
        let log = Log::default();
        let stack = ServiceBuilder::new()
            .layer(trace("a", &log))
            .layer(trace("b", &log))
            .layer(trace("c", &log))
            .service(Terminal);
        let output = probe::call::<ClientProbe, _, _>(stack, 1, plus_one).await;
        assert_eq!(output.unwrap(), 2);
        assert_eq!(
            *log.lock(),
            ["a client_probe", "b client_probe", "c client_probe"]
        );
    }

    #[tokio::test]
    async fn an_error_of_the_sdk_reaches_the_caller_unchanged_through_boxing_layers() {
        let stack = ServiceBuilder::new()
            .timeout(Duration::from_secs(9))
            .load_shed()
            .service(Terminal);
        let result =
            probe::call::<ClientProbe, _, _>(stack, 1, |_| Err(ProbeError::Failed("x".into())))
                .await;
        assert!(matches!(result, Err(ProbeError::Failed(text)) if text == "x"));
    }

    #[tokio::test]
    async fn a_timeout_becomes_the_call_s_error_and_drops_the_call() {
        let held = Arc::new(());
        let in_sdk = held.clone();
        let stack = ServiceBuilder::new()
            .timeout(Duration::from_millis(1))
            .service(Terminal);
        let call = Call::<ClientProbe, _, _>::new(stack, 1.into(), (), |_| {
            Box::pin(async move {
                let _held = in_sdk;
                pending().await
            })
        });
        let error = middleware_error(call.await);
        assert_eq!(error::kind(&error), ErrorKind::DeadlineExceeded);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_buffer_and_a_boxed_service_serve_one_operation() {
        let boxed = tower::layer::layer_fn(|inner| {
            BoxCloneService::new(ServiceExt::<Request<ClientProbe>>::map_err(
                inner,
                BoxError::from,
            ))
        });
        let stack = ServiceBuilder::new()
            .layer(on::<ClientProbe, _>(
                ServiceBuilder::new()
                    .buffer(4)
                    .rate_limit(100, Duration::from_secs(1))
                    .layer(boxed),
            ))
            .service(Terminal);
        let output = probe::call::<ClientProbe, _, _>(stack.clone(), 1, plus_one).await;
        assert_eq!(output.unwrap(), 2);
        let other = probe::call::<OtherProbe, _, _>(stack, 5, plus_one).await;
        assert_eq!(other.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_layer_on_one_operation_passes_the_others_by() {
        let double = MapRequestLayer::new(|mut request: Request<ClientProbe>| {
            request.value *= 2;
            request
        });
        let stack = ServiceBuilder::new()
            .layer(on::<ClientProbe, _>(double))
            .service(Terminal);
        assert_eq!(
            probe::call::<ClientProbe, _, _>(stack.clone(), 5, plus_one)
                .await
                .unwrap(),
            11
        );
        assert_eq!(
            probe::call::<OtherProbe, _, _>(stack, 5, plus_one)
                .await
                .unwrap(),
            6
        );
    }

    #[tokio::test]
    async fn a_function_changes_input_and_output() {
        let layer = from_fn(
            async |mut request: Request<ClientProbe>, next: Next<ClientProbe>| {
                request.value += 10;
                next.run(request).await.map(|output| output * 2)
            },
        );
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        assert_eq!(
            probe::call::<ClientProbe, _, _>(stack, 1, plus_one)
                .await
                .unwrap(),
            24
        );
    }

    #[tokio::test]
    async fn a_function_that_never_calls_inward_answers_itself() {
        let layer = from_fn(async |_: Request<ClientProbe>, _: Next<ClientProbe>| {
            Err::<u32, _>(Denied::new("no"))
        });
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        let error =
            middleware_error(probe::call::<ClientProbe, _, _>(stack, 1, must_not_run).await);
        assert_eq!(error.to_string(), "denied: no");
    }

    struct UserId;

    impl ContextKey for UserId {
        type Value = u32;
        const HEADER: &'static str = "user-id";
    }

    fn user(_: ProbeInput) -> Result<u32, ProbeError> {
        Ok(UserId::current().map_or(0, |user| *user))
    }

    #[tokio::test]
    async fn a_value_that_is_set_around_the_call_on_another_task_is_set_for_what_it_calls() {
        let layer = from_fn(
            async |request: Request<ClientProbe>, next: Next<ClientProbe>| {
                tokio::spawn(UserId::scope(7, next.run(request)))
                    .await
                    .unwrap()
            },
        );
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        let output = probe::call::<ClientProbe, _, _>(stack, 1, user).await;
        assert_eq!(output.unwrap(), 7);
    }

    /// The layer sets a value, waits a while in the caller's task, and gives the call to another then.
    #[tokio::test]
    async fn a_value_stays_set_for_a_call_that_moves_to_another_task_half_way() {
        let layer = from_fn(
            async |request: Request<ClientProbe>, next: Next<ClientProbe>| {
                let call = async {
                    let mut call = Box::pin(next.run(request));
                    let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx)));
                    assert!(first.await.is_pending());
                    tokio::spawn(call).await.unwrap()
                };
                UserId::scope(7, call).await
            },
        );
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        let call = Call::<ClientProbe, _, _>::new(stack, 1.into(), (), |input| {
            Box::pin(async move {
                tokio::task::yield_now().await;
                user(input)
            })
        });
        assert_eq!(call.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_function_s_call_can_move_to_another_task() {
        let layer = from_fn(
            async |request: Request<ClientProbe>, next: Next<ClientProbe>| {
                tokio::spawn(next.run(request)).await.unwrap()
            },
        );
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        assert_eq!(
            probe::call::<ClientProbe, _, _>(stack, 1, plus_one)
                .await
                .unwrap(),
            2
        );
    }

    #[tokio::test]
    async fn a_clone_that_reaches_the_sdk_after_the_first_is_refused() {
        let layer = tower::layer::layer_fn(|inner| {
            tower::service_fn(move |request: Request<ClientProbe>| {
                let service = BoxCloneService::new(Clone::clone(&inner));
                async move {
                    assert_eq!(service.clone().oneshot(request.clone()).await.unwrap(), 2);
                    service.oneshot(request).await
                }
            })
        });
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        let error = middleware_error(probe::call::<ClientProbe, _, _>(stack, 1, plus_one).await);
        assert!(
            matches!(
                error.downcast_ref(),
                Some(CallError::Twice {
                    operation: "client_probe"
                })
            ),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_request_that_outlives_its_call_is_refused() {
        let (send, receive) = std::sync::mpsc::channel();
        let layer = from_fn(move |request: Request<ClientProbe>, _: Next<ClientProbe>| {
            send.send(request).unwrap();
            ready(Ok::<_, BoxError>(0))
        });
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        assert_eq!(
            probe::call::<ClientProbe, _, _>(stack, 1, must_not_run)
                .await
                .unwrap(),
            0
        );
        let late = Terminal.oneshot(receive.recv().unwrap()).await;
        let error = middleware_error(late);
        assert!(
            matches!(error.downcast_ref(), Some(CallError::Gone { .. })),
            "{error}"
        );
    }

    /// Where the slot is that the next call will have.
    fn spare_slot() -> Option<*const CallSlot<ClientProbe>> {
        let slot = Spare::<ClientProbe>::take()?;
        let place = Arc::as_ptr(&slot);
        Spare::<ClientProbe>::keep(slot);
        Some(place)
    }

    #[tokio::test]
    async fn a_call_has_the_slot_of_the_one_before() {
        drop(Spare::<ClientProbe>::take());
        let call = || probe::call::<ClientProbe, _, _>(Terminal, 1, plus_one);
        assert_eq!(call().await.unwrap(), 2);
        let first = spare_slot();
        assert!(first.is_some());
        assert_eq!(call().await.unwrap(), 2);
        assert_eq!(spare_slot(), first);
    }

    #[test]
    fn a_call_whose_input_could_have_come_back_leaves_its_slot_too() {
        drop(Spare::<ClientProbe>::take());
        let next = |input| ready(plus_one(input));
        let call = Call::<ClientProbe, _, _>::new(Terminal, 1.into(), (), next);
        assert!(matches!(call.now_or_input(), Ok(2)));
        assert!(spare_slot().is_some());
    }

    #[tokio::test]
    async fn a_call_does_not_have_the_slot_of_one_whose_request_is_still_there() {
        let (send, receive) = std::sync::mpsc::channel();
        let keep = from_fn(
            move |request: Request<ClientProbe>, next: Next<ClientProbe>| {
                send.send(request.clone()).unwrap();
                next.run(request)
            },
        );
        let stack = ServiceBuilder::new().layer(keep).service(Terminal);
        let first = probe::call::<ClientProbe, _, _>(stack, 1, plus_one).await;
        assert_eq!(first.unwrap(), 2);
        assert_eq!(spare_slot(), None);

        let late = receive.recv().unwrap();
        let send_late = from_fn(move |request, next: Next<ClientProbe>| {
            let late = Terminal.oneshot(late.clone());
            async move {
                let error = middleware_error(late.await);
                assert!(
                    matches!(error.downcast_ref(), Some(CallError::Gone { .. })),
                    "{error}"
                );
                next.run(request).await
            }
        });
        let stack = ServiceBuilder::new().layer(send_late).service(Terminal);
        let second = probe::call::<ClientProbe, _, _>(stack, 5, plus_one).await;
        assert_eq!(second.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_request_made_by_hand_is_refused() {
        let result = Terminal
            .oneshot(Request::<ClientProbe>::new(1.into(), ()))
            .await;
        let error = middleware_error(result);
        assert!(
            matches!(error.downcast_ref(), Some(CallError::Detached { .. })),
            "{error}"
        );
    }

    #[test]
    fn a_synchronous_call_that_would_wait_is_an_error() {
        let layer = from_fn(
            async |_: Request<WorkflowOutboundProbe>, _: Next<WorkflowOutboundProbe>| {
                pending::<Result<u32, BoxError>>().await
            },
        );
        let stack = ServiceBuilder::new().layer(layer).service(Terminal);
        let error = middleware_error(
            probe::call::<WorkflowOutboundProbe, _, _>(stack, 1, must_not_run).now(),
        );
        assert!(
            error
                .to_string()
                .contains("`workflow_outbound_probe` is synchronous"),
            "{error}"
        );
    }

    #[test]
    fn an_input_that_never_arrived_comes_back_with_the_error() {
        let set = MapRequestLayer::new(|mut request: Request<WorkflowOutboundProbe>| {
            request.value += 1;
            request
        });
        let refuse = from_fn(
            async |_: Request<WorkflowOutboundProbe>, _: Next<WorkflowOutboundProbe>| {
                Err::<u32, _>(Denied::new("no"))
            },
        );
        let wait = from_fn(
            async |request: Request<WorkflowOutboundProbe>, next: Next<WorkflowOutboundProbe>| {
                let call = next.run(request);
                pending::<()>().await;
                call.await
            },
        );
        let stack = ServiceBuilder::new().layer(on::<WorkflowOutboundProbe, _>(set));
        let refused = probe::call::<WorkflowOutboundProbe, _, _>(
            stack.clone().layer(refuse).service(Terminal),
            1,
            must_not_run,
        );
        let waits = probe::call::<WorkflowOutboundProbe, _, _>(
            stack.layer(wait).service(Terminal),
            1,
            must_not_run,
        );
        for result in [refused.now_or_input(), waits.now_or_input()] {
            let (_, input) = result.expect_err("a layer fails or waits");
            assert_eq!(input.map(|input| input.value), Some(2));
        }
        let ran = probe::call::<WorkflowOutboundProbe, _, _>(Terminal, 1, |_| {
            Err(ProbeError::Failed("x".into()))
        });
        let (_, input) = ran.now_or_input().expect_err("the SDK fails");
        assert!(input.is_none(), "the SDK has it");
    }

    #[test]
    fn a_synchronous_call_runs_at_once() {
        let output = probe::call::<WorkflowOutboundProbe, _, _>(Terminal, 1, plus_one).now();
        assert_eq!(output.unwrap(), 2);
    }

    #[tokio::test]
    async fn readiness_is_awaited_and_its_error_is_the_call_s() {
        let (stack, mut handle) = tower_test::mock::pair::<Request<ClientProbe>, u32>();
        handle.allow(0);
        let mut call =
            tokio_test::task::spawn(probe::call::<ClientProbe, _, _>(stack, 1, must_not_run));
        assert!(call.poll().is_pending(), "the stack is not ready");
        handle.send_error("not today");
        assert!(call.is_woken());
        let error = middleware_error(call.await);
        assert_eq!(error.to_string(), "not today");
    }

    #[test]
    fn in_a_workflow_a_stack_that_is_not_ready_is_an_error() {
        let (stack, mut handle) = tower_test::mock::pair::<Request<WorkflowOutboundProbe>, u32>();
        handle.allow(0);
        let call = probe::call::<WorkflowOutboundProbe, _, _>(stack, 1, must_not_run);
        let error = middleware_error(match tokio_test::task::spawn(call).poll() {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("the workflow would wait for ever"),
        });
        assert!(
            matches!(error.downcast_ref(), Some(CallError::NotReady { .. })),
            "{error}"
        );
    }

    #[test]
    fn futures_of_send_operations_are_send() {
        fn is_send<T: Send>(_: &T) {}
        let stack = ServiceBuilder::new()
            .layer(from_fn(
                async |request: Request<ClientProbe>, next: Next<ClientProbe>| {
                    next.run(request).await
                },
            ))
            .timeout(Duration::from_secs(1))
            .service(Terminal);
        is_send(&probe::call::<ClientProbe, _, _>(stack, 1, plus_one));
    }
}
