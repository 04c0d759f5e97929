use tower::ServiceBuilder;
use tower_temporal_core::ReplaySafe;

fn workflow_stack(_: impl ReplaySafe) {}

fn main() {
    let inner = ServiceBuilder::new().load_shed();
    workflow_stack(ServiceBuilder::new().option_layer(Some(inner)));
}
