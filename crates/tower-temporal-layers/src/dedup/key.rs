use crate::key::RequestKey;
use std::fmt::Display;
use tower_temporal_core::{Repeatable, Request};

/// Names a call in a store.
///
/// It is implemented by [`ByIdentity`] and, for a [`RequestKey`], by [`ByKey`].
pub trait DedupKey {
    /// The key of `request`; `None` passes the store by.
    fn key<O: Repeatable>(&self, request: &Request<O>) -> Option<String>;
}

/// Names a call by what its attempts have in common, and nothing else has.
#[derive(Clone, Copy, Debug)]
pub struct ByIdentity;

impl DedupKey for ByIdentity {
    fn key<O: Repeatable>(&self, request: &Request<O>) -> Option<String> {
        Some(O::identity(request))
    }
}

/// Names a call by the type of its activity and a [`RequestKey`].
#[derive(Clone, Copy, Debug)]
pub struct ByKey<Q>(pub(super) Q);

impl<Q: RequestKey<Key: Display>> DedupKey for ByKey<Q> {
    fn key<O: Repeatable>(&self, request: &Request<O>) -> Option<String> {
        let key = self.0.key(request)?;
        let activity_type = request.target().activity_type.unwrap_or_default();
        // In quotes, so that no type and key look like others.
        Some(format!("{activity_type:?} {key}"))
    }
}
