use std::time::Duration;
use tower::limit::RateLimitLayer;
use tower_temporal_core::{ReplaySafe, on};

fn workflow_stack(_: impl ReplaySafe) {}

fn main() {
    workflow_stack(on::<(), _>(RateLimitLayer::new(1, Duration::from_secs(1))));
}
