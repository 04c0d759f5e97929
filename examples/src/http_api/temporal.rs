//! The client of Temporal, as the handlers have it.

use super::{ApiError, RequestId, TraceParent};
use std::time::Duration;
use temporalio_client::Client;
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    limit::ConcurrencyLimit,
    load_shed::LoadShed,
    retry::{Retry, RetryLayer},
    timeout::Timeout,
};
use tower_temporal::{
    Operation, Request,
    client::service::{ClientService, IdempotentRetry},
    propagation::{Propagation, PropagationLayer},
};

/// How much the API takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many calls of Temporal may be under way; more are answered with 503.
    pub concurrency: usize,
    /// How long one of them may take, with its retries; then it is answered with 504.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 256,
            timeout: Duration::from_secs(10),
        }
    }
}

type Propagated<S> = Propagation<RequestId, Propagation<TraceParent, S>>;
type Stack = LoadShed<ConcurrencyLimit<Timeout<Retry<IdempotentRetry, Propagated<ClientService>>>>>;

/// A client of Temporal in a stack of layers, which all handlers share.
#[derive(Clone, Debug)]
pub struct Temporal {
    stack: Stack,
    pub(super) task_queue: String,
}

impl Temporal {
    /// Starts orders on `task_queue`.
    pub fn new(client: Client, task_queue: impl Into<String>, limits: Limits) -> Self {
        let stack = ServiceBuilder::new()
            .load_shed()
            .concurrency_limit(limits.concurrency)
            .timeout(limits.timeout)
            .layer(RetryLayer::new(IdempotentRetry::new()))
            .layer(PropagationLayer::new())
            .layer(PropagationLayer::new())
            .service(ClientService::new(client));
        Self {
            stack,
            task_queue: task_queue.into(),
        }
    }

    /// Makes one call.
    pub(super) async fn call<O>(&self, request: Request<O>) -> Result<O::Output, ApiError>
    where
        O: Operation,
        Stack: Service<Request<O>, Response = O::Output, Error = BoxError>,
    {
        let call = self.stack.clone().oneshot(request);
        call.await.map_err(|error| ApiError::new::<O>(&error))
    }
}
