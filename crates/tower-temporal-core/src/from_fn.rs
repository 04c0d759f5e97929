use crate::{
    BoxError, CallError, OnLayer, Operation, Request, on,
    rendezvous::{Guest, Refusal, Rendezvous, Slot, Step},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// A layer from an async function, for one operation.
///
/// The function gets the request and [`Next`], the rest of the stack. It can change the request, look at the output, do
/// something before and after, or not call `next` at all. Operations other than `O` pass it by.
///
/// ```
/// use tower_temporal_core::{BoxError, Denied, Next, Operation, Request, from_fn};
///
/// # fn layer<StartWorkflow: Operation<Input = String>>() {
/// let layer = from_fn(async |request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
///     if request.as_str() == "Payout" {
///         return Err(BoxError::from(Denied::new("no payouts today")));
///     }
///     next.run(request).await
/// });
/// # let _ = layer;
/// # }
/// ```
///
/// For a layer of every operation write a [`Service`] that is generic over the operation; see the
/// [crate's documentation](crate).
pub fn from_fn<O, F, Fut, E>(f: F) -> OnLayer<O, FromFnLayer<O, F>>
where
    O: Operation,
    F: Fn(Request<O>, Next<O>) -> Fut,
    Fut: Future<Output = Result<O::Output, E>>,
    E: Into<BoxError>,
{
    on(FromFnLayer {
        f,
        operation: PhantomData,
    })
}

/// The layer of [`from_fn`], inside [`on`].
pub struct FromFnLayer<O, F> {
    f: F,
    operation: PhantomData<fn() -> O>,
}

impl<O, F: Clone, S> Layer<S> for FromFnLayer<O, F> {
    type Service = FromFn<O, F, S>;

    fn layer(&self, inner: S) -> Self::Service {
        FromFn {
            f: self.f.clone(),
            inner,
            operation: PhantomData,
        }
    }
}

impl<O, F: Clone> Clone for FromFnLayer<O, F> {
    fn clone(&self) -> Self {
        Self {
            f: self.f.clone(),
            operation: PhantomData,
        }
    }
}

impl<O, F> fmt::Debug for FromFnLayer<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFnLayer")
            .field("f", &std::any::type_name::<F>())
            .finish()
    }
}

/// The service of [`from_fn`].
pub struct FromFn<O, F, S> {
    f: F,
    inner: S,
    operation: PhantomData<fn() -> O>,
}

impl<O, F: Clone, S: Clone> Clone for FromFn<O, F, S> {
    fn clone(&self) -> Self {
        Self {
            f: self.f.clone(),
            inner: self.inner.clone(),
            operation: PhantomData,
        }
    }
}

impl<O, F, S: fmt::Debug> fmt::Debug for FromFn<O, F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn")
            .field("f", &std::any::type_name::<F>())
            .field("inner", &self.inner)
            .finish()
    }
}

impl<O, F, S, Fut, E> Service<Request<O>> for FromFn<O, F, S>
where
    O: Operation,
    F: Fn(Request<O>, Next<O>) -> Fut,
    Fut: Future<Output = Result<O::Output, E>>,
    E: Into<BoxError>,
    S: Service<Request<O>, Response = O::Output> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = O::Output;
    type Error = BoxError;
    type Future = FromFnFuture<O, Fut, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        // The clone stays; the service that was made ready goes with the call.
        let not_ready = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, not_ready);
        let slot = Slot::new(!O::CATEGORY.is_workflow());
        let next = Next { slot: slot.clone() };
        FromFnFuture {
            rendezvous: Rendezvous::new(slot, (self.f)(request, next), Ready(ready)),
        }
    }
}

type NextSlot<O> = Slot<Request<O>, Result<<O as Operation>::Output, BoxError>>;

/// The rest of the stack, as a function of [`from_fn`] sees it.
pub struct Next<O: Operation> {
    slot: Arc<NextSlot<O>>,
}

impl<O: Operation> Next<O> {
    /// Continues with `request`.
    ///
    /// # Errors
    ///
    /// What the inner layers or the SDK failed with. Where no layer boxed it, it is the operation's own error, and
    /// `error.downcast_ref::<O::Error>()` finds it.
    pub fn run(self, request: Request<O>) -> NextFuture<O> {
        NextFuture {
            guest: Guest::new(self.slot, request),
        }
    }
}

impl<O: Operation> fmt::Debug for Next<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("operation", &O::NAME).finish()
    }
}

/// The future of [`Next::run`].
#[must_use = "futures do nothing unless polled"]
pub struct NextFuture<O: Operation> {
    guest: Guest<Request<O>, Result<O::Output, BoxError>>,
}

impl<O: Operation> Future for NextFuture<O> {
    type Output = Result<O::Output, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let operation = O::NAME;
        Poll::Ready(match ready!(Pin::new(&mut self.guest).poll(cx)) {
            Ok(result) => result,
            Err(Refusal::Gone) => Err(CallError::Gone { operation }.into()),
            Err(Refusal::Twice) => Err(CallError::Twice { operation }.into()),
        })
    }
}

impl<O: Operation> fmt::Debug for NextFuture<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}

/// The step after the function: the inner service, which was made ready before.
struct Ready<S>(S);

impl<O, S> Step<Request<O>> for Ready<S>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
{
    type Future = Pin<Box<Inner<S::Future>>>;

    fn start(mut self, request: Request<O>) -> Self::Future {
        Box::pin(Inner {
            future: self.0.call(request),
        })
    }
}

pin_project! {
    struct Inner<F> {
        #[pin]
        future: F,
    }
}

impl<F, T, E> Future for Inner<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map_err(Into::into)
    }
}

pin_project! {
    /// The future of [`FromFn`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FromFnFuture<O, Fut, S>
    where
        O: Operation,
        S: Service<Request<O>, Response = O::Output>,
        S::Error: Into<BoxError>,
    {
        #[pin]
        rendezvous: Rendezvous<Fut, Ready<S>, Request<O>, Result<O::Output, BoxError>>,
    }
}

impl<O, Fut, S, E> Future for FromFnFuture<O, Fut, S>
where
    O: Operation,
    Fut: Future<Output = Result<O::Output, E>>,
    E: Into<BoxError>,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
{
    type Output = Result<O::Output, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().rendezvous.poll(cx).map_err(Into::into)
    }
}

impl<O, Fut, S> fmt::Debug for FromFnFuture<O, Fut, S>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFnFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}
