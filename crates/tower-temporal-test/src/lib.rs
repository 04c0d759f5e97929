//! What tests of tower-temporal, and of layers written for it, run against.
//!
//! [`DevServer`] is a real Temporal server on this machine, found or fetched, started and stopped by the test itself.
//!
//! [`probe`] has operations that no Temporal is behind, for unit tests of layers.

mod dev_server;

pub use dev_server::{Attempt, CliNotFound, DevServer, DevServerBuilder, DevServerError};

#[doc(inline)]
pub use tower_temporal_core::probe;
