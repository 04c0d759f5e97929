//! Layers to look at a stack with. They are generic over every operation, as a user's own would be.

use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto, Ready, ready},
};
use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal::{BoxError, Category, Denied, Operation, Request};

/// What a [`Record`] saw of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) operation: &'static str,
    pub(crate) category: Category,
    /// The target, as `Debug` writes it.
    pub(crate) target: String,
    /// Whether the call can carry headers.
    pub(crate) carries_headers: bool,
}

/// A layer that records which calls reach it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Seen>>>);

impl Record {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn operations(&self) -> Vec<&'static str> {
        self.seen().iter().map(|seen| seen.operation).collect()
    }
}

impl<S> Layer<S> for Record {
    type Service = Recording<S>;

    fn layer(&self, inner: S) -> Recording<S> {
        Recording {
            record: self.clone(),
            inner,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Recording<S> {
    record: Record,
    inner: S,
}

impl<S> Recording<S> {
    pub(crate) const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<O: Operation, S: Service<Request<O>>> Service<Request<O>> for Recording<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> S::Future {
        self.record.0.lock().unwrap().push(Seen {
            operation: O::NAME,
            category: O::CATEGORY,
            target: format!("{:?}", request.target()),
            carries_headers: request.headers().are_carried(),
        });
        self.inner.call(request)
    }
}

/// A layer that denies the operation of this name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deny(pub(crate) &'static str);

impl Deny {
    pub(crate) const REASON: &'static str = "the test says no";
}

impl<S> Layer<S> for Deny {
    type Service = Denying<S>;

    fn layer(&self, inner: S) -> Denying<S> {
        Denying {
            operation: self.0,
            inner,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Denying<S> {
    operation: &'static str,
    inner: S,
}

impl<O, S> Service<Request<O>> for Denying<S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<Ready<Result<S::Response, BoxError>>, ErrInto<S::Future, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        if O::NAME == self.operation {
            Either::Left(ready(Err(Denied::new(Deny::REASON).into())))
        } else {
            Either::Right(self.inner.call(request).err_into())
        }
    }
}

/// Lines that [`trace`] writes, in the order things happened.
pub(crate) type Lines = Arc<Mutex<Vec<String>>>;

/// A layer that writes down when a call goes in, and when it comes out.
pub(crate) fn trace(name: &'static str, lines: &Lines) -> Trace {
    Trace {
        name,
        lines: lines.clone(),
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Trace {
    name: &'static str,
    lines: Lines,
}

impl Trace {
    fn write(&self, way: &str, operation: &str) {
        let line = format!("{operation} {way} {}", self.name);
        self.lines.lock().unwrap().push(line);
    }
}

impl<S> Layer<S> for Trace {
    type Service = Tracing<S>;

    fn layer(&self, inner: S) -> Tracing<S> {
        Tracing {
            trace: self.clone(),
            inner,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Tracing<S> {
    trace: Trace,
    inner: S,
}

impl<O, S> Service<Request<O>> for Tracing<S>
where
    O: Operation,
    S: Service<Request<O>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let trace = self.trace.clone();
        trace.write("into", O::NAME);
        let call = self.inner.call(request);
        call.inspect(move |_| trace.write("out of", O::NAME))
            .boxed()
    }
}
