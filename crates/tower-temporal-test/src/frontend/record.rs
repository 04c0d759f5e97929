use super::lock;
use http::{HeaderMap, Request};
use std::{pin::pin, sync::Mutex};
use tokio::sync::Notify;
use tower_temporal_client::rpc::{self, Body, Rpc};

/// What a frontend was sent, in order.
pub(super) struct Records {
    /// Nothing, where nothing is to be kept.
    requests: Option<Mutex<Vec<Record>>>,
    added: Notify,
}

/// A request's parts that are worth keeping. They share the request's memory.
struct Record {
    uri: http::Uri,
    headers: HeaderMap,
    body: Body,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            requests: Some(Mutex::default()),
            added: Notify::new(),
        }
    }
}

impl Records {
    pub(super) fn disabled() -> Self {
        Self {
            requests: None,
            added: Notify::new(),
        }
    }

    pub(super) fn add(&self, request: &Request<Body>) {
        let Some(requests) = &self.requests else {
            return;
        };
        lock(requests).push(Record {
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: request.body().clone(),
        });
        self.added.notify_waiters();
    }

    pub(super) fn of<R: Rpc>(&self) -> Vec<tonic::Request<R::Input>> {
        let requests = self
            .requests
            .as_ref()
            .expect("the frontend was made to keep no records");
        let of_method = lock(requests)
            .iter()
            .filter(|record| record.uri.path() == R::PATH)
            .map(|record| {
                let mut request = Request::new(record.body.clone());
                *request.headers_mut() = record.headers.clone();
                request
            })
            .collect::<Vec<_>>();
        of_method
            .into_iter()
            .map(|request| match rpc::decode_request::<R>(request) {
                Ok(request) => request,
                Err(status) => panic!("{}", status.message()),
            })
            .collect()
    }

    pub(super) async fn wait_for<R: Rpc>(&self, count: usize) -> Vec<tonic::Request<R::Input>> {
        loop {
            let mut added = pin!(self.added.notified());
            added.as_mut().enable();
            let requests = self.of::<R>();
            if requests.len() >= count {
                return requests;
            }
            added.await;
        }
    }
}
