use tower::{ServiceBuilder, retry::RetryLayer};
use tower_temporal_core::ReplaySafe;

fn workflow_stack(_: impl ReplaySafe) {}

struct Policy;

fn main() {
    workflow_stack(ServiceBuilder::new().layer(RetryLayer::new(Policy)));
}
