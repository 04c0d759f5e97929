use crate::{CallInfo, key::RequestKey};
use std::fmt;
use tower_temporal_core::{Denied, Operation, Request};

/// Says whether a call is allowed.
///
/// Closures `Fn(&CallInfo) -> impl Verdict` implement it.
pub trait Authorize {
    /// Allows `request`, or says why not.
    ///
    /// # Errors
    ///
    /// When it is not allowed.
    fn authorize<O: Operation>(&self, request: &Request<O>) -> Result<(), Denied>;
}

/// What a policy's closure says: `true`, or a `Result` with the reason as its error: a text, or a [`Denied`].
pub trait Verdict {
    /// The verdict on `call`.
    ///
    /// # Errors
    ///
    /// When it is not allowed.
    fn on(self, call: &CallInfo<'_>) -> Result<(), Denied>;
}

impl Verdict for bool {
    fn on(self, call: &CallInfo<'_>) -> Result<(), Denied> {
        if self {
            return Ok(());
        }
        let CallInfo {
            operation, target, ..
        } = call;
        Err(Denied::new(format!(
            "`{operation}` of `{target}` is not allowed"
        )))
    }
}

impl<E: Into<Denied>> Verdict for Result<(), E> {
    fn on(self, _: &CallInfo<'_>) -> Result<(), Denied> {
        self.map_err(Into::into)
    }
}

impl<F, V> Authorize for F
where
    F: Fn(&CallInfo<'_>) -> V,
    V: Verdict,
{
    fn authorize<O: Operation>(&self, request: &Request<O>) -> Result<(), Denied> {
        let call = CallInfo::new(request);
        self(&call).on(&call)
    }
}

/// A policy that is given a key of the call: see [`AuthorizeLayer::by`](super::AuthorizeLayer::by).
#[derive(Clone, Copy)]
pub struct AuthorizeBy<Q, F> {
    key: Q,
    policy: F,
}

impl<Q, F> AuthorizeBy<Q, F> {
    pub(super) const fn new(key: Q, policy: F) -> Self {
        Self { key, policy }
    }
}

impl<Q, F, V> Authorize for AuthorizeBy<Q, F>
where
    Q: RequestKey,
    F: Fn(Option<&Q::Key>, &CallInfo<'_>) -> V,
    V: Verdict,
{
    fn authorize<O: Operation>(&self, request: &Request<O>) -> Result<(), Denied> {
        let call = CallInfo::new(request);
        let key = self.key.key(request);
        (self.policy)(key.as_ref(), &call).on(&call)
    }
}

impl<Q: fmt::Debug, F> fmt::Debug for AuthorizeBy<Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeBy")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
