use tower::retry::{RetryLayer, backoff::ExponentialBackoff};
use tower_temporal::Interceptors;

fn main() {
    // The policy does not matter: no retry is replay-safe.
    let _ = Interceptors::builder().workflow_inbound(RetryLayer::new(()));
    let _ = std::marker::PhantomData::<ExponentialBackoff>;
}
