//! Something to wait for before a call: what layers that wait are made of.
//!
//! [`Intercept`](tower_temporal_core::Intercept) has hooks that can't wait. A [`Gate`] can: it is asked for each call, and
//! answers in its own time with a permit, which is kept until the call has ended, or with an error, which refuses the call.
//! The concurrency and keyed limits are gates, and so is the authorization that asks somebody else.
//!
//! ```
//! use std::sync::Arc;
//! use tokio::sync::watch;
//! use tower_temporal_core::{BoxError, Operation, Request, Terminal};
//! use tower_temporal_layers::gate::{Gate, GateLayer};
//! # use std::pin::Pin;
//! # use tower_temporal_core::probe::{self, ClientProbe};
//!
//! /// Holds every call back while there is maintenance.
//! #[derive(Clone)]
//! struct Maintenance(watch::Receiver<bool>);
//!
//! impl Gate for Maintenance {
//!     type Permit = ();
//!     type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
//!
//!     fn admit<O: Operation>(&self, _: &Request<O>) -> Self::Future {
//!         let mut maintenance = self.0.clone();
//!         Box::pin(async move {
//!             maintenance.wait_for(|is_on| !is_on).await?;
//!             Ok(())
//!         })
//!     }
//! }
//!
//! let (switch, maintenance) = watch::channel(false);
//! let layer = GateLayer::new(Maintenance(maintenance));
//! # let stack = tower_layer::Layer::layer(&layer, Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # assert_eq!(probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(7)).await.unwrap(), 7);
//! # });
//! # drop(switch);
//! ```
//!
//! A gate is for clients and activities. It waits for what is not in a workflow's history, so it is not
//! [`ReplaySafe`](tower_temporal_core::ReplaySafe).
//!
//! A gate knows the call, so it can't be asked in `poll_ready`: the service inside has been made ready before, and is held
//! while the gate waits. What it has taken to be ready, such as a permit of tower's `concurrency_limit`, is held too, or is
//! used up though the gate refuses, as of a `rate_limit`. So a limit that belongs inside of a gate is best a gate itself:
//! [the module of the limits](crate::limit#which-goes-inside-of-which) says which are.

mod future;
mod layer;
mod service;

pub use self::{future::GateFuture, layer::GateLayer, service::Gated};

use tower_temporal_core::{BoxError, Operation, Request};

/// Says when a call may be made. See the [module](self) for an example.
pub trait Gate {
    /// What a call holds until it has ended, or is dropped.
    type Permit;
    /// The future that admits a call.
    type Future: Future<Output = Result<Self::Permit, BoxError>>;

    /// Asks for a permit for `request`. An error refuses the call.
    fn admit<O: Operation>(&self, request: &Request<O>) -> Self::Future;
}
