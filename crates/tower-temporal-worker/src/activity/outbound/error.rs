use temporalio_common::data_converters::PayloadConversionError;
use tower_temporal_core::BoxError;

/// A call that an activity made could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The current task runs no activity, or one whose worker has no outbound stack.
    #[error(
        "the current task runs no activity with an outbound stack; call this from an activity of a worker that has one \
         (`Interceptors::builder().activity_outbound(…)`), and not from a task that the activity has spawned, where \
         `ctx.outbound()` works"
    )]
    NoActivity,
    /// The activity's context is not known to the current task.
    #[error(
        "the activity's context is not known here; call `ctx.outbound()` once, at the start of the activity"
    )]
    NoContext,
    /// Heartbeat details could not be serialized.
    #[error("the heartbeat's details can't be serialized: {0}")]
    PayloadConversion(#[from] PayloadConversionError),
    /// A middleware failed.
    #[error("a middleware of the activity's outbound stack failed: {0}")]
    Middleware(#[source] BoxError),
}
