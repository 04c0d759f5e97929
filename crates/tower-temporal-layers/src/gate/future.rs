use super::Gate;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request};

pin_project! {
    /// The future of [`Gated`](super::Gated).
    #[must_use = "futures do nothing unless polled"]
    pub struct GateFuture<O, G, S>
    where
        O: Operation,
        G: Gate,
        S: Service<Request<O>>,
    {
        #[pin]
        state: State<O, G::Future, S, S::Future>,
        // After the call, so that the call is dropped first.
        permit: Option<G::Permit>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<O: Operation, A, S, F> {
        Waiting {
            #[pin]
            admission: A,
            call: Option<(S, Request<O>)>,
        },
        Called { #[pin] inner: F },
    }
}

impl<O, G, S> GateFuture<O, G, S>
where
    O: Operation,
    G: Gate,
    S: Service<Request<O>>,
{
    pub(super) const fn new(admission: G::Future, ready: S, request: Request<O>) -> Self {
        Self {
            state: State::Waiting {
                admission,
                call: Some((ready, request)),
            },
            permit: None,
        }
    }
}

impl<O, G, S> Future for GateFuture<O, G, S>
where
    O: Operation,
    G: Gate,
    S: Service<Request<O>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Waiting { admission, call } => {
                    *this.permit = Some(ready!(admission.poll(cx))?);
                    let (mut service, request) = call.take().expect("it is admitted once");
                    let inner = service.call(request);
                    this.state.set(State::Called { inner });
                }
                StateProj::Called { inner } => {
                    let result = ready!(inner.poll(cx));
                    drop(this.permit.take());
                    return Poll::Ready(result.map_err(Into::into));
                }
            }
        }
    }
}

impl<O, G, S> fmt::Debug for GateFuture<O, G, S>
where
    O: Operation,
    G: Gate,
    S: Service<Request<O>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}
