//! Lets only those calls pass that a policy allows.
//!
//! ```
//! use tower_temporal_core::{ContextKey, Terminal};
//! use tower_temporal_layers::{CallInfo, authorize::AuthorizeLayer, key::by_value};
//! # use tower_layer::Layer;
//! # use tower_temporal_core::{BoxError, Category, Operation, Target, probe::{self, ProbeError, ProbeInput}, scope::TaskScope};
//!
//! struct UserId;
//!
//! impl ContextKey for UserId {
//!     type Value = String;
//!     const HEADER: &'static str = "user-id";
//! }
//!
//! /// Who may do what to which workflows.
//! const ALLOWED: [(&str, &str, &str); 5] = [
//!     ("alice", "execute", "Payout"),
//!     ("alice", "handle_signal", "Payout"),
//!     ("alice", "validate_update", "Payout"),
//!     ("alice", "handle_update", "Payout"),
//!     ("bob", "handle_query", "Payout"),
//! ];
//!
//! // For calls into workflows.
//! let layer = AuthorizeLayer::by(by_value::<UserId>(), |user, call| {
//!     let user = user.ok_or("nobody is signed in")?.as_str();
//!     let workflow_type = call.target.workflow_type.unwrap_or_default();
//!     match ALLOWED.contains(&(user, call.operation, workflow_type)) {
//!         true => Ok(()),
//!         false => Err(format!("{user} may not {} a {workflow_type}", call.operation)),
//!     }
//! });
//! # struct HandleSignal;
//! # impl Operation for HandleSignal {
//! #     type Input = ProbeInput;
//! #     type Output = u32;
//! #     type Error = ProbeError;
//! #     type Context = ();
//! #     type Scope = TaskScope;
//! #     const NAME: &'static str = "handle_signal";
//! #     const CATEGORY: Category = Category::WorkflowInbound;
//! #     fn target<'a>(_: &'a ProbeInput, (): &'a ()) -> Target<'a> { Target::workflow(Some("Payout"), Some("payout-1")) }
//! #     fn error(error: BoxError) -> ProbeError { ProbeError::Middleware(error) }
//! # }
//! # let stack = layer.layer(Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let call = || probe::call::<HandleSignal, _, _>(stack.clone(), 1, |_| Ok(7));
//! # assert_eq!(UserId::scope("alice".to_owned(), call()).await.unwrap(), 7);
//! # let error = UserId::scope("bob".to_owned(), call()).await.unwrap_err();
//! # assert_eq!(error.to_string(), "middleware failed: denied: bob may not handle_signal a Payout");
//! # assert_eq!(call().await.unwrap_err().to_string(), "middleware failed: denied: nobody is signed in");
//! # });
//! ```
//!
//! A call that is not allowed fails with [`Denied`]: `PERMISSION_DENIED` for a client, a failure that is not retried for an
//! activity or a workflow.
//!
//! A policy is a closure on [`CallInfo`](crate::CallInfo), which has the operation, the target and the headers; a closure
//! that is also given a key of the call, as above the value of a [`ContextKey`](tower_temporal_core::ContextKey); or a type that
//! implements [`Authorize`], which is generic over the operation and sees the whole request. The layer that brings the value,
//! such as `PropagationLayer`, has to be outside of this one.
//!
//! A policy that has to ask somebody is for [`AsyncAuthorizeLayer`], in clients and activities:
//!
//! ```
//! use tower_temporal_core::Denied;
//! use tower_temporal_layers::{CallInfo, authorize::AsyncAuthorizeLayer};
//! # #[derive(Clone)] struct PolicyServer;
//! # impl PolicyServer { async fn allows(&self, _: &str) -> Result<bool, std::io::Error> { Ok(true) } }
//! # let server = PolicyServer;
//!
//! let layer = AsyncAuthorizeLayer::new(move |call: &CallInfo<'_>| {
//!     let (server, target) = (server.clone(), call.target.to_string());
//!     async move {
//!         // That the server can't be reached is no denial: an activity is tried again.
//!         match server.allows(&target).await? {
//!             true => Ok(()),
//!             false => Err(tower_temporal_core::BoxError::from(Denied::new("the policy says no"))),
//!         }
//!     }
//! });
//! # let stack = tower_layer::Layer::layer(&layer, tower_temporal_core::Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # use tower_temporal_core::probe::{self, ClientProbe};
//! # assert_eq!(probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(7)).await.unwrap(), 7);
//! # });
//! ```
//!
//! The call waits for as long as the policy takes. Put a
//! [`TimeoutLayer`](crate::timeout::TimeoutLayer) outside, for a server
//! that never answers.
//!
//! # Where
//!
//! A client's stack keeps an honest program from mistakes. What comes to a worker may come from any client, so a policy that
//! is to be kept is checked in the worker: in the stack of calls into workflows, where the target names the workflow's type
//! also for signals, queries and updates, and in that of activities. There a header says who it is. It is as trustworthy as
//! who can reach the Temporal server: sign it, or let clients reach the server only through a program that sets it.
//! (Workflows of a WASM component are checked nowhere: the SDK applies no native interceptor to them.)
//!
//! # Workflows
//!
//! [`AuthorizeLayer`] is replay-safe. In a stack of calls that workflows make it is an allow-list:
//!
//! ```
//! use tower_temporal_layers::{CallInfo, authorize::AuthorizeLayer};
//! # use tower_layer::Layer;
//! # use tower_temporal_core::{BoxError, Category, Operation, Target, Terminal, probe::{self, ProbeError, ProbeInput}, scope::TaskScope};
//!
//! // For `workflow_outbound`.
//! let children = AuthorizeLayer::new(|call: &CallInfo<'_>| {
//!     call.operation != "start_child_workflow"
//!         || matches!(call.target.workflow_type, Some("Charge" | "Refund"))
//! });
//! # struct StartChild;
//! # impl Operation for StartChild {
//! #     type Input = ProbeInput;
//! #     type Output = u32;
//! #     type Error = ProbeError;
//! #     type Context = ();
//! #     type Scope = TaskScope;
//! #     const NAME: &'static str = "start_child_workflow";
//! #     const CATEGORY: Category = Category::WorkflowOutbound;
//! #     fn target<'a>(input: &'a ProbeInput, (): &'a ()) -> Target<'a> {
//! #         Target::workflow(Some(["Charge", "Other"][input.value as usize]), None)
//! #     }
//! #     fn error(error: BoxError) -> ProbeError { ProbeError::Middleware(error) }
//! # }
//! # let stack = children.layer(Terminal);
//! # let start = |child: u32| probe::call::<StartChild, _, _>(stack.clone(), child, |_| Ok(7)).now();
//! # assert_eq!(start(0).unwrap(), 7);
//! # let denied = start(1).unwrap_err().to_string();
//! # assert!(denied.starts_with("middleware failed: denied: `start_child_workflow` of `Other"), "{denied}");
//! ```
//!
//! Four things to know there:
//!
//! - `initialize_workflow`, which runs a workflow's `#[init]`, is not asked about: it can't be refused, and no value is set
//!   yet. The `execute` that follows is, before any other code of the workflow runs.
//! - The policy is workflow code. It runs again on replay, and has to say the same: a policy that is changed while workflows
//!   run is a change of their code, to be versioned or deployed as one.
//! - An update is denied before it is accepted when the policy denies `validate_update`, which the SDK asks for where the
//!   update has a validator. It fails when the policy denies `handle_update`. Deny both.
//! - Nobody waits for a signal who could be told, so one that is denied is dropped, with a `tracing` warning, and the workflow
//!   goes on. Layers outside of this one see that it was denied. Where a workflow has to fail instead, make another error of
//!   it, outside: `on::<HandleSignal, _>(MapErrorLayer::new(|failed: &mut Failed| { failed.replace("a signal was denied"); }))`.

mod asynchronous;
mod layer;
mod policy;

pub use self::{
    asynchronous::{
        AsyncAuthorize, AsyncAuthorizeGate, AsyncAuthorizeGateFuture, AsyncAuthorizeLayer,
    },
    layer::AuthorizeLayer,
    policy::{Authorize, AuthorizeBy, Verdict},
};

#[doc(no_inline)]
pub use tower_temporal_core::Denied;
