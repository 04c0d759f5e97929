use crate::{BoxError, Operation, Request, SharedService};
use pin_project_lite::pin_project;
use std::{
    any::{Any, TypeId},
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Applies `layer` to the operation `O` alone; every other operation passes it by.
///
/// It is what overriding one method is to an interceptor class. Since only `O` goes through `layer`, that layer may be
/// one that serves a single request type, such as `map_request` with a closure or `BoxCloneService`.
///
/// ```
/// use tower::{ServiceBuilder, util::MapRequestLayer};
/// use tower_temporal_core::{Operation, Request, Terminal, on};
///
/// # fn stack<StartWorkflow: Operation<Input = String>>() {
/// let stack = ServiceBuilder::new()
///     .layer(on::<StartWorkflow, _>(MapRequestLayer::new(|mut request: Request<StartWorkflow>| {
///         request.make_ascii_lowercase();
///         request
///     })))
///     .service(Terminal);
/// # let _ = stack;
/// # }
/// ```
pub const fn on<O, L>(layer: L) -> OnLayer<O, L> {
    OnLayer {
        layer,
        operation: PhantomData,
    }
}

/// The layer of [`on`].
pub struct OnLayer<O, L> {
    layer: L,
    operation: PhantomData<fn() -> O>,
}

impl<O, L, S> Layer<S> for OnLayer<O, L>
where
    L: Layer<SharedService<S>>,
    S: Clone,
{
    type Service = On<O, SharedService<S>, L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = SharedService::new(inner);
        On {
            applied: self.layer.layer(inner.clone()),
            inner,
            operation: PhantomData,
        }
    }
}

impl<O, L: Clone> Clone for OnLayer<O, L> {
    fn clone(&self) -> Self {
        on(self.layer.clone())
    }
}

impl<O: Operation, L: fmt::Debug> fmt::Debug for OnLayer<O, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLayer")
            .field("operation", &O::NAME)
            .field("layer", &self.layer)
            .finish()
    }
}

/// The service of [`on`]: `applied` for the operation `O`, `inner` for every other.
pub struct On<O, S, A> {
    inner: S,
    applied: A,
    operation: PhantomData<fn() -> O>,
}

impl<O, S: Clone, A: Clone> Clone for On<O, S, A> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            applied: self.applied.clone(),
            operation: PhantomData,
        }
    }
}

impl<O: Operation, S: fmt::Debug, A: fmt::Debug> fmt::Debug for On<O, S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On")
            .field("operation", &O::NAME)
            .field("inner", &self.inner)
            .field("applied", &self.applied)
            .finish()
    }
}

impl<P, O, S, A> Service<Request<P>> for On<O, S, A>
where
    P: Operation,
    O: Operation,
    S: Service<Request<P>, Response = P::Output>,
    S::Error: Into<BoxError>,
    A: Service<Request<O>, Response = O::Output>,
    A::Error: Into<BoxError>,
{
    type Response = P::Output;
    type Error = BoxError;
    type Future = OnFuture<S::Future, A::Future, P::Output>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if is_same::<P, O>() {
            self.applied.poll_ready(cx).map_err(Into::into)
        } else {
            self.inner.poll_ready(cx).map_err(Into::into)
        }
    }

    fn call(&mut self, request: Request<P>) -> Self::Future {
        match same_type::<Request<P>, Request<O>>(request) {
            Ok(request) => OnFuture::applied(self.applied.call(request)),
            Err(request) => OnFuture::inner(self.inner.call(request)),
        }
    }
}

pin_project! {
    /// The future of [`On`] and of [`from_fn`](crate::from_fn()).
    #[must_use = "futures do nothing unless polled"]
    pub struct OnFuture<I, A, T> {
        #[pin]
        kind: Kind<I, A>,
        output: PhantomData<fn() -> T>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<I, A> {
        Inner { #[pin] future: I },
        Applied { #[pin] future: A },
    }
}

impl<I, A, T> OnFuture<I, A, T> {
    pub(crate) fn inner(future: I) -> Self {
        Self {
            kind: Kind::Inner { future },
            output: PhantomData,
        }
    }

    pub(crate) fn applied(future: A) -> Self {
        Self {
            kind: Kind::Applied { future },
            output: PhantomData,
        }
    }
}

impl<I, A, T, U, E, F> Future for OnFuture<I, A, T>
where
    I: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    A: Future<Output = Result<U, F>>,
    F: Into<BoxError>,
    T: 'static,
    U: 'static,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Inner { future } => ready!(future.poll(cx)).map_err(Into::into),
            KindProj::Applied { future } => match ready!(future.poll(cx)) {
                Ok(output) => match same_type(output) {
                    Ok(output) => Ok(output),
                    Err(_) => unreachable!("the layer was applied to this operation"),
                },
                Err(error) => Err(error.into()),
            },
        })
    }
}

impl<I, A, T> fmt::Debug for OnFuture<I, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnFuture").finish_non_exhaustive()
    }
}

fn is_same<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// `value` as a `B`, if that is what it is. Both types are known where this is instantiated, so it costs a move at most.
pub(crate) fn same_type<A: 'static, B: 'static>(value: A) -> Result<B, A> {
    let mut value = Some(value);
    match (&mut value as &mut dyn Any).downcast_mut::<Option<B>>() {
        Some(same) => Ok(same.take().expect("it was just put there")),
        None => Err(value.expect("it was just put there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Terminal,
        probe::{self, ClientProbe, OtherProbe},
    };
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tower::{ServiceBuilder, util::MapRequestLayer};

    /// Counts how often it is cloned.
    #[derive(Debug)]
    struct Counting<S>(Arc<AtomicUsize>, S);

    impl<S: Clone> Clone for Counting<S> {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::SeqCst);
            Self(self.0.clone(), self.1.clone())
        }
    }

    impl<P: Operation, S: Service<Request<P>>> Service<Request<P>> for Counting<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.1.poll_ready(cx)
        }

        fn call(&mut self, request: Request<P>) -> S::Future {
            self.1.call(request)
        }
    }

    #[tokio::test]
    async fn many_of_them_make_no_big_stack() {
        let plus_one = || {
            on::<ClientProbe, _>(MapRequestLayer::new(|mut request: Request<ClientProbe>| {
                request.value += 1;
                request
            }))
        };
        let clones = Arc::new(AtomicUsize::new(0));
        let in_stack = clones.clone();
        let stack = ServiceBuilder::new()
            .layer((plus_one(), plus_one(), plus_one(), plus_one()))
            .layer((plus_one(), plus_one(), plus_one(), plus_one()))
            .layer(tower::layer::layer_fn(move |inner| {
                Counting(in_stack.clone(), inner)
            }))
            .service(Terminal);
        let sdk = |input: probe::ProbeInput| Ok(input.value);
        assert_eq!(
            probe::call::<ClientProbe, _, _>(stack.clone(), 0, sdk)
                .await
                .unwrap(),
            8
        );
        assert_eq!(
            probe::call::<OtherProbe, _, _>(stack, 0, sdk)
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            clones.load(Ordering::SeqCst),
            2,
            "what is inside is cloned once for each call"
        );
    }
}
