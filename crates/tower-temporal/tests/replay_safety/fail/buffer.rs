use tower::buffer::BufferLayer;
use tower_temporal::{Interceptors, Request, on, workflow::StartTimer};

fn main() {
    let layer = on::<StartTimer, _>(BufferLayer::<Request<StartTimer>>::new(1));
    let _ = Interceptors::builder().workflow_outbound(layer);
}
