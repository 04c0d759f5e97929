//! What tests of tower-temporal, and of layers written for it, run against.
//!
//! [`DevServer`] is a real Temporal server on this machine, found or fetched, started and stopped by the test itself.
//!
//! [`Frontend`] is no server but answers as one would, in memory: an SDK client or activity worker runs against it, and
//! the test says what is answered and looks at what was sent.
//!
//! [`probe`] has operations that no Temporal is behind, for unit tests of layers.

mod dev_server;
pub mod frontend;

pub use dev_server::{Attempt, CliNotFound, DevServer, DevServerBuilder, DevServerError};
pub use frontend::Frontend;

#[doc(inline)]
pub use tower_temporal_core::probe;
