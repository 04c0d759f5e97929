use std::time::Duration;
use tower::timeout::TimeoutLayer;
use tower_temporal::Interceptors;

fn main() {
    let _ = Interceptors::builder().workflow_outbound(TimeoutLayer::new(Duration::from_secs(1)));
}
