use super::{TimeoutFuture, TimeoutLayer};
use std::task::{Context, Poll};
use tower_service::Service;
use tower_temporal_core::{BoxError, Operation, Request};

/// The service of [`TimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S> {
    inner: S,
    layer: TimeoutLayer,
}

impl<S> Timeout<S> {
    pub(super) const fn new(inner: S, layer: TimeoutLayer) -> Self {
        Self { inner, layer }
    }
}

impl<O, S> Service<Request<O>> for Timeout<S>
where
    O: Operation,
    S: Service<Request<O>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TimeoutFuture<O, S>;

    /// Ready at once: the deadline is the request's, so it is only kept for what is inside if that is waited for with the
    /// request in hand.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<O>) -> Self::Future {
        let limit = self.layer.limit::<O>(&request);
        if let Some(limit) = limit {
            O::limit_timeout(&mut request, limit);
        }
        TimeoutFuture::new(self.inner.clone(), request, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::pending,
        time::{Duration, SystemTime},
    };
    use tokio::time::Instant;
    use tonic::{Code, Status};
    use tower_layer::Layer;
    use tower_temporal_core::{
        Category, ErrorKind, Target, Terminal,
        call::Call,
        error,
        probe::{ClientProbe, ProbeError},
        scope::TaskScope,
    };
    use tower_test::mock;

    /// What this module looks at of a call.
    #[derive(Clone, Debug, Default)]
    struct Input {
        deadline: Option<SystemTime>,
        is_long_poll: bool,
        /// How long the request may take.
        limit: Option<Duration>,
    }

    #[derive(Debug)]
    struct Timed;

    impl Operation for Timed {
        type Input = Input;
        type Output = Option<Duration>;
        type Error = ProbeError;
        type Context = ();
        type Scope = TaskScope;

        const NAME: &'static str = "timed";
        const CATEGORY: Category = Category::ActivityInbound;

        fn target<'a>(_: &'a Input, (): &'a ()) -> Target<'a> {
            Target::new()
        }

        fn deadline(input: &Input) -> Option<SystemTime> {
            input.deadline
        }

        fn limit_timeout(input: &mut Input, timeout: Duration) {
            input.limit = Some(timeout);
        }

        fn is_long_poll(input: &Input) -> bool {
            input.is_long_poll
        }

        fn error(error: BoxError) -> ProbeError {
            ProbeError::Middleware(error)
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// How long a call may take that does not end by itself.
    async fn time_of(layer: TimeoutLayer, input: Input) -> Duration {
        let start = Instant::now();
        let call =
            Call::<Timed, _, _>::new(layer.layer(Terminal), input, (), |_| Box::pin(pending()));
        let Err(ProbeError::Middleware(error)) = call.await else {
            panic!("the call should have timed out")
        };
        assert_eq!(error::kind(&error), ErrorKind::DeadlineExceeded);
        start.elapsed()
    }

    /// What the server is told of a call's limit.
    async fn told(layer: TimeoutLayer, input: Input) -> Option<Duration> {
        let call = Call::<Timed, _, _>::new(layer.layer(Terminal), input, (), |input: Input| {
            std::future::ready(Ok(input.limit))
        });
        call.await.unwrap()
    }

    fn due_in(left: Duration) -> Input {
        Input {
            deadline: Some(SystemTime::now() + left),
            ..Input::default()
        }
    }

    /// The system's clock goes on while tokio's is paused.
    #[track_caller]
    fn assert_about(actual: Duration, expected: Duration) {
        let low = expected.saturating_sub(SECOND / 4);
        assert!(
            (low..=expected + SECOND / 100).contains(&actual),
            "{actual:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_ended_and_the_server_is_told() {
        let layer = TimeoutLayer::new(SECOND);
        assert_about(time_of(layer, Input::default()).await, SECOND);
        assert_eq!(told(layer, Input::default()).await, Some(SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_activity_ends_before_its_own_deadline() {
        let layer = TimeoutLayer::deadline().margin(2 * SECOND);
        assert_about(time_of(layer, due_in(10 * SECOND)).await, 8 * SECOND);
        let half = time_of(layer, due_in(2 * SECOND)).await;
        assert_about(half, SECOND);
        let layer = TimeoutLayer::new(5 * SECOND);
        assert_about(time_of(layer, due_in(10 * SECOND)).await, 5 * SECOND);
        assert_about(time_of(layer, due_in(3 * SECOND)).await, 5 * SECOND / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_what_is_inside_takes_of_the_time() {
        let layer = TimeoutLayer::new(SECOND);
        let (mut service, mut handle) =
            mock::spawn_with(|inner: mock::Mock<Request<Timed>, Option<Duration>>| {
                layer.layer(inner)
            });
        handle.allow(0);
        tokio_test::assert_ready_ok!(service.poll_ready());
        let start = Instant::now();
        let answer = service.call(Request::new(due_in(10 * SECOND), ()));
        let error = answer.await.expect_err("what is inside is never ready");
        assert_eq!(error::kind(&error), ErrorKind::DeadlineExceeded);
        assert_about(start.elapsed(), SECOND);

        // What gets ready in time is called.
        tokio_test::assert_ready_ok!(service.poll_ready());
        let answer = tokio::spawn(service.call(Request::new(Input::default(), ())));
        tokio::time::advance(SECOND / 2).await;
        handle.allow(1);
        let (request, send) = handle.next_request().await.unwrap();
        assert_eq!(request.limit, Some(SECOND));
        send.send_response(None);
        assert_eq!(answer.await.unwrap().unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_channel_calls_cancelled_when_the_time_is_over_is_the_timeout() {
        let cancelled = || Status::cancelled("Timeout expired");
        let not_found = || Status::not_found("no such workflow");
        let late = |status: fn() -> Status, after| async move {
            let stack = TimeoutLayer::new(SECOND).layer(Terminal);
            let call = Call::<Timed, _, _>::new(stack, Input::default(), (), move |_| {
                Box::pin(async move {
                    tokio::time::sleep(after).await;
                    Err(ProbeError::Middleware(status().into()))
                })
            });
            Timed::kind(&call.await.unwrap_err())
        };
        assert_eq!(late(cancelled, SECOND).await, ErrorKind::DeadlineExceeded);
        // Somebody has cancelled the call before.
        let early = late(cancelled, SECOND / 2).await;
        assert_eq!(early, ErrorKind::Status(Code::Cancelled));
        // An answer that has just come is one.
        let answer = late(not_found, SECOND).await;
        assert_eq!(answer, ErrorKind::Status(Code::NotFound));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_ends_the_call_at_once() {
        let input = Input {
            deadline: Some(SystemTime::UNIX_EPOCH),
            ..Input::default()
        };
        assert_about(
            time_of(TimeoutLayer::deadline(), input).await,
            Duration::ZERO,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_poll_has_a_limit_of_its_own() {
        let input = Input {
            is_long_poll: true,
            ..Input::default()
        };
        let layer = TimeoutLayer::new(SECOND);
        assert_eq!(told(layer, input.clone()).await, None);
        let layer = layer.long_polls(60 * SECOND);
        assert_about(time_of(layer, input).await, 60 * SECOND);
    }

    #[tokio::test]
    async fn a_call_that_leaves_its_task_no_budget_is_ended_too() {
        let stack = TimeoutLayer::new(SECOND / 20).layer(Terminal);
        let call = Call::<Timed, _, _>::new(stack, Input::default(), (), |_| {
            Box::pin(async {
                loop {
                    tokio::task::coop::consume_budget().await;
                }
            })
        });
        let call = tokio::time::timeout(20 * SECOND, call);
        let error = call.await.expect("the call is ended").unwrap_err();
        assert_eq!(Timed::kind(&error), ErrorKind::DeadlineExceeded);
    }

    #[test]
    fn a_call_that_does_not_wait_needs_no_timer() {
        for layer in [TimeoutLayer::deadline(), TimeoutLayer::new(SECOND)] {
            let stack = layer.layer(Terminal);
            let call =
                Call::<ClientProbe, _, _>::new(stack, 1.into(), (), |_| std::future::ready(Ok(2)));
            // Outside a runtime, where a timer would panic.
            assert_eq!(call.now().unwrap(), 2);
        }
    }
}
