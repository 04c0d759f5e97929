use crate::{
    BoxError, OnFuture, Operation, Request,
    on::same_type,
    rendezvous::{Guest, Parcel, Rendezvous, Slot, Step},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// A layer from an async function, for one operation.
///
/// The function gets the request and [`Next`], the rest of the stack. It can change the request, look at the output and do
/// something before and after; or not call `next`, and fail. Where the output can be made outside the SDK (`()`, an
/// activity's result) it can also answer by itself. Operations other than `O` pass it by.
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
/// A layer for every operation is made with [`intercept`](crate::intercept()), or is a [`Service`] that is generic over the
/// operation; see the [crate's documentation](crate).
///
/// # In workflows
///
/// The function is workflow code there, and the compiler can't check it: await only `next.run(…)` and workflow futures, not
/// tokio's timers, channels or I/O, and decide nothing by a clock, a random number or the environment. Operations that are
/// synchronous in the SDK (`initialize_workflow`, `handle_query`, `validate_update`, `continue_as_new`) must not wait at
/// all.
pub fn from_fn<O, F, Fut, E>(f: F) -> FromFnLayer<O, F>
where
    O: Operation,
    F: Fn(Request<O>, Next<O>) -> Fut,
    Fut: Future<Output = Result<O::Output, E>>,
    E: Into<BoxError>,
{
    FromFnLayer {
        f,
        operation: PhantomData,
    }
}

/// The layer of [`from_fn`].
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

/// The service of [`from_fn`]: the function for the operation `O`, `inner` for every other.
//
// It is no `On`, which holds its inner service twice: a stack of many functions would double in size with each.
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

impl<P, O, F, S, Fut, E> Service<Request<P>> for FromFn<O, F, S>
where
    P: Operation,
    O: Operation,
    F: Fn(Request<O>, Next<O>) -> Fut,
    Fut: Future<Output = Result<O::Output, E>>,
    E: Into<BoxError>,
    S: Service<Request<P>, Response = P::Output, Error: Into<BoxError>>
        + Service<Request<O>, Response = O::Output, Error: Into<BoxError>>
        + Clone,
{
    type Response = P::Output;
    type Error = BoxError;
    type Future = OnFuture<<S as Service<Request<P>>>::Future, FromFnFuture<O, Fut, S>, P::Output>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::<Request<P>>::poll_ready(&mut self.inner, cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<P>) -> Self::Future {
        let request = match same_type::<Request<P>, Request<O>>(request) {
            Ok(request) => request,
            Err(request) => return OnFuture::inner(self.inner.call(request)),
        };
        // The clone stays; the service that was made ready goes with the call.
        let not_ready = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, not_ready);
        let slot = Slot::new(!O::CATEGORY.is_workflow());
        let next = Next { slot: slot.clone() };
        OnFuture::applied(FromFnFuture {
            rendezvous: Rendezvous::new(slot, (self.f)(request, next), Ready(ready)),
        })
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
    /// What the inner layers or the SDK failed with. [`error::find`](crate::error::find) finds the operation's own error in it
    /// and [`error::kind`](crate::error::kind) says what happened.
    ///
    /// ```
    /// # use tower_temporal_core::{Next, Operation, Request, error, from_fn};
    /// # fn layer<StartWorkflow: Operation>() {
    /// let layer = from_fn(async |request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
    ///     let result = next.run(request).await;
    ///     if let Err(error) = &result
    ///         && let Some(error) = error::find::<StartWorkflow, _>(error)
    ///     {
    ///         println!("the SDK says: {error}");
    ///     }
    ///     result
    /// });
    /// # let _ = layer;
    /// # }
    /// ```
    pub fn run(self, request: Request<O>) -> NextFuture<O> {
        NextFuture {
            guest: Guest::new(Parcel::new(request, Some(self.slot))),
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
        self.guest
            .poll(cx, |refusal| Err(refusal.of(O::NAME).into()))
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

    const IS_NESTED: bool = true;

    fn start(mut self, request: &mut Option<Request<O>>) -> Self::Future {
        let request = request.take().expect("it is there");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Terminal,
        probe::{self, ClientProbe, OtherProbe},
    };

    /// Something inside, so that the stack has a size.
    #[derive(Clone)]
    struct Inside<S>(u64, S);

    impl<P: Operation, S: Service<Request<P>>> Service<Request<P>> for Inside<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.1.poll_ready(cx)
        }

        fn call(&mut self, request: Request<P>) -> S::Future {
            self.0 += 1;
            self.1.call(request)
        }
    }

    #[tokio::test]
    async fn what_a_function_sets_around_the_rest_is_set_for_the_sdk() {
        tokio::task_local!(static LOCAL: u32);
        let outer = from_fn(
            async |request: Request<ClientProbe>, next: Next<ClientProbe>| {
                LOCAL.scope(5, next.run(request)).await
            },
        );
        let inner = from_fn(
            async |request: Request<ClientProbe>, next: Next<ClientProbe>| next.run(request).await,
        );
        let stack = tower::ServiceBuilder::new()
            .layer(outer)
            .layer(inner)
            .service(Terminal);
        let sdk = |_: probe::ProbeInput| Ok(LOCAL.get());
        let output = probe::call::<ClientProbe, _, _>(stack, 1, sdk).await;
        assert_eq!(output.unwrap(), 5);
    }

    #[tokio::test]
    async fn many_functions_make_no_big_stack() {
        macro_rules! plus_one {
            () => {
                from_fn(
                    async |mut request: Request<ClientProbe>, next: Next<ClientProbe>| {
                        request.value += 1;
                        next.run(request).await
                    },
                )
            };
        }
        let stack = tower::ServiceBuilder::new()
            .layer(plus_one!())
            .layer(plus_one!())
            .layer(plus_one!())
            .layer(plus_one!())
            .layer(tower::layer::layer_fn(|inner| Inside(0, inner)))
            .service(Terminal);
        assert_eq!(size_of_val(&stack), size_of::<u64>());
        let sdk = |input: probe::ProbeInput| Ok(input.value);
        let output = probe::call::<ClientProbe, _, _>(stack.clone(), 1, sdk).await;
        assert_eq!(output.unwrap(), 5);
        let other = probe::call::<OtherProbe, _, _>(stack, 1, sdk).await;
        assert_eq!(other.unwrap(), 1);
    }
}
