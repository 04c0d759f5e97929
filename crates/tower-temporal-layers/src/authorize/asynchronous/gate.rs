use super::AsyncAuthorizeGateFuture;
use crate::{CallInfo, gate::Gate};
use std::fmt;
use tower_temporal_core::{BoxError, Operation, Request};

/// Says whether a call is allowed, in its own time.
///
/// Closures `Fn(&CallInfo) -> impl Future<Output = Result<(), impl Into<BoxError>>>` implement it. The future takes what it
/// needs of the call with it.
pub trait AsyncAuthorize {
    /// What the policy fails with: a [`Denied`](tower_temporal_core::Denied) when a call is not allowed, and anything else when
    /// it can't tell.
    type Error: Into<BoxError>;
    /// The future of the answer.
    type Future: Future<Output = Result<(), Self::Error>>;

    /// Asks whether `request` is allowed.
    fn authorize<O: Operation>(&self, request: &Request<O>) -> Self::Future;
}

impl<F, Fut, E> AsyncAuthorize for F
where
    F: Fn(&CallInfo<'_>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    type Error = E;
    type Future = Fut;

    fn authorize<O: Operation>(&self, request: &Request<O>) -> Fut {
        self(&CallInfo::new(request))
    }
}

/// What an [`AsyncAuthorizeLayer`](super::AsyncAuthorizeLayer) puts before every call.
#[derive(Clone, Copy)]
pub struct AsyncAuthorizeGate<A> {
    policy: A,
}

impl<A> AsyncAuthorizeGate<A> {
    pub(super) const fn new(policy: A) -> Self {
        Self { policy }
    }
}

impl<A: AsyncAuthorize> Gate for AsyncAuthorizeGate<A> {
    type Permit = ();
    type Future = AsyncAuthorizeGateFuture<A::Future>;

    fn admit<O: Operation>(&self, request: &Request<O>) -> Self::Future {
        AsyncAuthorizeGateFuture::new(self.policy.authorize(request))
    }
}

impl<A> fmt::Debug for AsyncAuthorizeGate<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncAuthorizeGate")
            .field("policy", &std::any::type_name::<A>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{CallInfo, authorize::AsyncAuthorizeLayer};
    use tower_layer::Layer;
    use tower_temporal_core::{
        BoxError, Denied, ErrorKind, Terminal, error,
        probe::{self, ClientProbe, OtherProbe, ProbeError},
    };

    #[tokio::test]
    async fn a_call_waits_for_the_answer() {
        let layer = AsyncAuthorizeLayer::new(|call: &CallInfo<'_>| {
            let operation = call.operation;
            async move {
                tokio::task::yield_now().await;
                match operation {
                    "client_probe" => Ok(()),
                    _ => Err(BoxError::from(Denied::new("no"))),
                }
            }
        });
        let stack = layer.layer(Terminal);
        let allowed = probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(2)).await;
        assert_eq!(allowed.unwrap(), 2);
        let refused = probe::call::<OtherProbe, _, _>(stack, 1, |_| panic!("refused")).await;
        let Err(ProbeError::Middleware(error)) = refused else {
            panic!("the call should be denied")
        };
        assert_eq!(error::kind(&error), ErrorKind::Denied);
    }
}
