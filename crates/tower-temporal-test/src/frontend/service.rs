use super::{ActivityOutcome, BoxFuture, Frontend, Shared, activity::Name};
use http::{Request, Response};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Code, Status};
use tower_service::Service;
use tower_temporal_client::rpc::{
    self, Body, Rpc, Typed,
    workflow_service::{
        PollActivityTaskQueue, PollNexusTaskQueue, PollWorkflowTaskQueue,
        RespondActivityTaskCanceled, RespondActivityTaskCanceledById, RespondActivityTaskCompleted,
        RespondActivityTaskCompletedById, RespondActivityTaskFailed, RespondActivityTaskFailedById,
    },
};
use tower_temporal_core::BoxError;

impl Service<Request<Body>> for Frontend {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = FrontendFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> FrontendFuture {
        self.shared.records.add(&request);
        let script = self
            .shared
            .scripts
            .lock()
            .get(request.uri().path())
            .cloned();
        let Some(script) = script else {
            return self.shared.answer(request);
        };
        let shared = self.shared.clone();
        // A script that accepts a report of an activity has heard it.
        let report = Report::of(&request);
        let answer = script(Usual(shared.clone()), request);
        FrontendFuture::waiting(Box::pin(async move {
            let result = Ok(answer.await?);
            if let (Some(Ok(report)), Code::Ok) = (report, rpc::code(&result)) {
                shared.activities.finish(&report.name, report.outcome);
            }
            result
        }))
    }
}

/// A frontend without its scripts: what a script may leave the answer to.
#[derive(Clone)]
pub(super) struct Usual(Arc<Shared>);

impl Service<Request<Body>> for Usual {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = FrontendFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> FrontendFuture {
        self.0.answer(request)
    }
}

/// The answer that a call of the method `R` would have without a script: see [`Frontend::intercept`].
pub struct Next<R> {
    usual: Typed<R, Usual>,
}

impl<R: Rpc> Next<R> {
    pub(super) const fn new(usual: Usual) -> Self {
        Self {
            usual: Typed::new(usual),
        }
    }

    /// Answers `request` as the frontend does without a script: a poll with the next task; a report by telling whoever waits in
    /// [`Frontend::run_activity`]; anything else with an empty message.
    ///
    /// # Errors
    ///
    /// If the request can't be decoded.
    pub async fn run(
        mut self,
        request: tonic::Request<R::Input>,
    ) -> Result<tonic::Response<R::Output>, Status> {
        // It is always ready.
        self.usual.call(request).await
    }
}

impl<R: Rpc> fmt::Debug for Next<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("method", &R::PATH)
            .finish_non_exhaustive()
    }
}

/// What a worker or client reports of an activity.
struct Report {
    name: Name,
    outcome: ActivityOutcome,
}

impl Report {
    /// The report that a call is, if it is one.
    fn of(request: &Request<Body>) -> Option<Result<Self, Status>> {
        macro_rules! reports {
            ($($by_token:ident, $by_id:ident: |$message:ident| $outcome:expr;)*) => {
                match request.uri().path() {
                    $(
                        $by_token::PATH => Self::read::<$by_token>(request, |$message| {
                            let outcome = $outcome;
                            let name = Name::Token($message.task_token);
                            Self { name, outcome }
                        }),
                        $by_id::PATH => Self::read::<$by_id>(request, |$message| {
                            let outcome = $outcome;
                            let name = Name::Ids {
                                workflow_id: $message.workflow_id,
                                run_id: $message.run_id,
                                activity_id: $message.activity_id,
                            };
                            Self { name, outcome }
                        }),
                    )*
                    _ => return None,
                }
            };
        }
        Some(reports! {
            RespondActivityTaskCompleted, RespondActivityTaskCompletedById:
                |message| ActivityOutcome::Completed(message.result);
            RespondActivityTaskFailed, RespondActivityTaskFailedById:
                |message| ActivityOutcome::Failed(message.failure.map(Box::new));
            RespondActivityTaskCanceled, RespondActivityTaskCanceledById:
                |message| ActivityOutcome::Cancelled(message.details);
        })
    }

    fn read<R: Rpc>(
        request: &Request<Body>,
        report: impl FnOnce(R::Input) -> Self,
    ) -> Result<Self, Status> {
        let request = Request::new(request.body().clone());
        Ok(report(rpc::decode_request::<R>(request)?.into_inner()))
    }
}

impl Shared {
    /// The answer to a call there is no script for.
    fn answer(self: &Arc<Self>, request: Request<Body>) -> FrontendFuture {
        match request.uri().path() {
            PollActivityTaskQueue::PATH => self.poll(request),
            PollWorkflowTaskQueue::PATH | PollNexusTaskQueue::PATH => {
                FrontendFuture::waiting(Box::pin(std::future::pending()))
            }
            _ => FrontendFuture::ready(match Report::of(&request) {
                Some(Ok(report)) => {
                    self.activities.finish(&report.name, report.outcome);
                    empty()
                }
                Some(Err(status)) => status.into_http(),
                None => empty(),
            }),
        }
    }

    fn poll(&self, request: Request<Body>) -> FrontendFuture {
        let message = match rpc::decode_request::<PollActivityTaskQueue>(request) {
            Ok(request) => request.into_inner(),
            Err(status) => return FrontendFuture::ready(status.into_http()),
        };
        let queue = self
            .activities
            .queue(&message.task_queue.unwrap_or_default().name);
        FrontendFuture::waiting(Box::pin(async move {
            Ok(rpc::encode_response(Ok(tonic::Response::new(
                queue.next().await,
            ))))
        }))
    }
}

/// Of every method, the answer in which nothing is set.
fn empty() -> Response<Body> {
    rpc::encode_response(Ok::<_, Status>(tonic::Response::new(())))
}

/// The future of [`Frontend`].
#[must_use = "futures do nothing unless polled"]
pub struct FrontendFuture(Answer);

#[allow(
    clippy::large_enum_variant,
    reason = "most answers are ready: a box would cost each of them an allocation"
)]
enum Answer {
    Ready(Option<Response<Body>>),
    Waiting(BoxFuture<Result<Response<Body>, BoxError>>),
}

impl FrontendFuture {
    fn ready(response: Response<Body>) -> Self {
        Self(Answer::Ready(Some(response)))
    }

    fn waiting(answer: BoxFuture<Result<Response<Body>, BoxError>>) -> Self {
        Self(Answer::Waiting(answer))
    }
}

impl Future for FrontendFuture {
    type Output = Result<Response<Body>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Ready(response) => Poll::Ready(Ok(response
                .take()
                .expect("a future is not polled when it is done"))),
            Answer::Waiting(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for FrontendFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendFuture").finish_non_exhaustive()
    }
}
