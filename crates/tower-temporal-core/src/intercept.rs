use crate::{BoxError, Operation, ReplaySafe, Request};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// A middleware for every operation, as hooks: before a call, around it, and after it.
///
/// [`intercept`] makes a layer of it, for every category. The hooks are generic over the operation and synchronous, so
/// that the futures of clients stay `Send` and workflows stay safe to replay. What has to wait before a call is a `Gate`, of
/// the crate `tower-temporal-layers`; for one operation [`from_fn`](crate::from_fn()) takes an async function; and what neither
/// can express is a [`Service`] of its own.
///
/// Only [`before`](Self::before) has to be written; the others do nothing by default.
///
/// # Examples
///
/// A span around every call, with how it ended. While a workflow is replayed there is none.
///
/// ```
/// use tower_temporal_core::{BoxError, Intercept, Operation, Request, Scope, error, intercept};
/// use tracing::{Span, field::Empty, info_span};
///
/// #[derive(Clone)]
/// struct Trace;
///
/// impl Intercept for Trace {
///     type State<O: Operation> = Span;
///
///     fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<Span, BoxError> {
///         if !O::Scope::is_live(request.context()) {
///             return Ok(Span::none());
///         }
///         let target = request.target().to_string();
///         Ok(info_span!("temporal", operation = O::NAME, target, outcome = Empty))
///     }
///
///     fn around<O: Operation, R>(&self, span: &Span, run: impl FnOnce() -> R) -> R {
///         span.in_scope(run)
///     }
///
///     fn after<O: Operation>(&self, span: Span, result: Result<O::Output, BoxError>) -> Result<O::Output, BoxError> {
///         // A workflow that continues as new comes back as an `Err`, and has not failed.
///         let failed = result.as_ref().is_err_and(error::is_failure::<O, _>);
///         span.record("outcome", if failed { "failed" } else { "ok" });
///         result
///     }
/// }
///
/// // In the stack of any category.
/// let layer = intercept(Trace);
/// # use tower_temporal_core::{Terminal, probe::{self, ClientProbe}};
/// # let stack = tower_layer::Layer::layer(&layer, Terminal);
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # assert_eq!(probe::call::<ClientProbe, _, _>(stack, 1, |input| Ok(input.value)).await.unwrap(), 1);
/// # });
/// ```
///
/// A user's id that travels in a header. Going out it is written, coming in it is read and set around the handler, in
/// activities and in workflows.
///
/// ```
/// use std::sync::Arc;
/// use tower_temporal_core::{BoxError, ContextKey, Intercept, Operation, Request, Scope, intercept};
///
/// struct UserId;
///
/// impl ContextKey for UserId {
///     type Value = String;
///     const HEADER: &'static str = "user-id";
/// }
///
/// #[derive(Clone)]
/// struct Propagate;
///
/// impl Intercept for Propagate {
///     /// The user a call that comes in is made for, and where to set it.
///     type State<O: Operation> = Option<(Arc<String>, O::Context)>;
///
///     fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<Self::State<O>, BoxError> {
///         if O::CATEGORY.is_inbound() {
///             let user = request.headers().get_json(UserId::HEADER)?;
///             return Ok(user.map(|user| (Arc::new(user), request.context().clone())));
///         }
///         if let Some(user) = O::Scope::get::<UserId>(request.context()) {
///             request.headers_mut().insert_json(UserId::HEADER, &*user)?;
///         }
///         Ok(None)
///     }
///
///     fn around<O: Operation, R>(&self, user: &Self::State<O>, run: impl FnOnce() -> R) -> R {
///         match user {
///             Some((user, context)) => O::Scope::enter::<UserId, R>(context, user.clone(), run),
///             None => run(),
///         }
///     }
/// }
///
/// let layer = intercept(Propagate);
/// # use tower_temporal_core::{Terminal, probe::{self, ActivityInboundProbe, ClientProbe, ProbeInput}};
/// # use tower_layer::Layer;
/// # let (client, activity) = (layer.layer(Terminal), layer.layer(Terminal));
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let mut headers = Default::default();
/// # let start = probe::call::<ClientProbe, _, _>(client, 1, |input| { headers = input.headers; Ok(0) });
/// # UserId::scope("alice".to_owned(), start).await.unwrap();
/// # assert_eq!(headers["user-id"].data, br#""alice""#);
/// # let input = ProbeInput { value: 1, headers };
/// # let run = probe::call::<ActivityInboundProbe, _, _>(activity, input, |_| {
/// #     assert_eq!(UserId::current().as_deref().map(String::as_str), Some("alice"));
/// #     Ok(0)
/// # });
/// # run.await.unwrap();
/// # });
/// ```
///
/// The ready-made `TraceLayer` and `PropagationLayer` do more: closures, converters, no allocation for each poll.
///
/// # In workflows
///
/// The hooks run again when the workflow is replayed. What they change of a request or a result must depend on nothing but
/// the request, the result and the workflow's context; side effects are for when
/// [`is_live`](crate::Scope::is_live) says yes.
///
/// # Cost
///
/// An interceptor is cloned twice for each call: with the stack, and to be there when the call ends. What it has should be cheap
/// to clone, as behind an [`Arc`](std::sync::Arc). (The stack can't do that for it: it would have to be `Sync` then.)
pub trait Intercept: Clone + 'static {
    /// What [`before`](Self::before) hands to the other hooks. It is kept for each call, and dropped with it: a call that
    /// is given up by its caller has no `after`, but its state has a `drop`.
    type State<O: Operation>: 'static;

    /// Runs when a call is made, and may change it.
    ///
    /// # Errors
    ///
    /// An error refuses the call. Neither the other hooks nor what is inside see anything of it.
    fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<Self::State<O>, BoxError>;

    /// Runs what is inside: once for the call, and once for each time its future is polled. It has to call `run`, and to
    /// return what that returns.
    fn around<O: Operation, R>(&self, state: &Self::State<O>, run: impl FnOnce() -> R) -> R {
        let _ = state;
        run()
    }

    /// Runs when the call has ended, and may change what it has come to.
    ///
    /// The error is the operation's own, or a middleware's: [`error::find`](crate::error::find),
    /// [`error::kind_of`](crate::error::kind_of) and [`error::is_failure`](crate::error::is_failure) tell. A workflow that
    /// continues as new, an activity that completes later and the like are errors here that should be passed on.
    ///
    /// # Errors
    ///
    /// What the call is to fail with: by default, what it failed with.
    fn after<O: Operation>(
        &self,
        state: Self::State<O>,
        result: Result<O::Output, BoxError>,
    ) -> Result<O::Output, BoxError> {
        drop(state);
        result
    }
}

/// A layer for every category from the hooks of `interceptor`: see [`Intercept`].
pub const fn intercept<I: Intercept>(interceptor: I) -> InterceptLayer<I> {
    InterceptLayer { interceptor }
}

/// The layer of [`intercept`].
#[derive(Clone, Copy, Debug)]
pub struct InterceptLayer<I> {
    interceptor: I,
}

impl<I: Clone, S> Layer<S> for InterceptLayer<I> {
    type Service = Intercepted<I, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Intercepted::new(self.interceptor.clone(), inner)
    }
}

/// The hooks are code of yours, as a closure is, and none of them can wait.
impl<I> ReplaySafe for InterceptLayer<I> {}

/// The service of [`intercept`], and of every layer that is made of an [`Intercept`].
#[derive(Clone, Debug)]
pub struct Intercepted<I, S> {
    interceptor: I,
    inner: S,
}

impl<I, S> Intercepted<I, S> {
    /// Runs the hooks of `interceptor` for every call of `inner`.
    pub const fn new(interceptor: I, inner: S) -> Self {
        Self { interceptor, inner }
    }
}

impl<O, I, S> Service<Request<O>> for Intercepted<I, S>
where
    O: Operation,
    I: Intercept,
    S: Service<Request<O>, Response = O::Output>,
    S::Error: Into<BoxError>,
{
    type Response = O::Output;
    type Error = BoxError;
    type Future = InterceptFuture<O, I, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<O>) -> Self::Future {
        let kind = match self.interceptor.before(&mut request) {
            Ok(state) => {
                let inner = self
                    .interceptor
                    .around::<O, _>(&state, || self.inner.call(request));
                Kind::Called {
                    inner,
                    hooks: Some((self.interceptor.clone(), state)),
                }
            }
            Err(error) => Kind::Refused { error: Some(error) },
        };
        InterceptFuture { kind }
    }
}

pin_project! {
    /// The future of [`Intercepted`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InterceptFuture<O, I, F>
    where
        O: Operation,
        I: Intercept,
    {
        #[pin]
        kind: Kind<I, I::State<O>, F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<I, T, F> {
        Called {
            // It is dropped before the state, as it would be if the state were a guard around it.
            #[pin]
            inner: F,
            hooks: Option<(I, T)>,
        },
        Refused { error: Option<BoxError> },
    }
}

impl<O, I, F, E> Future for InterceptFuture<O, I, F>
where
    O: Operation,
    I: Intercept,
    F: Future<Output = Result<O::Output, E>>,
    E: Into<BoxError>,
{
    type Output = Result<O::Output, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Called { inner, hooks } => {
                let (interceptor, state) = hooks.as_ref().expect("it is not polled when done");
                let result = ready!(interceptor.around::<O, _>(state, || inner.poll(cx)));
                let (interceptor, state) = hooks.take().expect("it was just there");
                Poll::Ready(interceptor.after::<O>(state, result.map_err(Into::into)))
            }
            KindProj::Refused { error } => {
                Poll::Ready(Err(error.take().expect("it is not polled when done")))
            }
        }
    }
}

impl<O: Operation, I: Intercept, F> fmt::Debug for InterceptFuture<O, I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptFuture")
            .field("operation", &O::NAME)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Denied, Terminal,
        call::Call,
        probe::{self, ClientProbe, OtherProbe, ProbeError, WorkflowOutboundProbe},
    };
    use std::{
        future::pending,
        sync::{Arc, Mutex},
    };
    use tower::ServiceBuilder;

    type Log = Arc<Mutex<Vec<String>>>;

    /// Writes down which hook runs, and denies one operation.
    #[derive(Clone)]
    struct Hooks {
        log: Log,
        denied: &'static str,
    }

    impl Hooks {
        fn write(&self, text: impl Into<String>) {
            self.log.lock().unwrap().push(text.into());
        }
    }

    /// Writes down that it is dropped.
    struct State(Hooks);

    impl Drop for State {
        fn drop(&mut self) {
            self.0.write("dropped");
        }
    }

    impl Intercept for Hooks {
        type State<O: Operation> = State;

        fn before<O: Operation>(&self, _: &mut Request<O>) -> Result<State, BoxError> {
            self.write(format!("before {}", O::NAME));
            if O::NAME == self.denied {
                return Err(Denied::new("no").into());
            }
            Ok(State(self.clone()))
        }

        fn around<O: Operation, R>(&self, _: &State, run: impl FnOnce() -> R) -> R {
            self.write("in");
            let result = run();
            self.write("out");
            result
        }

        fn after<O: Operation>(
            &self,
            _: State,
            result: Result<O::Output, BoxError>,
        ) -> Result<O::Output, BoxError> {
            self.write(format!("after {}", result.is_ok()));
            result
        }
    }

    fn hooks(denied: &'static str) -> (Log, Hooks) {
        let log = Log::default();
        let hooks = Hooks {
            log: log.clone(),
            denied,
        };
        (log, hooks)
    }

    fn written(log: &Log) -> Vec<String> {
        std::mem::take(&mut *log.lock().unwrap())
    }

    #[tokio::test]
    async fn hooks_run_before_around_and_after_every_operation() {
        let (log, hooks) = hooks("none");
        let stack = ServiceBuilder::new()
            .layer(intercept(hooks))
            .service(Terminal);
        let output = probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| Ok(2)).await;
        assert_eq!(output.unwrap(), 2);
        let seen = written(&log);
        let (first, rest) = seen.split_first().unwrap();
        let (around, last) = rest.split_at(rest.len() - 2);
        assert_eq!(first, "before client_probe");
        assert!(around.len() >= 4, "for the call, and for its future");
        assert!(
            around.chunks(2).all(|pair| pair == ["in", "out"]),
            "{seen:?}"
        );
        assert_eq!(last, ["after true", "dropped"]);

        let fail = |_| Err(ProbeError::Failed("x".to_owned()));
        let result = probe::call::<WorkflowOutboundProbe, _, _>(stack, 1, fail).await;
        assert!(matches!(result, Err(ProbeError::Failed(_))), "{result:?}");
        assert!(written(&log).contains(&"after false".to_owned()));
    }

    #[tokio::test]
    async fn a_refused_call_goes_no_further() {
        let (log, hooks) = hooks("client_probe");
        let stack = ServiceBuilder::new()
            .layer(intercept(hooks))
            .service(Terminal);
        let refused = probe::call::<ClientProbe, _, _>(stack.clone(), 1, |_| panic!("refused"));
        let error = refused.await.unwrap_err();
        assert_eq!(error.to_string(), "middleware failed: denied: no");
        assert_eq!(written(&log), ["before client_probe"]);
        let other = probe::call::<OtherProbe, _, _>(stack, 1, |_| Ok(2)).await;
        assert_eq!(other.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_drops_its_state() {
        let (log, hooks) = hooks("none");
        let stack = intercept(hooks).layer(Terminal);
        let mut call = Box::pin(Call::<ClientProbe, _, _>::new(stack, 1.into(), (), |_| {
            Box::pin(pending())
        }));
        assert!(poll_once(call.as_mut()).await.is_pending());
        written(&log);
        drop(call);
        assert_eq!(written(&log), ["dropped"]);
    }

    async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
