use temporalio_client::RpcOptions;
use tonic::{Code, Status};
use tower_temporal_core::Operation;

/// A call of [`ClientService`](super::ClientService).
pub trait ClientOperation: Operation<Context = ()> {
    /// Whether making the call again comes to the same as making it once, also when the first has arrived after all.
    ///
    /// Calls that read are. Of those that change something, the server must be able to tell that it has seen them: a
    /// signal by its request id, an update by its update id, a start by a workflow id that can't be used twice.
    /// [`IdempotentRetry`](super::IdempotentRetry) asks this before it repeats a call whose outcome is not known.
    fn is_idempotent(input: &Self::Input) -> bool {
        let _ = input;
        false
    }

    /// Whether a repeat that is answered with this code says that what the call is for is so already: a schedule that is
    /// deleted again is not found.
    fn is_done(code: Code) -> bool {
        let _ = code;
        false
    }

    /// The id that [`RequestIdLayer`](super::RequestIdLayer) makes the server's, if the call is idempotent with it.
    fn request_id(input: &Self::Input) -> Option<&str> {
        let _ = input;
        None
    }

    /// The gRPC status that an error of the call is or carries, also where the SDK does not name it as the error's source.
    fn status(error: &Self::Error) -> Option<&Status>;

    /// Controls for the requests to the server, such as their metadata. The SDK has none for standalone activities.
    fn rpc_options(input: &Self::Input) -> Option<&RpcOptions>;

    /// Controls for the requests to the server, to be changed.
    fn rpc_options_mut(input: &mut Self::Input) -> Option<&mut RpcOptions>;
}
