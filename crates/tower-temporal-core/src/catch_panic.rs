//! Panics in a stack, as errors.
//!
//! The `CatchPanicLayer` of `tower-temporal-layers` is made of this, and so is what an adapter does where the SDK does not
//! catch panics itself.

use crate::{BoxError, Operation, Request};
use pin_project_lite::pin_project;
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// Something inside a [`CatchPanic`] panicked, with this text: `INTERNAL` to a client. An activity is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked: {0}")]
pub struct Panicked(String);

impl Panicked {
    /// What was caught by [`catch_unwind`].
    pub fn new(panic: Box<dyn Any + Send>) -> Self {
        Self(match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => match panic.downcast::<&str>() {
                Ok(text) => (*text).to_owned(),
                Err(_) => "not with a text".to_owned(),
            },
        })
    }

    /// The text of the panic.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text of the panic.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A service that fails with [`Panicked`] where `S` panics: when it is asked whether it is ready, when it is called, or when
/// its future is polled.
///
/// What a panic leaves of `S` is used again, as after any panic that was caught. A stack of Temporal calls is cloned for each
/// of them, so what is used again is what clones share.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S> CatchPanic<S> {
    /// Catches the panics of `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<O, S> Service<Request<O>> for CatchPanic<S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match catch(|| self.inner.poll_ready(cx)) {
            Ok(ready) => ready.map_err(Into::into),
            Err(panicked) => Poll::Ready(Err(panicked.into())),
        }
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let (inner, panicked) = match catch(|| self.inner.call(request)) {
            Ok(inner) => (Some(inner), None),
            Err(panicked) => (None, Some(panicked)),
        };
        CatchPanicFuture { inner, panicked }
    }
}

fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(Panicked::new)
}

pin_project! {
    /// The future of [`CatchPanic`].
    #[must_use = "futures do nothing unless polled"]
    pub struct CatchPanicFuture<F> {
        #[pin]
        inner: Option<F>,
        panicked: Option<Panicked>,
    }
}

impl<F, T, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(panicked) = this.panicked.take() {
            return Poll::Ready(Err(panicked.into()));
        }
        let polled = catch(|| {
            let inner = this.inner.as_mut().as_pin_mut();
            inner.expect("it is not polled when done").poll(cx)
        });
        match polled {
            Ok(result) => Poll::Ready(ready!(result).map_err(Into::into)),
            Err(panicked) => {
                // What a panic has left of it may panic again when it is dropped; one of them is reported.
                let _ = catch(|| this.inner.set(None));
                Poll::Ready(Err(panicked.into()))
            }
        }
    }
}

impl<F> fmt::Debug for CatchPanicFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchPanicFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind, Next, Terminal, error, from_fn,
        probe::{self, ClientProbe, ProbeError},
    };
    use tower::{ServiceBuilder, service_fn};
    use tower_layer::Layer;

    fn panicked(result: Result<u32, ProbeError>) -> Panicked {
        let Err(ProbeError::Middleware(error)) = result else {
            panic!("expected a middleware's error, got {result:?}")
        };
        assert_eq!(error::kind(&error), ErrorKind::Panicked);
        *error.downcast().expect("it is the panic")
    }

    fn fine(_: probe::ProbeInput) -> Result<u32, ProbeError> {
        Ok(2)
    }

    #[tokio::test]
    async fn a_panic_in_a_call_and_in_its_future_is_an_error_with_its_text() {
        let in_call = CatchPanic::new(service_fn(
            |_: Request<ClientProbe>| -> std::future::Ready<Result<u32, BoxError>> {
                panic!("in {}", "call")
            },
        ));
        let result = probe::call::<ClientProbe, _, _>(in_call, 1, fine).await;
        assert_eq!(panicked(result).text(), "in call");

        let in_future = CatchPanic::new(service_fn(
            async |_: Request<ClientProbe>| -> Result<u32, BoxError> { panic!("in its future") },
        ));
        let result = probe::call::<ClientProbe, _, _>(in_future, 1, fine).await;
        assert_eq!(panicked(result).to_string(), "it panicked: in its future");
    }

    #[tokio::test]
    async fn what_does_not_panic_passes() {
        let stack = ServiceBuilder::new()
            .layer(tower::layer::layer_fn(CatchPanic::new))
            .service(Terminal);
        let output = probe::call::<ClientProbe, _, _>(stack, 1, fine).await;
        assert_eq!(output.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_future_that_panics_again_when_it_is_dropped_is_one_error() {
        struct Twice;

        impl Future for Twice {
            type Output = Result<u32, ProbeError>;

            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
                panic!("in poll")
            }
        }

        impl Drop for Twice {
            fn drop(&mut self) {
                panic!("in drop")
            }
        }

        let layer = from_fn(|request, next: Next<ClientProbe>| next.run(request));
        let service = layer.layer(service_fn(|_: Request<ClientProbe>| Twice));
        let error = panicked(
            probe::call::<ClientProbe, _, _>(CatchPanic::new(service), 1, |_| unreachable!()).await,
        );
        assert_eq!(error.to_string(), "it panicked: in poll");
    }

    #[test]
    fn a_panic_without_a_text_says_so() {
        assert_eq!(Panicked::new(Box::new(7)).text(), "not with a text");
    }
}
