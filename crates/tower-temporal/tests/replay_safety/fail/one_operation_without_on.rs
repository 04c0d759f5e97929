use tower::util::MapRequestLayer;
use tower_temporal::{Interceptors, Request, client::StartWorkflow};

fn main() {
    let layer = MapRequestLayer::new(|request: Request<StartWorkflow>| request);
    let _ = Interceptors::builder().client(layer);
}
