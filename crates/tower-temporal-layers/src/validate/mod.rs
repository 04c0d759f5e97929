//! Looks at typed arguments before a call is made.
//!
//! ```
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::validate::ValidateLayer;
//! # use tower_layer::Layer;
//! # use tower_temporal_core::{BoxError, Category, Operation, call::Call, probe::ProbeError, scope::TaskScope};
//!
//! struct Order {
//!     amount: i64,
//! }
//!
//! let layer = ValidateLayer::new(|order: &Order, _| match order.amount {
//!     1.. => Ok(()),
//!     amount => Err(format!("an order of {amount} is none")),
//! });
//! # struct StartWorkflow;
//! # impl Operation for StartWorkflow {
//! #     type Input = Order;
//! #     type Output = i64;
//! #     type Error = ProbeError;
//! #     type Context = ();
//! #     type Scope = TaskScope;
//! #     const NAME: &'static str = "start_workflow";
//! #     const CATEGORY: Category = Category::ClientOutbound;
//! #     fn args<T: std::any::Any>(order: &Order) -> [Option<&T>; 2] {
//! #         [(order as &dyn std::any::Any).downcast_ref(), None]
//! #     }
//! #     fn error(error: BoxError) -> ProbeError { ProbeError::Middleware(error) }
//! # }
//! # let stack = layer.layer(Terminal);
//! # let start = |amount| Call::<StartWorkflow, _, _>::new(stack.clone(), Order { amount }, (), |order: Order| {
//! #     std::future::ready(Ok(order.amount))
//! # }).now();
//! # assert_eq!(start(7).unwrap(), 7);
//! # assert_eq!(start(-5).unwrap_err().to_string(), "middleware failed: invalid: an order of -5 is none");
//! ```
//!
//! The layer looks at every argument that is of the closure's type, in whichever call: a workflow that is started with it, an
//! update or signal that carries it, an activity that is scheduled or executed with it. Calls without such an argument pass.
//! What the closure finds wrong is an [`Invalid`]: `INVALID_ARGUMENT` for a client, a failure that is not retried for an
//! activity or a workflow.
//!
//! The type is that of the call's input: a struct, a `String`, or the SDK's `MultiArgs2` and so on for more than one. The second
//! argument is the [`CallInfo`](crate::CallInfo), for a closure that needs to know which call it is; to look at one operation
//! only, put the layer inside [`on`](tower_temporal_core::on()).
//!
//! # Workflows
//!
//! The layer is replay-safe. As any policy in a workflow, the closure has to say the same on replay: see
//! [`authorize`](crate::authorize#workflows). An update
//! is refused before it is accepted, since its arguments are looked at in `validate_update` too. A signal is dropped, with a
//! `tracing` warning. The arguments of a workflow
//! with an `#[init]` method are those of `initialize_workflow`, which the SDK lets nobody refuse: its task fails until it is
//! terminated. Look at them in the client's stack as well.

mod layer;

pub use self::layer::ValidateLayer;

#[doc(no_inline)]
pub use tower_temporal_core::Invalid;
