use crate::call::SharedStack;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// A service that more than one way leads to: what is inside an [`on`](crate::on()), where one operation takes the way through
/// the applied layer.
///
/// It is kept once for all of them, and cloned for a call when it is asked to be ready. A stack of many `on`s would double
/// with each otherwise.
pub struct SharedService<S> {
    service: Arc<SharedStack<S>>,
    ready: Option<S>,
}

impl<S: Clone> SharedService<S> {
    /// Keeps `service`, for a layer that takes more than one way to it.
    pub fn new(service: S) -> Self {
        Self {
            service: Arc::new(SharedStack::new(service)),
            ready: None,
        }
    }
}

impl<S> Clone for SharedService<S> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            ready: None,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for SharedService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

impl<R, S: Service<R> + Clone> Service<R> for SharedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.ready.is_none() {
            self.ready = Some(self.service.get());
        }
        self.ready.as_mut().expect("it was just set").poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        // A caller that has not asked first is the service's own to deal with.
        let mut service = self.ready.take().unwrap_or_else(|| self.service.get());
        service.call(request)
    }
}
