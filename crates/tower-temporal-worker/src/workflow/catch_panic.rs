//! Panics in a stack, as errors: for `initialize_workflow`, where the SDK does not catch them.

use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, ready},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request};

/// A middleware panicked with this text.
#[derive(Debug, thiserror::Error)]
#[error("it panicked: {0}")]
pub(super) struct Panicked(pub(super) String);

impl Panicked {
    fn error(panic: Box<dyn Any + Send>) -> BoxError {
        let text = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => match panic.downcast::<&str>() {
                Ok(text) => (*text).to_owned(),
                Err(_) => "not with a text".to_owned(),
            },
        };
        Self(text).into()
    }
}

/// A stack that fails with [`Panicked`] where `S` panics. It serves one call, so what a panic leaves of it is not seen.
pub(super) struct CatchPanic<S>(pub(super) S);

impl<O, S> Service<Request<O>> for CatchPanic<S>
where
    O: Operation,
    S: Service<Request<O>, Response = O::Output, Error: Into<BoxError>> + 'static,
{
    type Response = O::Output;
    type Error = BoxError;
    type Future = LocalBoxFuture<'static, Result<O::Output, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match catch_unwind(AssertUnwindSafe(|| self.0.poll_ready(cx))) {
            Ok(ready) => ready.map_err(Into::into),
            Err(panic) => Poll::Ready(Err(Panicked::error(panic))),
        }
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        match catch_unwind(AssertUnwindSafe(|| self.0.call(request))) {
            Ok(call) => Box::pin(AssertUnwindSafe(call).catch_unwind().map(
                |caught| match caught {
                    Ok(result) => result.map_err(Into::into),
                    Err(panic) => Err(Panicked::error(panic)),
                },
            )),
            Err(panic) => Box::pin(ready(Err(Panicked::error(panic)))),
        }
    }
}
