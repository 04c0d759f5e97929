use super::{
    HEADER, OtelFuture,
    carrier::{CONVERTER, Carrier, NexusHeaders},
    ids::Ids,
    layer::Config,
    span::{self, ActiveSpan},
};
use crate::{CallInfo, header};
use opentelemetry::{Context, trace::TraceContextExt};
use parking_lot::{Mutex, MutexGuard};
use std::{fmt, sync::Arc, task};
use tower_service::Service;
use tower_temporal_core::{Category, HeaderMap, HeaderMapMut, Operation, Request, Scope};

/// The service of [`OtelLayer`](super::OtelLayer).
#[derive(Clone)]
pub struct Otel<S> {
    inner: S,
    config: Arc<Config>,
    /// What surrounds the workflow that the stack belongs to: for handlers whose caller sends no context.
    workflow: Arc<Mutex<Option<Context>>>,
}

impl<S> Otel<S> {
    pub(super) fn new(inner: S, config: Arc<Config>) -> Self {
        Self {
            inner,
            config,
            workflow: Arc::default(),
        }
    }

    fn workflow(&self) -> MutexGuard<'_, Option<Context>> {
        self.workflow.lock()
    }

    /// The context that a call belongs to before it has a span of its own.
    fn parent<O: Operation>(&self, request: &Request<O>) -> Context {
        if !O::CATEGORY.is_inbound() {
            return Context::current();
        }
        match header::read(request, HEADER, &CONVERTER).map(Carrier) {
            // Not under what happens to surround the worker.
            Some(carrier) => self
                .config
                .propagator
                .extract_with_context(&Context::new(), &carrier),
            None if O::CATEGORY == Category::WorkflowInbound => {
                self.workflow().clone().unwrap_or_default()
            }
            None => Context::new(),
        }
    }

    /// The context of a call that has a span, and the span unless it was made before. None if it has none, or had one whose
    /// ids are not known.
    fn start<O: Operation>(
        &self,
        request: &Request<O>,
        parent: &Context,
    ) -> Option<(Context, Option<ActiveSpan>)> {
        let call = CallInfo::new(request);
        if !span::has_one(&call) {
            return None;
        }
        let is_replaying = O::Scope::is_replaying(request.context());
        let workflow_ids = self.config.workflow_ids.as_deref();
        let Some(workflow_ids) = workflow_ids.filter(|ids| ids.are_taken()) else {
            return (!is_replaying).then(|| self.start_now(&call, parent));
        };
        let ids = Ids::draw(request, parent);
        if is_replaying {
            let sampler = self.config.sampler.as_deref();
            let context = match ids {
                Some(ids) => ids.replayed(parent, sampler, || span::builder(&call)),
                None => parent.clone(),
            };
            return Some((context, None));
        }
        let Some(ids) = ids else {
            return Some(self.start_now(&call, parent));
        };
        let (context, span) = ids.for_next(|| self.start_now(&call, parent));
        workflow_ids.check(&ids, context.span().span_context());
        Some((context, span))
    }

    fn start_now(&self, call: &CallInfo<'_>, parent: &Context) -> (Context, Option<ActiveSpan>) {
        let context = (self.config.start)(span::builder(call), parent);
        (context.clone(), Some(ActiveSpan(context)))
    }

    fn inject<O: Operation>(&self, context: &Context, request: &mut Request<O>) {
        let headers = request.headers();
        if !headers.are_carried() {
            return;
        }
        let propagator = &self.config.propagator;
        if headers
            .maps()
            .any(|map| matches!(map, HeaderMap::Strings(_)))
        {
            // Nexus: as headers of their own, which is where its handlers look.
            for map in request.headers_mut().into_maps() {
                if let HeaderMapMut::Strings(map) = map {
                    propagator.inject_context(context, &mut NexusHeaders(map));
                }
            }
            return;
        }
        let mut carrier = Carrier::default();
        propagator.inject_context(context, &mut carrier);
        if !carrier.0.is_empty() {
            header::write(request, HEADER, &carrier.0, &CONVERTER);
        }
    }
}

impl<O, S> Service<Request<O>> for Otel<S>
where
    O: Operation,
    S: Service<Request<O>>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OtelFuture<O, S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<O>) -> Self::Future {
        let parent = self.parent(&request);
        let (context, span) = self
            .start(&request, &parent)
            .unwrap_or_else(|| (parent, None));
        if O::CATEGORY.is_inbound() {
            if matches!(O::NAME, "initialize_workflow" | "execute") {
                *self.workflow() = Some(context.clone());
            }
        } else {
            self.inject(&context, &mut request);
        }
        let inner = {
            let _guard = context.clone().attach();
            self.inner.call(request)
        };
        OtelFuture::new(inner, context, span)
    }
}

impl<S: fmt::Debug> fmt::Debug for Otel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otel")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
