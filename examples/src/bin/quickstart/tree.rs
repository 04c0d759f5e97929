//! A layer for every operation of every category, which prints each call as it happens.

use super::UserId;
use pin_project_lite::pin_project;
use std::{
    collections::BTreeSet,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal::{Category, ContextKey, Operation, ReplaySafe, Request, Scope, error};

/// What an order that went well has called, at the least.
const EXPECTED: &[&str] = &[
    "start_workflow",
    "signal_workflow",
    "query_workflow",
    "start_workflow_update",
    "initialize_workflow",
    "execute",
    "handle_signal",
    "handle_query",
    "handle_update",
    "validate_update",
    "schedule_activity",
    "schedule_local_activity",
    "start_child_workflow",
    "signal_child_workflow",
    "start_timer",
    "continue_as_new",
    "execute_activity",
    "heartbeat",
];

/// Prints every call, and remembers whether it carried the user id.
#[derive(Clone, Default)]
pub(crate) struct TreeLayer {
    log: Arc<Mutex<Log>>,
}

impl TreeLayer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What was seen so far.
    pub(crate) fn summary(&self) -> Summary {
        let mut log = self.log.lock().unwrap();
        log.flush();
        log.summary.clone()
    }
}

/// It prints, and does so only for what is not a replay; no call depends on it.
impl ReplaySafe for TreeLayer {}

impl<S> Layer<S> for TreeLayer {
    type Service = Tree<S>;

    fn layer(&self, inner: S) -> Tree<S> {
        Tree {
            inner,
            log: self.log.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Tree<S> {
    inner: S,
    log: Arc<Mutex<Log>>,
}

impl<S, O> Service<Request<O>> for Tree<S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TreeFuture<O, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        // `initialize_workflow` can't tell a replay, so `is_live` would leave it out. Here nothing is replayed so far.
        let is_replaying = O::Scope::is_replaying(request.context());
        let call = (!is_replaying).then(|| self.log.lock().unwrap().enter(&request));
        TreeFuture {
            inner: self.inner.call(request),
            operation: PhantomData,
            call: call.map(|id| (id, Instant::now(), self.log.clone())),
        }
    }
}

pin_project! {
    pub(crate) struct TreeFuture<O, F> {
        #[pin]
        inner: F,
        operation: PhantomData<fn() -> O>,
        call: Option<(usize, Instant, Arc<Mutex<Log>>)>,
    }
}

impl<O, F, T, E> Future for TreeFuture<O, F>
where
    O: Operation,
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        if let Some((id, start, log)) = this.call.take() {
            // A workflow that continues as new comes back as an `Err`, and has not failed.
            let failed = result.as_ref().is_err_and(error::is_failure::<O, E>);
            log.lock().unwrap().leave(id, start.elapsed(), failed);
        }
        Poll::Ready(result)
    }
}

/// The calls that are running, and what is to be said of all of them.
#[derive(Default)]
pub(crate) struct Log {
    lines: Vec<String>,
    /// A call whose line is not printed yet: if it ends before anything else happens, one line says it all.
    latest: Option<usize>,
    summary: Summary,
}

impl Log {
    fn enter<O: Operation>(&mut self, request: &Request<O>) -> usize {
        let user = user_id(request);
        self.summary.add::<O>(request, user.is_some());
        self.flush();
        let indent = match O::CATEGORY {
            Category::ClientOutbound | Category::Rpc => 0,
            Category::WorkflowInbound => 1,
            Category::WorkflowOutbound => 2,
            Category::ActivityInbound => 3,
            Category::ActivityOutbound => 4,
        };
        let user = match user {
            Some(user) => format!("user_id={user}"),
            None if request.headers().are_carried() => "user_id LOST".to_owned(),
            None => "no headers".to_owned(),
        };
        self.lines.push(format!(
            "{:indent$}{:<17} {} {} ({user})",
            "",
            O::CATEGORY.as_str(),
            O::NAME,
            request.target(),
            indent = indent * 3,
        ));
        let id = self.lines.len() - 1;
        self.latest = Some(id);
        id
    }

    fn leave(&mut self, id: usize, after: Duration, failed: bool) {
        let outcome = if failed { ", failed" } else { "" };
        if self.latest == Some(id) {
            self.latest = None;
            println!("{}  {after:.1?}{outcome}", self.lines[id]);
        } else {
            self.flush();
            println!("{}  … {after:.1?}{outcome}", self.lines[id]);
        }
    }

    fn flush(&mut self) {
        if let Some(id) = self.latest.take() {
            println!("{}  …", self.lines[id]);
        }
    }
}

fn user_id<O: Operation>(request: &Request<O>) -> Option<String> {
    let headers = request.headers();
    headers
        .get_str(UserId::HEADER)
        .map(str::to_owned)
        .or_else(|| {
            let payload = headers.get(UserId::HEADER)?;
            Some(
                String::from_utf8_lossy(&payload.data)
                    .trim_matches('"')
                    .to_owned(),
            )
        })
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    calls: usize,
    with_headers: usize,
    with_user: usize,
    categories: BTreeSet<Category>,
    operations: BTreeSet<&'static str>,
}

impl Summary {
    fn add<O: Operation>(&mut self, request: &Request<O>, has_user: bool) {
        self.calls += 1;
        self.with_headers += usize::from(request.headers().are_carried());
        self.with_user += usize::from(has_user);
        self.categories.insert(O::CATEGORY);
        self.operations.insert(O::NAME);
    }

    fn missing(&self) -> Vec<&'static str> {
        EXPECTED
            .iter()
            .copied()
            .filter(|name| !self.operations.contains(name))
            .collect()
    }

    /// Whether everything was called, and nothing lost the user id.
    pub(crate) fn is_complete(&self) -> bool {
        self.with_user == self.with_headers && self.missing().is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            calls,
            with_headers,
            with_user,
            categories,
            ..
        } = self;
        let categories = categories.len();
        write!(f, "{calls} calls intercepted in {categories} categories, ")?;
        if with_user == with_headers {
            write!(
                f,
                "user_id seen in all of the {with_headers} that carry headers"
            )?;
        } else {
            write!(
                f,
                "user_id LOST in {} of the {with_headers} that carry headers",
                with_headers - with_user
            )?;
        }
        match self.missing().as_slice() {
            [] => Ok(()),
            missing => write!(f, "; never called: {}", missing.join(", ")),
        }
    }
}
