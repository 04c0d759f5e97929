use crate::CallInfo;
use std::{fmt, marker::PhantomData};
use tower_temporal_core::{ContextKey, Denied, Operation, Request, Scope};

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

/// A policy that is given the value of `K`: see [`AuthorizeLayer::by_value`](super::AuthorizeLayer::by_value).
pub struct ByValue<K, F> {
    policy: F,
    key: PhantomData<fn() -> K>,
}

impl<K, F> ByValue<K, F> {
    pub(super) const fn new(policy: F) -> Self {
        Self {
            policy,
            key: PhantomData,
        }
    }
}

impl<K, F, V> Authorize for ByValue<K, F>
where
    K: ContextKey,
    F: Fn(Option<&K::Value>, &CallInfo<'_>) -> V,
    V: Verdict,
{
    fn authorize<O: Operation>(&self, request: &Request<O>) -> Result<(), Denied> {
        let call = CallInfo::new(request);
        let value = O::Scope::get::<K>(request.context());
        (self.policy)(value.as_deref(), &call).on(&call)
    }
}

impl<K, F: Clone> Clone for ByValue<K, F> {
    fn clone(&self) -> Self {
        Self::new(self.policy.clone())
    }
}

impl<K: ContextKey, F> fmt::Debug for ByValue<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByValue")
            .field("header", &K::HEADER)
            .finish_non_exhaustive()
    }
}
