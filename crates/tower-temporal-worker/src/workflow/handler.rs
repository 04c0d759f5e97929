//! What surrounds a handler of a workflow, besides its stack.

use pin_project_lite::pin_project;
use scoped_tls_hkt::scoped_thread_local;
use std::{
    cell::Cell,
    future::pending,
    pin::Pin,
    task::{Context, Poll},
};
use tower_temporal_core::{BoxError, Operation};

scoped_thread_local!(static FAILED: Cell<Option<BoxError>>);

/// Fails the handler whose code is being polled: the workflow's `run`, or that of a signal or an update.
///
/// For a call that can't fail itself. What it returns never completes; the handler does, with `error`.
pub(super) async fn fail_handler<T>(error: BoxError) -> T {
    if !FAILED.is_set() {
        panic!("{error}");
    }
    FAILED.with(|failed| failed.set(Some(error)));
    pending().await
}

pin_project! {
    /// Runs a handler, and fails it when a call inside it asks for that with [`fail_handler`].
    pub(super) struct Handler<O, F> {
        #[pin]
        handler: F,
        failed: Cell<Option<BoxError>>,
        operation: std::marker::PhantomData<fn() -> O>,
    }
}

impl<O, F> Handler<O, F> {
    pub(super) fn new(handler: F) -> Self {
        Self {
            handler,
            failed: Cell::new(None),
            operation: std::marker::PhantomData,
        }
    }
}

impl<O, F> Future for Handler<O, F>
where
    O: Operation,
    F: Future<Output = Result<O::Output, O::Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let handler = this.handler;
        let polled = FAILED.set(this.failed, || handler.poll(cx));
        match this.failed.take() {
            Some(error) => Poll::Ready(Err(O::error(error))),
            None => polled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tower_temporal_core::probe::{ProbeError, WorkflowInboundProbe};

    #[test]
    fn a_call_that_can_t_fail_fails_its_handler() {
        let handler = Box::pin(async {
            fail_handler::<()>("no timers".into()).await;
            Ok(1)
        });
        let mut handler = Box::pin(Handler::<WorkflowInboundProbe, _>::new(handler));
        match handler
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Err(ProbeError::Middleware(error))) => {
                assert_eq!(error.to_string(), "no timers")
            }
            other => panic!("the handler should have failed: {other:?}"),
        }
    }
}
