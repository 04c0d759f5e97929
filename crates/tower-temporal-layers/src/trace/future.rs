use super::{MakeSpan, OnFailure, OnResponse};
use crate::{CallInfo, Failure, Outcome};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tower_temporal_core::{Operation, OwnedTarget, Request, Scope};
use tracing::{Span, level_filters::LevelFilter};

pin_project! {
    /// The future of [`Trace`](super::Trace).
    #[must_use = "futures do nothing unless polled"]
    pub struct TraceFuture<O, Fut, M, R, F>
    where
        O: Operation,
    {
        // It is there until it is dropped.
        #[pin]
        inner: Option<Fut>,
        span: Span,
        report: Option<Report<O, M, R, F>>,
    }

    impl<O, Fut, M, R, F> PinnedDrop for TraceFuture<O, Fut, M, R, F>
    where
        O: Operation,
    {
        /// What a call that is given up leaves to be done is done, and logged, in its span.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.span.enter();
            this.inner.set(None);
        }
    }
}

/// What is to be told of the end of a call.
struct Report<O: Operation, M, R, F> {
    began: Began<O, M>,
    on_response: R,
    on_failure: F,
}

/// How a call began.
enum Began<O: Operation, M> {
    /// In the span that it has.
    Live { start: Instant },
    /// In a replay, and so without a span.
    InReplay(Resumed<O, M>),
}

/// What makes the span of a call that began in a replay and ends after it.
pub(super) struct Resumed<O: Operation, M> {
    context: O::Context,
    make_span: M,
    /// What the call is aimed at, and what makes it.
    targets: Option<Box<[OwnedTarget; 2]>>,
}

impl<O: Operation, M> Resumed<O, M> {
    pub(super) fn new(request: &Request<O>, make_span: M) -> Self {
        let context = request.context();
        // Without a subscriber there will be no span to name it in.
        let is_heard = LevelFilter::current() != LevelFilter::OFF;
        Self {
            context: context.clone(),
            make_span,
            targets: is_heard
                .then(|| Box::new([request.target().into(), O::Scope::caller(context).into()])),
        }
    }
}

impl<O: Operation, Fut, M, R, F> TraceFuture<O, Fut, M, R, F> {
    pub(super) const fn live(
        inner: Fut,
        span: Span,
        start: Instant,
        on_response: R,
        on_failure: F,
    ) -> Self {
        Self {
            inner: Some(inner),
            span,
            report: Some(Report {
                began: Began::Live { start },
                on_response,
                on_failure,
            }),
        }
    }

    pub(super) const fn in_replay(
        inner: Fut,
        resumed: Resumed<O, M>,
        on_response: R,
        on_failure: F,
    ) -> Self {
        Self {
            inner: Some(inner),
            span: Span::none(),
            report: Some(Report {
                began: Began::InReplay(resumed),
                on_response,
                on_failure,
            }),
        }
    }

    pub(super) const fn untraced(inner: Fut) -> Self {
        Self {
            inner: Some(inner),
            span: Span::none(),
            report: None,
        }
    }
}

impl<O: Operation, M: MakeSpan> Began<O, M> {
    /// The latency, if it is known. The span is made here if there is none yet. None if there is nothing to tell.
    fn end(self, span: &mut Span) -> Option<Option<Duration>> {
        match self {
            Self::Live { start } => Some(Some(start.elapsed())),
            Self::InReplay(mut resumed) => {
                if !O::Scope::is_live(&resumed.context) {
                    return None;
                }
                let targets = resumed.targets.unwrap_or_default();
                let [target, caller] = targets.each_ref().map(OwnedTarget::as_target);
                let call = CallInfo::resumed::<O>(target, caller);
                *span = resumed.make_span.make_span(&call);
                Some(None)
            }
        }
    }
}

impl<O, Fut, M, R, F, T, E> Future for TraceFuture<O, Fut, M, R, F>
where
    O: Operation,
    Fut: Future<Output = Result<T, E>>,
    E: 'static,
    M: MakeSpan,
    R: OnResponse,
    F: OnFailure,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("it is not dropped yet");
        let result = ready!(this.span.in_scope(|| inner.poll(cx)));
        if let Some(report) = this.report.take()
            && let Some(latency) = report.began.end(this.span)
        {
            let span = &*this.span;
            span.in_scope(|| match (Outcome::of::<O, T, E>(&result), &result) {
                (Outcome::Failed(_), Err(error)) => {
                    let failure = Failure::new::<O, E>(error);
                    report.on_failure.on_failure(&failure, latency, span);
                }
                (outcome, _) => report.on_response.on_response(outcome, latency, span),
            });
        }
        Poll::Ready(result)
    }
}

impl<O: Operation, Fut, M, R, F> fmt::Debug for TraceFuture<O, Fut, M, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}
