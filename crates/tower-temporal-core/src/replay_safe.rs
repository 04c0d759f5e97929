use crate::{FromFnLayer, OnLayer};
use tower::{
    ServiceBuilder,
    filter::FilterLayer,
    util::{
        AndThenLayer, Either, MapErrLayer, MapRequestLayer, MapResponseLayer, MapResultLayer,
        ThenLayer,
    },
};
use tower_layer::{Identity, Layer, Stack};

/// A layer that behaves the same when a workflow is replayed.
///
/// Workflow code runs again, from its history, when a worker restarts or has evicted the workflow from its cache: the same
/// calls must be made in the same order. A middleware that looks at the clock, waits for a task or is woken from elsewhere breaks that, at run time,
/// later. So a workflow's stacks take only layers that are marked with this trait, and the mistake is one that does
/// not compile.
///
/// `tower`'s own layers that neither wait nor look at the clock are marked, and so are the layers of tower-temporal that
/// can be used in workflows. Two things a layer must not do in a workflow:
///
/// - await anything but its inner future and the workflow's own futures (timers, activities …);
/// - let its commands depend on anything that is not in the workflow's history.
///
/// Layers that run a closure of yours are marked too: that closure is workflow code, like the workflow itself.
///
/// # Changing a stack while workflows run
///
/// The trait says that the same stack does the same in a replay; another stack may not. Layers that add no command and
/// change none (traces, metrics, audit, OpenTelemetry, propagation of headers) can be added and removed at any time, but for the
/// propagation of a value that the workflow's code decides by. Those that start timers (`workflow::TimeoutLayer`), refuse calls
/// or change which calls are made are a change of the workflow's code: version the workflow as you would for one, and replay
/// recorded histories first.
///
/// # Marking a layer of your own
///
/// ```
/// use tower_temporal_core::ReplaySafe;
///
/// struct MyLayer;
///
/// impl ReplaySafe for MyLayer {}
/// ```
///
/// A layer that is not yours, and that you know to be safe, goes through [`assert_replay_safe`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not replay-safe, so it can't be used in a workflow's stack",
    label = "this layer is not marked `ReplaySafe`",
    note = "workflow code is replayed: a layer here must not look at the clock, await anything but workflow futures, or be \
            woken from elsewhere, as `tower`'s timeout, retry, rate_limit, buffer, concurrency_limit and load_shed do",
    note = "for a timeout use `workflow::TimeoutLayer`, which is made of workflow timers; limits belong in client and activity \
            stacks; retries belong in none, since a call reaches the SDK once: give an activity a `RetryPolicy`",
    note = "if this layer is your own and safe: `impl ReplaySafe for MyLayer {{}}`; if it is another's: \
            `assert_replay_safe(layer)`"
)]
pub trait ReplaySafe {}

impl ReplaySafe for Identity {}
impl<Inner: ReplaySafe, Outer: ReplaySafe> ReplaySafe for Stack<Inner, Outer> {}
impl<L: ReplaySafe> ReplaySafe for ServiceBuilder<L> {}
impl<A: ReplaySafe, B: ReplaySafe> ReplaySafe for Either<A, B> {}
impl<L: ReplaySafe> ReplaySafe for Option<L> {}
impl<L: ReplaySafe> ReplaySafe for &L {}
impl<F> ReplaySafe for MapRequestLayer<F> {}
impl<F> ReplaySafe for MapResponseLayer<F> {}
impl<F> ReplaySafe for MapErrLayer<F> {}
impl<F> ReplaySafe for MapResultLayer<F> {}
impl<F> ReplaySafe for ThenLayer<F> {}
impl<F> ReplaySafe for AndThenLayer<F> {}
impl<F> ReplaySafe for FilterLayer<F> {}
impl<O, L: ReplaySafe> ReplaySafe for OnLayer<O, L> {}
impl<O, F> ReplaySafe for FromFnLayer<O, F> {}

/// Takes your word for it that `layer` is [`ReplaySafe`].
///
/// ```
/// use tower::layer::layer_fn;
/// use tower_temporal_core::assert_replay_safe;
///
/// // `layer_fn` could build anything; this one builds nothing that waits.
/// let layer = assert_replay_safe(layer_fn(|service| service));
/// # let _ = tower_layer::Layer::<()>::layer(&layer, ());
/// ```
pub const fn assert_replay_safe<L>(layer: L) -> AssertReplaySafe<L> {
    AssertReplaySafe(layer)
}

/// A layer that was said to be safe: see [`assert_replay_safe`].
#[derive(Clone, Copy, Debug)]
pub struct AssertReplaySafe<L>(L);

impl<L> ReplaySafe for AssertReplaySafe<L> {}

impl<S, L: Layer<S>> Layer<S> for AssertReplaySafe<L> {
    type Service = L::Service;

    fn layer(&self, inner: S) -> L::Service {
        self.0.layer(inner)
    }
}
