//! The client of Temporal, as the handlers have it.

use super::{ApiError, RequestId};
use http::{Request as HttpRequest, Response};
use std::time::Duration;
use temporalio_client::{Client, ClientOptions, ConnectionOptions, RetryOptions, Url};
use tonic::body::Body;
use tower::{
    BoxError, Service, ServiceBuilder,
    limit::ConcurrencyLimit,
    load_shed::LoadShed,
    retry::{Retry, RetryLayer},
};
use tower_temporal::{
    Interceptors, Request,
    client::{
        rpc,
        service::{
            ClientOperation, ClientService, ClientServiceExt, IdempotentRetry, RequestIdLayer,
        },
    },
    propagation::{Propagation, PropagationLayer},
    timeout::{Timeout, TimeoutLayer},
};

/// How much the API takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many calls of Temporal may be under way; more are answered with 503.
    pub calls: usize,
    /// How many may wait for a workflow, which takes as long as it takes. They have a limit of their own, or they would leave
    /// no room for those that are over at once.
    pub waits: usize,
    /// How long a call or a wait may take, with its retries; then it is answered with 504.
    pub timeout: Duration,
    /// How long one try of a call may take; then it is made again. Waits are left alone.
    pub try_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 256,
            waits: 1024,
            timeout: Duration::from_secs(10),
            try_timeout: Duration::from_secs(3),
        }
    }
}

type Try = Timeout<Propagation<RequestId, ClientService>>;
type Stack = LoadShed<ConcurrencyLimit<tower::timeout::Timeout<Retry<IdempotentRetry, Try>>>>;

/// A client of Temporal in a stack of layers, which all handlers share.
#[derive(Clone, Debug)]
pub struct Temporal {
    calls: Stack,
    waits: Stack,
    pub(super) task_queue: String,
}

impl Temporal {
    /// Starts orders on `task_queue`, over a channel to a server.
    ///
    /// The connection is the API's own. A worker relies on the SDK's retries of each request, which here would come on top
    /// of the stack's.
    ///
    /// # Errors
    ///
    /// If the server can't be reached.
    pub async fn connect<S>(
        channel: S,
        options: ClientOptions,
        task_queue: impl Into<String>,
        limits: Limits,
    ) -> Result<Self, BoxError>
    where
        S: Service<HttpRequest<Body>, Response = Response<Body>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        let request_ids = RequestIdLayer::new();
        // The channel knows where the server is.
        let connection = ConnectionOptions::new(Url::parse("http://temporal")?)
            .retry_options(RetryOptions::no_retries())
            .build();
        let connection = rpc::over(channel)
            .every_call(request_ids.clone())
            .connect(connection)
            .await?;
        let client = Client::new(connection, options)?;

        let retry = IdempotentRetry::new().request_ids(&request_ids);
        let stack = |concurrency| {
            ServiceBuilder::new()
                .load_shed()
                .concurrency_limit(concurrency)
                .timeout(limits.timeout)
                .layer(RetryLayer::new(retry.clone()))
                .layer(TimeoutLayer::new(limits.try_timeout))
                .layer(PropagationLayer::new())
                .service(ClientService::new(client.clone()))
        };
        Ok(Self {
            calls: stack(limits.calls),
            waits: stack(limits.waits),
            task_queue: task_queue.into(),
        })
    }

    /// Makes one call.
    pub(super) async fn call<O>(&self, request: Request<O>) -> Result<O::Output, ApiError>
    where
        O: ClientOperation,
        Stack: Service<Request<O>, Response = O::Output, Error = BoxError>,
    {
        let stack = if O::is_long_poll(&request) {
            &self.waits
        } else {
            &self.calls
        };
        let call = stack.send(request).await;
        call.map_err(|error| ApiError::new::<O>(&error))
    }
}

/// The options of the API's client, and of a worker's.
pub fn client_options(namespace: &str, interceptors: Interceptors) -> ClientOptions {
    ClientOptions::new(namespace).plugin(interceptors).build()
}
