use tower_temporal_core::ReplaySafe;

fn workflow_stack(_: impl ReplaySafe) {}

struct Mine;

fn main() {
    workflow_stack(Mine);
}
