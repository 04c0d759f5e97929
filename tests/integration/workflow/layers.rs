//! Two layers that serve every workflow operation: one that records, and one that does what a test asks for.

use futures::future::{LocalBoxFuture, pending, ready};
use std::{
    mem,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use temporalio_sdk::{
    TimerOptions, WorkflowCancellationToken, WorkflowContextView,
    workflow_interceptors::{SyncWorkflowInterceptorContext, WorkflowInterceptorContext},
};
use tokio::sync::Notify;
use tower::{Layer, Service};
use tower_temporal::{BoxError, Category, Denied, Operation, ReplaySafe, Request, Scope, Target};

/// The summary of the timers that [`Plan::Delay`] waits for; they are not delayed themselves.
const PAUSE: &str = "pause";

/// What surrounds a workflow operation, whichever of the SDK's three contexts it is.
pub(super) trait Place {
    /// The workflow's type, id and run id.
    fn place(&self) -> [String; 3];

    /// A workflow timer, where the context has one. Cancelling the workflow does not end it.
    fn pause(&self, _: Duration) -> LocalBoxFuture<'static, ()> {
        panic!("this operation is synchronous")
    }
}

macro_rules! place {
    () => {
        fn place(&self) -> [String; 3] {
            [self.workflow_type(), self.workflow_id(), self.run_id()].map(str::to_owned)
        }
    };
}

impl Place for WorkflowContextView {
    place!();
}

impl Place for SyncWorkflowInterceptorContext {
    place!();
}

impl Place for WorkflowInterceptorContext {
    place!();

    fn pause(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        let timer = self.timer(
            TimerOptions::builder(duration)
                .summary(PAUSE.to_owned())
                .cancellation_token(WorkflowCancellationToken::new())
                .build(),
        );
        Box::pin(async move {
            timer.await;
        })
    }
}

/// How a test changes an operation. A stack of [`meddle`] serves only operations that have this: an operation that is new
/// to the table does not compile until it is tested.
pub(super) trait Case: Operation<Context: Place> {
    /// Changes the input to one that is told apart at the other side.
    fn change_input(input: &mut Self::Input);

    /// Changes the output, where the SDK's type allows it.
    fn change_output(output: Self::Output) -> Self::Output {
        output
    }
}

/// When a call passed a recording layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
    Failed,
}

/// One passage of a call through a recording layer.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) layer: &'static str,
    pub(super) way: Way,
    pub(super) operation: &'static str,
    pub(super) category: Category,
    pub(super) target: String,
    /// The workflow's type, id and run id, from the context.
    pub(super) place: [String; 3],
}

/// What recording layers have seen, replay left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    seen: Arc<Mutex<Vec<Seen>>>,
    news: Arc<Notify>,
}

impl Log {
    pub(super) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Calls of `operation` that have passed `layer` on their way in.
    pub(super) fn calls(&self, layer: &str, operation: &str) -> Vec<Seen> {
        let mut seen = self.all();
        seen.retain(|seen| {
            seen.layer == layer && seen.operation == operation && seen.way == Way::In
        });
        seen
    }

    /// Waits until `number` calls of `operation` have passed `layer` on their way in.
    pub(super) async fn reached(&self, layer: &str, operation: &str, number: usize) {
        loop {
            let news = self.news.notified();
            if self.calls(layer, operation).len() >= number {
                return;
            }
            news.await;
        }
    }

    fn write(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
        self.news.notify_waiters();
    }

    /// The layers that calls of `operation` passed, in order.
    pub(super) fn way(&self, operation: &str) -> Vec<(&'static str, Way)> {
        let mut seen = self.all();
        seen.retain(|seen| seen.operation == operation);
        seen.iter().map(|seen| (seen.layer, seen.way)).collect()
    }
}

/// What is set of a target, in one line: `name=poke workflow_id=order-1`.
fn describe(target: &Target<'_>) -> String {
    [
        ("workflow_type", target.workflow_type),
        ("workflow_id", target.workflow_id),
        ("run_id", target.run_id),
        ("activity_type", target.activity_type),
        ("activity_id", target.activity_id),
        ("name", target.name),
        ("endpoint", target.endpoint),
        ("task_queue", target.task_queue),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
    .collect::<Vec<_>>()
    .join(" ")
}

/// Records every call that passes, under `name`.
pub(super) fn record(name: &'static str, log: &Log) -> RecordLayer {
    RecordLayer {
        name,
        log: log.clone(),
    }
}

#[derive(Clone)]
pub(super) struct RecordLayer {
    name: &'static str,
    log: Log,
}

impl ReplaySafe for RecordLayer {}

impl<S> Layer<S> for RecordLayer {
    type Service = Record<S>;

    fn layer(&self, inner: S) -> Record<S> {
        Record {
            layer: self.clone(),
            inner,
        }
    }
}

#[derive(Clone)]
pub(super) struct Record<S> {
    layer: RecordLayer,
    inner: S,
}

impl<O, S> Service<Request<O>> for Record<S>
where
    O: Operation<Context: Place>,
    S: Service<Request<O>, Future: 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LocalBoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let is_replaying = O::Scope::is_replaying(request.context());
        let mut seen = Seen {
            layer: self.layer.name,
            way: Way::In,
            operation: O::NAME,
            category: O::CATEGORY,
            target: describe(&request.target()),
            place: request.context().place(),
        };
        let log = self.layer.log.clone();
        let mut write = move |way| {
            seen.way = way;
            if !is_replaying {
                log.write(seen.clone());
            }
        };
        write(Way::In);
        let call = self.inner.call(request);
        Box::pin(async move {
            let result = call.await;
            write(if result.is_ok() {
                Way::Out
            } else {
                Way::Failed
            });
            result
        })
    }
}

/// What a test wants done to one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: all calls pass.
    Watch,
    /// The operation's input is changed.
    Input(&'static str),
    /// The operation's output is changed.
    Output(&'static str),
    /// The operation is refused.
    Deny(&'static str),
    /// The operation is done, and its result is refused.
    DenyResult(&'static str),
    /// The operation never gets anywhere.
    Pending(&'static str),
    /// The operation waits for a workflow timer before it goes on.
    Delay(&'static str, Duration),
}

fn denied() -> BoxError {
    Denied::new("not today").into()
}

/// Does what `plan` says.
pub(super) fn meddle(plan: Plan) -> MeddleLayer {
    MeddleLayer(plan)
}

#[derive(Clone, Copy)]
pub(super) struct MeddleLayer(Plan);

impl ReplaySafe for MeddleLayer {}

impl<S> Layer<S> for MeddleLayer {
    type Service = Meddle<S>;

    fn layer(&self, inner: S) -> Meddle<S> {
        Meddle {
            plan: self.0,
            inner,
        }
    }
}

#[derive(Clone)]
pub(super) struct Meddle<S> {
    plan: Plan,
    inner: S,
}

impl<O, S> Service<Request<O>> for Meddle<S>
where
    O: Case,
    S: Service<Request<O>, Response = O::Output, Error: Into<BoxError>, Future: 'static>
        + Clone
        + 'static,
{
    type Response = O::Output;
    type Error = BoxError;
    type Future = LocalBoxFuture<'static, Result<O::Output, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<O>) -> Self::Future {
        match self.plan {
            Plan::Deny(name) if name == O::NAME => {
                return Box::pin(ready(Err(denied())));
            }
            Plan::Pending(name) if name == O::NAME => return Box::pin(pending()),
            Plan::Delay(name, duration)
                if name == O::NAME && request.target().name != Some(PAUSE) =>
            {
                let pause = request.context().pause(duration);
                let not_ready = self.inner.clone();
                let mut ready = mem::replace(&mut self.inner, not_ready);
                return Box::pin(async move {
                    pause.await;
                    ready.call(request).await.map_err(Into::into)
                });
            }
            Plan::Input(name) if name == O::NAME => O::change_input(&mut request),
            _ => {}
        }
        let plan = self.plan;
        let call = self.inner.call(request);
        Box::pin(async move {
            let output = call.await.map_err(Into::into)?;
            match plan {
                Plan::Output(name) if name == O::NAME => Ok(O::change_output(output)),
                Plan::DenyResult(name) if name == O::NAME => Err(denied()),
                _ => Ok(output),
            }
        })
    }
}
