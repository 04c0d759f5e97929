use tower_temporal_core::Operation;

/// A call of [`ClientService`](super::ClientService).
pub trait ClientOperation: Operation<Context = ()> {
    /// Whether making the call again comes to the same as making it once, also when the first has arrived after all.
    ///
    /// Calls that read are. Of those that change something, the server must be able to tell that it has seen them: a
    /// signal by its request id, an update by its update id, a start by a workflow id that can't be used twice.
    /// [`IdempotentRetry`](super::IdempotentRetry) asks this before it repeats a call whose outcome is not known.
    fn is_idempotent(input: &Self::Input) -> bool;
}
