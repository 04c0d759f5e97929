use super::Payload;
use tower_temporal_core::BoxError;

/// Keeps outputs of activities. See the [module](super) for an example.
///
/// How long an output is kept is the store's to say: as long as an activity may be retried, which its `schedule_to_close`
/// timeout bounds.
pub trait Store: Clone + Send + Sync + 'static {
    /// What it fails with.
    type Error: Into<BoxError> + Send;

    /// The output that was stored with `key`, if there is one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Payload>, Self::Error>> + Send;

    /// Stores `output` with `key`, over what was there.
    fn put(
        &self,
        key: &str,
        output: Payload,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
