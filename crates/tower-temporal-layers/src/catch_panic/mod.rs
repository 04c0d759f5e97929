//! A panic of what is inside becomes an error, with the panic's text.
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_temporal_core::{Next, Request, Terminal, from_fn};
//! use tower_temporal_layers::catch_panic::CatchPanicLayer;
//! # use tower_temporal_core::probe::{self, ClientProbe};
//! # type StartWorkflow = ClientProbe;
//!
//! let buggy = from_fn(async |request: Request<StartWorkflow>, next: Next<StartWorkflow>| {
//!     let header: Option<&str> = None;
//!     println!("{}", header.expect("every call has the header"));
//!     next.run(request).await
//! });
//! let stack = ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(buggy).service(Terminal);
//! # std::panic::set_hook(Box::new(|_| ()));
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let error = probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(7)).await.unwrap_err();
//! # assert_eq!(error.to_string(), "middleware failed: it panicked: every call has the header");
//! # });
//! ```
//!
//! The error is [`Panicked`]: `INTERNAL` for a client, a failure of the type `Panicked` that is retried for an activity. As
//! ever the panic is first reported by the panic hook.
//!
//! For a client it keeps a bug in a layer from ending the task that makes the call. In a worker the SDK catches panics itself.
//! One in an activity's own code comes to the layers as a failure; one in a layer unwinds through the layers outside of it.
//! Put this layer around such a layer, and those outside see an error.
//!
//! For an error of your own a `MapErrorLayer` outside replaces it, where it finds a [`Panicked`].
//!
//! With `panic = "abort"` there is nothing to catch.
//!
//! # Workflows
//!
//! A panic in a workflow stays what the SDK makes of it, a failed workflow task: the workflow goes on when the bug is fixed,
//! and as an error it would fail for good. So the layer is not [`ReplaySafe`](tower_temporal_core::ReplaySafe), and using
//! it in a workflow's stack does not compile.

mod layer;

pub use self::layer::CatchPanicLayer;

#[doc(no_inline)]
pub use tower_temporal_core::catch_panic::{CatchPanic, CatchPanicFuture, Panicked};
