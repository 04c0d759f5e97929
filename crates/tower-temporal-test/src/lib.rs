//! What tests of tower-temporal, and of layers written for it, run against.
//!
//! A layer's test, with no server:
//!
//! ```
//! use temporalio_client::{ClientOptions, UntypedWorkflow, WorkflowStartOptions};
//! use temporalio_common::data_converters::RawValue;
//! use tower_temporal::{
//!     BoxError, Denied, Interceptors, Next, Request, client::StartWorkflow, from_fn,
//!     rpc::workflow_service::StartWorkflowExecution,
//! };
//! use tower_temporal_test::Frontend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The layer.
//! let no_payouts = from_fn(async |request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
//!     if request.workflow_type == "Payout" {
//!         return Err(BoxError::from(Denied::new("no payouts today")));
//!     }
//!     next.run(request).await
//! });
//!
//! let frontend = Frontend::new();
//! let interceptors = Interceptors::builder().client(no_payouts).build();
//! let client = frontend.client(ClientOptions::new("default").plugin(interceptors).build()).await?;
//! let start = async |workflow_type| {
//!     let options = WorkflowStartOptions::new("queue", "workflow-1").build();
//!     client.start_workflow(UntypedWorkflow::new(workflow_type), RawValue::empty(), options).await
//! };
//!
//! assert!(start("Payout").await.is_err());
//! assert!(frontend.requests::<StartWorkflowExecution>().is_empty(), "nothing has left the client");
//! start("Order").await?;
//! assert_eq!(frontend.requests::<StartWorkflowExecution>().len(), 1);
//! # Ok(())
//! # }
//! ```
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
