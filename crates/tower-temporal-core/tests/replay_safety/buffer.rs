use tower::buffer::BufferLayer;
use tower_temporal_core::ReplaySafe;

fn workflow_stack(_: impl ReplaySafe) {}

fn main() {
    workflow_stack(BufferLayer::<()>::new(1));
}
