//! The layer, and the SDK interceptors, that only pass calls on.

use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;
use tower_temporal::ReplaySafe;

/// A layer that passes everything on.
#[derive(Clone, Debug)]
pub(crate) struct PassLayer;

impl<S> Layer<S> for PassLayer {
    type Service = Pass<S>;

    fn layer(&self, inner: S) -> Pass<S> {
        Pass(inner)
    }
}

impl ReplaySafe for PassLayer {}

/// The service of [`PassLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Pass<S>(S);

impl<R, S: Service<R>> Service<R> for Pass<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

/// Evaluates `$body` with `$stack` being a layer made of `$n` pass-through layers.
macro_rules! with_stack {
    ($n:expr, |$stack:ident| $body:expr) => {{
        use crate::pass::{PassLayer, twice};
        match $n {
            1 => {
                let $stack = PassLayer;
                $body
            }
            2 => {
                let $stack = twice(PassLayer);
                $body
            }
            4 => {
                let $stack = twice(twice(PassLayer));
                $body
            }
            8 => {
                let $stack = twice(twice(twice(PassLayer)));
                $body
            }
            16 => {
                let $stack = twice(twice(twice(twice(PassLayer))));
                $body
            }
            32 => {
                let $stack = twice(twice(twice(twice(twice(PassLayer)))));
                $body
            }
            n => unreachable!("{n} layers are not measured"),
        }
    }};
}
pub(crate) use with_stack;

pub(crate) fn twice<L: Clone>(layer: L) -> tower_layer::Stack<L, L> {
    tower_layer::Stack::new(layer.clone(), layer)
}
