use tower_temporal::Interceptors;

struct Mine;

impl<S> tower::Layer<S> for Mine {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

fn main() {
    let _ = Interceptors::builder().workflow_outbound(Mine);
}
