//! The SDK's client as a service: every request, on a real server.
//!
//! Each module makes the calls of one kind, and lists them; together they are
//! [`OPERATIONS`](tower_temporal::client::service::OPERATIONS).

mod activities;
mod async_activities;
mod middleware;
mod schedules;
mod updates;
mod wire;
mod workflows;

use crate::{
    layers::{Record, Recording},
    support::client,
};
use std::collections::BTreeSet;
use temporalio_client::Client;
use tower::Service;
use tower_layer::Layer;
use tower_temporal::{
    Interceptors, Request,
    client::service::{ClientOperation, ClientService, ClientServiceExt, OPERATIONS},
};

/// A service over a client with a stack of its own, and what was seen in both.
struct Api {
    service: Recording<ClientService>,
    /// Around the service.
    around: Record,
    /// In the client's own stack.
    beneath: Record,
}

impl Api {
    async fn new() -> Self {
        let (around, beneath) = (Record::default(), Record::default());
        let client = client(Interceptors::builder().client(beneath.clone()).build()).await;
        Self {
            service: around.layer(ClientService::new(client)),
            around,
            beneath,
        }
    }

    /// The client beneath, without the service.
    fn client(&self) -> &Client {
        self.service.inner().client()
    }

    async fn call<O: ClientOperation>(&self, request: Request<O>) -> Result<O::Output, O::Error>
    where
        ClientService: Service<Request<O>, Response = O::Output, Error = O::Error>,
    {
        self.service.send(request).await
    }

    /// Asserts that the calls so far were of these operations, and all of them.
    fn assert_called(&self, operations: &[&str]) {
        let called: BTreeSet<_> = self.around.operations().into_iter().collect();
        assert_eq!(called, operations.iter().copied().collect());
    }
}

#[test]
fn every_request_has_a_test() {
    let lists = [
        activities::CALLS,
        async_activities::CALLS,
        schedules::CALLS,
        updates::CALLS,
        workflows::CALLS,
    ];
    let tested: BTreeSet<_> = lists.concat().into_iter().collect();
    assert_eq!(tested, OPERATIONS.iter().copied().collect());
}
