use std::time::Duration;
use tower::timeout::TimeoutLayer;
use tower_temporal_core::ReplaySafe;

fn workflow_stack(_: impl ReplaySafe) {}

fn main() {
    workflow_stack(TimeoutLayer::new(Duration::from_secs(1)));
}
