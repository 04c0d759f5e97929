use super::UnlessLongPoll;
use tower_layer::Layer;
use tower_temporal_core::SharedService;

/// Applies `layer` to every call but those the server holds until something happens. See the [module](super).
///
/// The service is always ready, since the call says which way it takes; that way's readiness is awaited in its future. So
/// a `load_shed` goes inside, together with the limit it is about.
pub const fn unless_long_poll<L>(layer: L) -> UnlessLongPollLayer<L> {
    UnlessLongPollLayer { layer }
}

/// The layer of [`unless_long_poll`].
#[derive(Clone, Copy, Debug)]
pub struct UnlessLongPollLayer<L> {
    layer: L,
}

impl<L, S> Layer<S> for UnlessLongPollLayer<L>
where
    L: Layer<SharedService<S>>,
    S: Clone,
{
    type Service = UnlessLongPoll<S, L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = SharedService::new(inner);
        UnlessLongPoll {
            applied: self.layer.layer(inner.clone()),
            inner,
        }
    }
}
