use super::{Authorize, AuthorizeBy, Verdict};
use crate::{CallInfo, key::RequestKey};
use std::fmt;
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, Intercept, Intercepted, Operation, ReplaySafe, Request, Scope,
};

/// Lets only those calls pass that a policy allows. See the [module](super).
#[derive(Clone, Copy)]
pub struct AuthorizeLayer<A> {
    policy: A,
}

impl<A: Authorize> AuthorizeLayer<A> {
    /// Lets those calls pass that `policy` allows.
    pub const fn new(policy: A) -> Self {
        Self { policy }
    }
}

impl<Q, F> AuthorizeLayer<AuthorizeBy<Q, F>> {
    /// Lets those calls pass that `policy` allows, which is given the call's key, if it has one: the value that surrounds it, with
    /// [`by_value`](crate::key::by_value), or what a [`RequestKey`] of your own takes from a header.
    pub const fn by<V>(key: Q, policy: F) -> Self
    where
        Q: RequestKey,
        F: Fn(Option<&Q::Key>, &CallInfo<'_>) -> V,
        V: Verdict,
    {
        Self {
            policy: AuthorizeBy::new(key, policy),
        }
    }
}

impl<A: Authorize + Clone + 'static> Intercept for AuthorizeLayer<A> {
    type State<O: Operation> = ();

    fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<(), BoxError> {
        if !O::Scope::is_established(request.context()) {
            return Ok(());
        }
        self.policy.authorize(request).map_err(Into::into)
    }
}

impl<A: Clone, S> Layer<S> for AuthorizeLayer<A> {
    type Service = Intercepted<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Intercepted::new(self.clone(), inner)
    }
}

/// The policy is workflow code, like the workflow itself, and can't wait.
impl<A> ReplaySafe for AuthorizeLayer<A> {}

impl<A> fmt::Debug for AuthorizeLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeLayer")
            .field("policy", &std::any::type_name::<A>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_temporal_core::{
        Denied, ErrorKind, Terminal, error,
        probe::{self, ClientProbe, OtherProbe, ProbeError, ProbeInput, WorkflowOutboundProbe},
    };

    fn denied(result: Result<u32, ProbeError>) -> String {
        let Err(ProbeError::Middleware(error)) = result else {
            panic!("the call should be denied, but {result:?}")
        };
        assert_eq!(error::kind(&error), ErrorKind::Denied);
        error.downcast::<Denied>().unwrap().reason().to_owned()
    }

    fn fine(_: ProbeInput) -> Result<u32, ProbeError> {
        Ok(1)
    }

    #[tokio::test]
    async fn a_closure_allows_some_operations() {
        let layer = AuthorizeLayer::new(|call: &CallInfo<'_>| call.operation == "client_probe");
        let stack = layer.layer(Terminal);
        let allowed = probe::call::<ClientProbe, _, _>(stack.clone(), 1, fine).await;
        assert_eq!(allowed.unwrap(), 1);
        let refused = probe::call::<OtherProbe, _, _>(stack.clone(), 1, |_| panic!("refused"));
        assert_eq!(
            denied(refused.await),
            "`other_probe` of `target` is not allowed"
        );
        // In workflows too, where nothing may wait.
        let refused = probe::call::<WorkflowOutboundProbe, _, _>(stack, 1, fine).now();
        denied(refused);
    }

    #[tokio::test]
    async fn a_policy_of_its_own_sees_the_whole_request() {
        /// Takes even arguments only.
        #[derive(Clone)]
        struct Even;

        impl Authorize for Even {
            fn authorize<O: Operation>(&self, request: &Request<O>) -> Result<(), Denied> {
                let input: &dyn std::any::Any = request.input();
                match input.downcast_ref::<ProbeInput>() {
                    Some(input) if input.value % 2 == 0 => Ok(()),
                    _ => Err("odd".into()),
                }
            }
        }

        let stack = AuthorizeLayer::new(Even).layer(Terminal);
        let even = probe::call::<ClientProbe, _, _>(stack.clone(), 2, fine).await;
        assert_eq!(even.unwrap(), 1);
        let odd = probe::call::<ClientProbe, _, _>(stack, 1, fine).await;
        assert_eq!(denied(odd), "odd");
    }
}
