//! What tells calls apart: keys of limits and of stored outputs, and what policies go by.

use crate::CallInfo;
use std::{fmt, marker::PhantomData, sync::Arc};
use tower_temporal_core::{ContextKey, Operation, Request, Scope};

/// Takes a key from a request.
///
/// Closures `Fn(&CallInfo) -> Option<K>` implement it. `None` is for a call that has no key, and which the layer lets pass.
///
/// ```
/// use tower_temporal_layers::{CallInfo, key::RequestKey};
///
/// fn is_key<K>(_: impl RequestKey<Key = K>) {}
///
/// // The activity's type.
/// is_key(|call: &CallInfo<'_>| call.target.activity_type.map(str::to_owned));
/// // A header, as it is encoded.
/// is_key(|call: &CallInfo<'_>| Some(call.headers().get("tenant")?.data.clone()));
/// ```
pub trait RequestKey {
    /// What calls are told apart by.
    type Key;

    /// The key of `request`.
    fn key<O: Operation>(&self, request: &Request<O>) -> Option<Self::Key>;
}

impl<F, K> RequestKey for F
where
    F: Fn(&CallInfo<'_>) -> Option<K>,
{
    type Key = K;

    fn key<O: Operation>(&self, request: &Request<O>) -> Option<K> {
        self(&CallInfo::new(request))
    }
}

/// Tells calls apart by a value that surrounds them, such as the user they are made for.
///
/// What brings the value from a header has to be outside of the layer.
///
/// ```
/// use std::sync::Arc;
/// use tower_temporal_core::ContextKey;
/// use tower_temporal_layers::key::{RequestKey, by_value};
///
/// struct UserId;
///
/// impl ContextKey for UserId {
///     type Value = String;
///     const HEADER: &'static str = "user-id";
/// }
///
/// fn is_key<K>(_: impl RequestKey<Key = K>) {}
/// is_key::<Arc<String>>(by_value::<UserId>());
/// ```
pub const fn by_value<C: ContextKey>() -> ByValue<C> {
    ByValue(PhantomData)
}

/// The key of [`by_value`].
pub struct ByValue<C>(PhantomData<fn() -> C>);

impl<C: ContextKey> RequestKey for ByValue<C> {
    type Key = Arc<C::Value>;

    fn key<O: Operation>(&self, request: &Request<O>) -> Option<Arc<C::Value>> {
        O::Scope::get::<C>(request.context())
    }
}

impl<C> Clone for ByValue<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for ByValue<C> {}

impl<C: ContextKey> fmt::Debug for ByValue<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByValue").field(&C::HEADER).finish()
    }
}

/// Does not tell calls apart: they all have the same key.
#[derive(Clone, Copy, Debug)]
pub struct EveryCall;

impl RequestKey for EveryCall {
    type Key = ();

    fn key<O: Operation>(&self, _: &Request<O>) -> Option<()> {
        Some(())
    }
}
