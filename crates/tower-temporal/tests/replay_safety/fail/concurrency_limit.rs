use tower::ServiceBuilder;
use tower_temporal::Interceptors;

fn main() {
    let _ = Interceptors::builder().workflow_inbound(ServiceBuilder::new().concurrency_limit(1));
}
