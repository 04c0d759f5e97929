use super::{MakeSpan, OnFailure, OnRequest, OnResponse, TraceFuture, TraceLayer};
use crate::CallInfo;
use std::task::{Context, Poll};
use tower_service::Service;
use tower_temporal_core::{Operation, Request, Scope};

/// The service of [`TraceLayer`].
#[derive(Clone, Debug)]
pub struct Trace<S, M, Q, R, F> {
    pub(super) inner: S,
    pub(super) layer: TraceLayer<M, Q, R, F>,
}

impl<O, S, M, Q, R, F> Service<Request<O>> for Trace<S, M, Q, R, F>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: 'static,
    M: MakeSpan,
    Q: OnRequest,
    R: OnResponse + Clone,
    F: OnFailure + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TraceFuture<O, S::Future, R, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        if O::Scope::is_replaying(request.context()) {
            return TraceFuture::untraced(self.inner.call(request));
        }
        let TraceLayer {
            make_span,
            on_request,
            on_response,
            on_failure,
        } = &mut self.layer;
        let call = CallInfo::new(&request);
        let span = make_span.make_span(&call);
        span.in_scope(|| on_request.on_request(&call, &span));
        let future = span.in_scope(|| self.inner.call(request));
        TraceFuture::new(future, span, on_response.clone(), on_failure.clone())
    }
}

#[cfg(test)]
mod tests {
    use crate::{CallInfo, Outcome, trace::TraceLayer};
    use std::sync::{Arc, Mutex};
    use tower::ServiceBuilder;
    use tower_layer::Layer;
    use tower_temporal_core::{
        Denied, Next, Request, Terminal, from_fn,
        probe::{self, ClientProbe, ProbeError},
    };
    use tracing::{Span, info_span};

    /// Runs `f` with a subscriber, and gives what it wrote.
    fn written(f: impl AsyncFnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        tracing::subscriber::with_default(subscriber, || runtime.block_on(f()));
        let lines = lines.0.lock().unwrap().clone();
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_call_is_a_span_and_what_it_logs_is_inside() {
        let text = written(async || {
            let stack = TraceLayer::new().layer(Terminal);
            let call = probe::call::<ClientProbe, _, _>(stack, 1, |_| {
                tracing::info!("inside");
                Ok(0)
            });
            call.await.unwrap();
        });
        let inside = text
            .lines()
            .find(|line| line.ends_with("inside"))
            .expect(&text);
        assert!(
            inside.contains(
                r#"temporal{category="client_outbound" operation="client_probe" name="target"}"#
            ),
            "{text}"
        );
        let finished = text
            .lines()
            .find(|line| line.ends_with("finished"))
            .expect(&text);
        assert!(finished.contains(r#"outcome="ok" latency_ms="#), "{text}");
    }

    #[test]
    fn a_failure_is_an_error_and_says_its_kind() {
        let text = written(async || {
            let deny = from_fn(async |_: Request<ClientProbe>, _: Next<ClientProbe>| {
                Err::<u32, _>(Denied::new("no"))
            });
            let stack = ServiceBuilder::new()
                .layer(TraceLayer::new())
                .layer(deny)
                .service(Terminal);
            let call = probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(0));
            call.await.unwrap_err();
        });
        let failed = text
            .lines()
            .find(|line| line.contains("failed"))
            .expect(&text);
        assert!(failed.contains("ERROR"), "{text}");
        assert!(failed.contains(r#"outcome="PermissionDenied""#), "{text}");
        assert!(failed.contains("kind=Denied"), "{text}");
    }

    #[test]
    fn closures_replace_what_is_written() {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let seen = outcomes.clone();
        let text = written(async || {
            let layer = TraceLayer::new()
                .make_span_with(|call: &CallInfo<'_>| {
                    info_span!("mine", operation = call.operation)
                })
                .on_request(|_: &CallInfo<'_>, _: &Span| tracing::info!("hello"))
                .on_response(())
                .on_failure(move |outcome: Outcome, _, _: &Span| {
                    seen.lock().unwrap().push(outcome.is_failure)
                });
            let stack = layer.layer(Terminal);
            let fail = |_| Err(ProbeError::Failed("x".to_owned()));
            probe::call::<ClientProbe, _, _>(stack, 1, fail)
                .await
                .unwrap_err();
        });
        assert!(
            text.contains(r#"mine{operation="client_probe"}: "#),
            "{text}"
        );
        assert!(text.trim_end().ends_with("hello"), "{text}");
        assert_eq!(*outcomes.lock().unwrap(), [true]);
    }
}
