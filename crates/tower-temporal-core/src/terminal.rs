use crate::{Operation, Request, request::CallGuest};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tower_service::Service;

/// The innermost service of every stack: continues with the SDK's own next step.
///
/// It serves every operation, is always ready, and fails with the operation's own error, so that a layer next to it can
/// match on it. What it takes from the request is the input, as the layers have left it.
///
/// # Errors
///
/// The operation's own. A request whose call has ended, of which a clone was here before, or that was made by hand gets
/// the operation's error with a [`CallError`](crate::CallError) as its source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal;

impl<O: Operation> Service<Request<O>> for Terminal {
    type Response = O::Output;
    type Error = O::Error;
    type Future = TerminalFuture<O>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<O>) -> TerminalFuture<O> {
        TerminalFuture {
            guest: request.into_guest(),
        }
    }
}

/// The future of [`Terminal`].
#[must_use = "futures do nothing unless polled"]
pub struct TerminalFuture<O: Operation> {
    guest: CallGuest<O>,
}

impl<O: Operation> Future for TerminalFuture<O> {
    type Output = Result<O::Output, O::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.guest
            .poll(cx, |refusal| Err(O::error(refusal.of(O::NAME).into())))
    }
}

impl<O: Operation> fmt::Debug for TerminalFuture<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}
