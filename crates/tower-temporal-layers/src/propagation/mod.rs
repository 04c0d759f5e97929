//! Carries a typed value in a Temporal header, from a client through workflows to activities and on.
//!
//! ```
//! use tower_temporal_core::{ContextKey, Terminal};
//! use tower_temporal_layers::propagation::PropagationLayer;
//! # use tower_temporal_core::probe::{self, ActivityInboundProbe, ClientProbe};
//!
//! struct UserId;
//!
//! impl ContextKey for UserId {
//!     type Value = String;
//!     const HEADER: &'static str = "user-id";
//! }
//!
//! // In every stack: of the client, of workflows in both directions, of activities.
//! let layer = PropagationLayer::<UserId>::new();
//! # let client = tower_layer::Layer::layer(&layer, Terminal);
//! # let activity = tower_layer::Layer::layer(&layer, Terminal);
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // A client sets the value; whatever the call leads to sees it.
//! UserId::scope("alice".to_owned(), async {
//!     // client.start_workflow(…).await
//! #     let headers = std::sync::Mutex::default();
//! #     probe::call::<ClientProbe, _, _>(client, 1, |input| { *headers.lock().unwrap() = input.headers; Ok(0) }).await.unwrap();
//! #     let input = probe::ProbeInput { value: 1, headers: headers.into_inner().unwrap() };
//! #     probe::call::<ActivityInboundProbe, _, _>(activity, input, |_| { assert_eq!(*UserId::current().unwrap(), "alice"); Ok(0) }).await.unwrap();
//! })
//! .await;
//! # });
//! ```
//!
//! Going out, the layer writes the value that surrounds the call into the header, over what was there. Coming in, it
//! reads the header and sets the value around the handler. So the value travels from a client to the workflow it starts,
//! signals, queries or updates, and from a workflow to its activities, local activities, child workflows, signals,
//! continue-as-new and Nexus operations.
//!
//! In client and activity code [`ContextKey::current`] reads it and [`ContextKey::scope`] sets it, for the current
//! task. In a workflow `ctx.current::<UserId>()` reads it and `ctx.scope::<UserId, _>(user, future)` sets it, with
//! `workflow::ContextValues` and `workflow::ContextScope` of `tower-temporal`.
//!
//! A call without the header leaves the value unset. A header that can't be decoded, or a value that can't be encoded, is
//! logged as a `tracing` warning, and the call goes on without it.
//!
//! # With a payload codec
//!
//! The SDK has a codec of yours encode the headers that workflows send, and not those that clients do. So with one that
//! encrypts, what a client sends is in the history as it is: let it be no secret. And a worker has it decode all headers, so it
//! must pass on what it has not encoded, as codecs of Temporal's examples do.

mod layer;
mod service;

pub use self::{layer::PropagationLayer, service::Propagation};

#[doc(no_inline)]
pub use tower_temporal_core::ContextKey;
