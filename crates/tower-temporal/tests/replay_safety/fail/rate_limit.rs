use std::time::Duration;
use tower::limit::RateLimitLayer;
use tower_temporal::{Interceptors, on, workflow::StartTimer};

fn main() {
    let layer = on::<StartTimer, _>(RateLimitLayer::new(1, Duration::from_secs(1)));
    let _ = Interceptors::builder().workflow_outbound(layer);
}
