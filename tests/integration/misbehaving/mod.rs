//! Middleware that does what it must not, in every category: what becomes of the call, and that nothing else suffers.
//!
//! Workflows have theirs in `workflow/misbehaving.rs`.
//!
//! | what the middleware does    | client | activity, in | activity, out        | workflow, in   | workflow, out               |
//! |-----------------------------|--------|--------------|----------------------|----------------|-----------------------------|
//! | panics                      | ✓      | ✓            | ✓                    | ✓              | ✓                           |
//! | answers itself              | ✓      | ✓            | ✓                    | ✓              | ✓                           |
//! | calls inward twice          | ✓      | not `Clone`  | `info`               | not `Clone`    | `cancel_external_workflow`  |
//! | keeps the request for later | ✓      | ✓            | ✓                    | ✓              | ✓                           |
//! | fails readiness             | ✓      | ✓            | ✓                    | ✓              | ✓                           |
//! | is never ready              | ✓      | `load_shed`  | ✓                    | ✓              | ✓                           |
//! | drops the call half-way     | ✓      | ✓            | done at once         | ✓              | ✓                           |
//! | spawns the call             | ✓      | ✓            | ✓                    | not `Send`     | not `Send`                  |

mod activity;
mod activity_outbound;
mod client;

use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto, Join, Map, Ready, join, ready},
};
use std::{
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal::{
    BoxError, Next, Operation, ReplaySafe, Request,
    core::{FromFnLayer, OnLayer},
    from_fn, on,
};

/// What a [`Misbehave`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    PanicInReady,
    PanicInCall,
    PanicInFuture,
    FailReady,
    NeverReady,
    /// Polls the inner call once and, if it is not done, drops it and fails.
    DropHalfWay,
}

impl How {
    pub(crate) const PANICS: [Self; 3] =
        [Self::PanicInReady, Self::PanicInCall, Self::PanicInFuture];

    /// What a panic or an error of it says.
    pub(crate) fn text<O: Operation>(self) -> String {
        self.text_of(O::NAME)
    }

    fn text_of(self, operation: &str) -> String {
        format!("`{operation}`: {self:?}, as the test wants")
    }
}

/// A layer that misbehaves whenever `O` is called.
pub(crate) fn misbehave<O: Operation>(how: How) -> Misbehave {
    Misbehave {
        operation: O::NAME,
        how,
        turns: Arc::new(AtomicU32::new(u32::MAX)),
    }
}

/// See [`misbehave`].
#[derive(Clone, Debug)]
pub(crate) struct Misbehave {
    operation: &'static str,
    how: How,
    /// How often it will misbehave yet.
    turns: Arc<AtomicU32>,
}

impl Misbehave {
    /// Only the first call.
    pub(crate) fn once(self) -> Self {
        self.turns.store(1, Ordering::SeqCst);
        self
    }

    /// How many layers, services and futures of it there are: more after a call than before means that some leaked.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.turns)
    }

    fn take_turn(&self) -> Option<How> {
        let turn = self
            .turns
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        turn.ok().map(|_| self.how)
    }
}

impl ReplaySafe for Misbehave {}

impl<S> Layer<S> for Misbehave {
    type Service = Misbehaving<S>;

    fn layer(&self, inner: S) -> Misbehaving<S> {
        Misbehaving {
            layer: self.clone(),
            inner,
            turn: None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Misbehaving<S> {
    layer: Misbehave,
    inner: S,
    /// What it does in this call, once that is decided.
    turn: Option<Option<How>>,
}

impl<S> Misbehaving<S> {
    fn turn<O: Operation>(&mut self) -> Option<How> {
        if O::NAME != self.layer.operation {
            return None;
        }
        *self.turn.get_or_insert_with(|| self.layer.take_turn())
    }
}

impl<O, S> Service<Request<O>> for Misbehaving<S>
where
    O: Operation,
    S: Service<Request<O>, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = MisbehavingFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.turn::<O>() {
            Some(how @ How::PanicInReady) => panic!("{}", how.text::<O>()),
            Some(how @ How::FailReady) => Poll::Ready(Err(how.text::<O>().into())),
            Some(How::NeverReady) => Poll::Pending,
            _ => self.inner.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let how = self.turn::<O>();
        self.turn = None;
        if let Some(how @ How::PanicInCall) = how {
            panic!("{}", how.text::<O>());
        }
        MisbehavingFuture {
            layer: self.layer.clone(),
            how,
            call: Some(Box::pin(self.inner.call(request))),
        }
    }
}

/// It is `Send` if the inner future is, so that it serves every category.
pub(crate) struct MisbehavingFuture<F> {
    layer: Misbehave,
    how: Option<How>,
    call: Option<Pin<Box<F>>>,
}

impl<F, T, E> Future for MisbehavingFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let operation = self.layer.operation;
        if let Some(how @ How::PanicInFuture) = self.how {
            panic!("{}", how.text_of(operation));
        }
        let call = self.call.as_mut().expect("it is polled until it is done");
        match (call.as_mut().poll(cx), self.how) {
            (Poll::Ready(result), _) => Poll::Ready(result.map_err(Into::into)),
            (Poll::Pending, Some(how @ How::DropHalfWay)) => {
                self.call = None;
                Poll::Ready(Err(how.text_of(operation).into()))
            }
            (Poll::Pending, _) => Poll::Pending,
        }
    }
}

/// A layer that answers `O` itself and never calls inward.
#[allow(
    clippy::type_complexity,
    reason = "an alias can't have the closure's opaque type"
)]
pub(crate) fn answer<O: Operation>(
    answer: impl Fn(&Request<O>) -> O::Output + Clone,
) -> FromFnLayer<O, impl Fn(Request<O>, Next<O>) -> Ready<Result<O::Output, BoxError>> + Clone> {
    from_fn(move |request: Request<O>, _: Next<O>| ready(Ok(answer(&request))))
}

/// A layer that calls inward twice, with a clone, and gives what the second call came to.
pub(crate) fn twice<O: Operation>() -> OnLayer<O, Twice> {
    on(Twice)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Twice;

impl ReplaySafe for Twice {}

impl<S> Layer<S> for Twice {
    type Service = CallingTwice<S>;

    fn layer(&self, inner: S) -> CallingTwice<S> {
        CallingTwice(inner)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CallingTwice<S>(S);

type Both<F, T, E> = Map<Join<F, F>, fn((Result<T, E>, Result<T, E>)) -> Result<T, E>>;

impl<O, S> Service<Request<O>> for CallingTwice<S>
where
    O: Operation<Input: Clone, Context: Clone>,
    S: Service<Request<O>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Both<S::Future, S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let first = self.0.call(request.clone());
        let second = self.0.call(request);
        join(first, second).map(|(first, second)| first.and(second))
    }
}

/// A layer that keeps the first request and refuses that call, and sends the kept request inward when `O` is called again.
/// From the third call on it behaves.
pub(crate) fn keep<O: Operation>() -> OnLayer<O, Keep<O>> {
    on(Keep(PhantomData))
}

/// What a [`keep`] says of the request it keeps.
pub(crate) const KEPT: &str = "the request was kept for later";

#[derive(Clone, Debug)]
pub(crate) struct Keep<O>(PhantomData<fn() -> O>);

impl<O> ReplaySafe for Keep<O> {}

impl<O: Operation, S> Layer<S> for Keep<O> {
    type Service = Keeping<O, S>;

    fn layer(&self, inner: S) -> Keeping<O, S> {
        Keeping {
            inner,
            kept: Arc::new(Mutex::new(Kept::NotYet)),
        }
    }
}

enum Kept<O: Operation> {
    NotYet,
    Request(Request<O>),
    Sent,
}

pub(crate) struct Keeping<O: Operation, S> {
    inner: S,
    kept: Arc<Mutex<Kept<O>>>,
}

impl<O: Operation, S: Clone> Clone for Keeping<O, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            kept: self.kept.clone(),
        }
    }
}

impl<O, S> Service<Request<O>> for Keeping<O, S>
where
    O: Operation,
    S: Service<Request<O>, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<Ready<Result<S::Response, BoxError>>, ErrInto<S::Future, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let mut kept = self.kept.lock().unwrap();
        let request = match mem::replace(&mut *kept, Kept::Sent) {
            Kept::NotYet => {
                *kept = Kept::Request(request);
                return Either::Left(ready(Err(KEPT.into())));
            }
            Kept::Request(before) => before,
            Kept::Sent => request,
        };
        Either::Right(self.inner.call(request).err_into())
    }
}

/// A layer that runs every call on a task of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spawn;

impl<S> Layer<S> for Spawn {
    type Service = Spawning<S>;

    fn layer(&self, inner: S) -> Spawning<S> {
        Spawning(inner)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Spawning<S>(S);

impl<O, S> Service<Request<O>> for Spawning<S>
where
    O: Operation,
    S: Service<
            Request<O>,
            Response: Send + 'static,
            Error: Into<BoxError> + Send + 'static,
            Future: Send + 'static,
        >,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let task = tokio::spawn(self.0.call(request));
        async move { task.await?.map_err(Into::into) }.boxed()
    }
}

/// A layer that knows which calls have reached it, and which of them still run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicUsize,
    running: AtomicUsize,
}

impl Witness {
    /// How many calls have reached it.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// How many calls inside it have neither ended nor been dropped.
    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// One more runs, until this is dropped.
    pub(crate) fn enter(&self) -> Presence {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        self.0.running.fetch_add(1, Ordering::SeqCst);
        Presence(self.clone())
    }
}

pub(crate) struct Presence(Witness);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ReplaySafe for Witness {}

impl<S> Layer<S> for Witness {
    type Service = Witnessing<S>;

    fn layer(&self, inner: S) -> Witnessing<S> {
        Witnessing {
            witness: self.clone(),
            inner,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Witnessing<S> {
    witness: Witness,
    inner: S,
}

impl<O: Operation, S: Service<Request<O>>> Service<Request<O>> for Witnessing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Witnessed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        Witnessed {
            call: Box::pin(self.inner.call(request)),
            _presence: self.witness.enter(),
        }
    }
}

pub(crate) struct Witnessed<F> {
    call: Pin<Box<F>>,
    _presence: Presence,
}

impl<F: Future> Future for Witnessed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.call.as_mut().poll(cx)
    }
}
