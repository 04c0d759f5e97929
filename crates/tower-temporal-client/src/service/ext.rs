use super::ClientOperation;
use tower::util::Oneshot;
use tower_service::Service;
use tower_temporal_core::Request;

/// Calls a stack around a [`ClientService`](super::ClientService).
///
/// It is implemented for every service of client operations that can be cloned. A stack serves many request types, and what it
/// is called with says which: so code that holds one, such as the state of a handler, needs nothing but the stack's type.
///
/// ```
/// use temporalio_client::{Client, errors::WorkflowInteractionError};
/// use tower::{
///     BoxError, ServiceBuilder,
///     limit::ConcurrencyLimit,
///     load_shed::LoadShed,
///     retry::{Retry, RetryLayer},
/// };
/// use tower_temporal_client::service::{
///     ClientService, ClientServiceExt, DescribeWorkflow, IdempotentRetry,
/// };
///
/// // The stack's type, from the outside in: what `ServiceBuilder` comes to.
/// type Stack = LoadShed<ConcurrencyLimit<Retry<IdempotentRetry, ClientService>>>;
///
/// #[derive(Clone)]
/// struct State {
///     temporal: Stack,
/// }
///
/// impl State {
///     fn new(client: Client) -> Self {
///         let temporal = ServiceBuilder::new()
///             .load_shed()
///             .concurrency_limit(64)
///             .layer(RetryLayer::new(IdempotentRetry::new()))
///             .service(ClientService::new(client));
///         Self { temporal }
///     }
///
///     async fn is_known(&self, order: &str) -> Result<bool, BoxError> {
///         let described = self.temporal.send(DescribeWorkflow::new(order, Default::default()));
///         match described.await {
///             Ok(_) => Ok(true),
///             Err(error) => match error.downcast_ref() {
///                 Some(WorkflowInteractionError::NotFound(_)) => Ok(false),
///                 _ => Err(error),
///             },
///         }
///     }
/// }
/// ```
///
/// Where the stack is longer than its type is worth, put what varies behind a function that is generic over the service, or
/// box the service for one request type: [`tower::util::BoxCloneSyncService`].
pub trait ClientServiceExt<O>: Service<Request<O>, Response = O::Output> + Clone
where
    O: ClientOperation,
{
    /// Makes one call with a clone of the service, once that is ready.
    fn send(&self, request: Request<O>) -> Oneshot<Self, Request<O>> {
        Oneshot::new(self.clone(), request)
    }
}

// The operation is the trait's parameter, not the method's, so that what serves none has no such method: a sink has its own `send`.
impl<S, O> ClientServiceExt<O> for S
where
    S: Service<Request<O>, Response = O::Output> + Clone,
    O: ClientOperation,
{
}

#[cfg(test)]
mod tests {
    #[expect(unused_imports, reason = "it must not be in the way")]
    use super::ClientServiceExt;

    /// As `futures::SinkExt` has it.
    trait Sink {
        fn send(&mut self, item: u8) -> u8;
    }

    #[derive(Clone)]
    struct Sender;

    impl Sink for Sender {
        fn send(&mut self, item: u8) -> u8 {
            item
        }
    }

    #[test]
    fn what_is_no_service_keeps_its_own_send() {
        let mut sender = Sender;
        assert_eq!(sender.send(7), 7);
    }
}
