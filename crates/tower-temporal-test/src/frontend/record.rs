use http::{HeaderMap, Request};
use parking_lot::Mutex;
use std::{collections::HashMap, pin::pin};
use tokio::sync::Notify;
use tower_temporal_client::rpc::{self, Body, Rpc};

/// What a frontend was sent: the calls of each method in order, by its path.
pub(super) struct Records {
    /// Nothing, where nothing is to be kept.
    requests: Option<Mutex<HashMap<String, Vec<Record>>>>,
    added: Notify,
}

/// A request's parts that are worth keeping. They share the request's memory.
#[derive(Clone)]
struct Record {
    headers: HeaderMap,
    body: Body,
}

impl Record {
    fn decode<R: Rpc>(self) -> tonic::Request<R::Input> {
        let mut request = Request::new(self.body);
        *request.headers_mut() = self.headers;
        match rpc::decode_request::<R>(request) {
            Ok(request) => request,
            Err(status) => panic!("{}", status.message()),
        }
    }
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
        let record = Record {
            headers: request.headers().clone(),
            body: request.body().clone(),
        };
        let path = request.uri().path();
        let mut requests = requests.lock();
        match requests.get_mut(path) {
            Some(of_method) => of_method.push(record),
            None => {
                requests.insert(path.to_owned(), vec![record]);
            }
        }
        drop(requests);
        self.added.notify_waiters();
    }

    fn requests(&self) -> &Mutex<HashMap<String, Vec<Record>>> {
        self.requests
            .as_ref()
            .expect("the frontend was made to keep no records")
    }

    pub(super) fn of<R: Rpc>(&self) -> Vec<tonic::Request<R::Input>> {
        let of_method = self
            .requests()
            .lock()
            .get(R::PATH)
            .cloned()
            .unwrap_or_default();
        of_method.into_iter().map(Record::decode::<R>).collect()
    }

    pub(super) fn take<R: Rpc>(&self) -> Vec<tonic::Request<R::Input>> {
        let of_method = self.requests().lock().remove(R::PATH).unwrap_or_default();
        of_method.into_iter().map(Record::decode::<R>).collect()
    }

    pub(super) async fn wait_for<R: Rpc>(&self, count: usize) -> Vec<tonic::Request<R::Input>> {
        loop {
            let mut added = pin!(self.added.notified());
            added.as_mut().enable();
            let there = self.requests().lock().get(R::PATH).map_or(0, Vec::len);
            if there >= count {
                return self.of::<R>();
            }
            added.await;
        }
    }
}
