use tower::ServiceBuilder;
use tower_temporal_core::ReplaySafe;

fn workflow_stack(_: impl ReplaySafe) {}

fn main() {
    workflow_stack(ServiceBuilder::new().concurrency_limit(1));
}
