use super::{ActivityOutcome, BoxFuture, Frontend, Shared, lock};
use http::{Request, Response};
use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::Status;
use tower_service::Service;
use tower_temporal_client::rpc::{
    self, Body, Rpc,
    workflow_service::{
        PollActivityTaskQueue, PollNexusTaskQueue, PollWorkflowTaskQueue,
        RespondActivityTaskCanceled, RespondActivityTaskCompleted, RespondActivityTaskFailed,
    },
};

impl Service<Request<Body>> for Frontend {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = FrontendFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> FrontendFuture {
        self.shared.records.add(&request);
        let script = lock(&self.shared.scripts)
            .get(request.uri().path())
            .cloned();
        match script {
            Some(script) => FrontendFuture::waiting(script(request)),
            None => self.shared.answer(request),
        }
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
            RespondActivityTaskCompleted::PATH => {
                self.finish::<RespondActivityTaskCompleted>(request, |message| {
                    (
                        message.task_token,
                        ActivityOutcome::Completed(message.result),
                    )
                })
            }
            RespondActivityTaskFailed::PATH => {
                self.finish::<RespondActivityTaskFailed>(request, |message| {
                    (
                        message.task_token,
                        ActivityOutcome::Failed(message.failure.map(Box::new)),
                    )
                })
            }
            RespondActivityTaskCanceled::PATH => {
                self.finish::<RespondActivityTaskCanceled>(request, |message| {
                    (
                        message.task_token,
                        ActivityOutcome::Cancelled(message.details),
                    )
                })
            }
            _ => FrontendFuture::ready(empty()),
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
            rpc::encode_response(Ok(tonic::Response::new(queue.next().await)))
        }))
    }

    fn finish<R: Rpc>(
        &self,
        request: Request<Body>,
        outcome: impl FnOnce(R::Input) -> (Vec<u8>, ActivityOutcome),
    ) -> FrontendFuture {
        match rpc::decode_request::<R>(request) {
            Ok(request) => {
                let (token, outcome) = outcome(request.into_inner());
                self.activities.finish(&token, outcome);
                FrontendFuture::ready(empty())
            }
            Err(status) => FrontendFuture::ready(status.into_http()),
        }
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
    Waiting(BoxFuture<Response<Body>>),
}

impl FrontendFuture {
    fn ready(response: Response<Body>) -> Self {
        Self(Answer::Ready(Some(response)))
    }

    fn waiting(answer: BoxFuture<Response<Body>>) -> Self {
        Self(Answer::Waiting(answer))
    }
}

impl Future for FrontendFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Ready(response) => Poll::Ready(Ok(response
                .take()
                .expect("a future is not polled when it is done"))),
            Answer::Waiting(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

impl fmt::Debug for FrontendFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendFuture").finish_non_exhaustive()
    }
}
