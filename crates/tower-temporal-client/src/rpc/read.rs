use super::{
    status::status,
    unary::{Ended, Unary},
};
use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::Status;
use tower_temporal_core::BoxError;

pin_project! {
    /// A call, and then its response, read to the end.
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct Read<F, B> {
        #[pin]
        step: Step<F, B>,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<F, B> {
        Calling { #[pin] future: F },
        Reading { #[pin] unary: Unary<B> },
    }
}

impl<F, B> Read<F, B> {
    pub(super) const fn new(future: F) -> Self {
        Self {
            step: Step::Calling { future },
        }
    }
}

impl<F, B, E> Future for Read<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Ended, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            match step.as_mut().project() {
                StepProj::Calling { future } => {
                    let response = ready!(future.poll(cx)).map_err(|error| status(error.into()))?;
                    let unary = Unary::new(response);
                    step.set(Step::Reading { unary });
                }
                StepProj::Reading { unary } => return unary.poll(cx),
            }
        }
    }
}
