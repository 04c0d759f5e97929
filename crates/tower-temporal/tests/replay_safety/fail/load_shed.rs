use tower::ServiceBuilder;
use tower_temporal::Interceptors;

fn main() {
    let inner = ServiceBuilder::new().load_shed();
    let _ = Interceptors::builder().workflow_inbound(ServiceBuilder::new().layer(inner));
}
