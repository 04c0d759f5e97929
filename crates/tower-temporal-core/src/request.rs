use crate::{
    Headers, HeadersMut, Operation, Target,
    rendezvous::{Guest, Slot},
};
use http::Extensions;
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// The way back to the adapter.
pub(crate) type CallSlot<O> =
    Slot<<O as Operation>::Input, Result<<O as Operation>::Output, <O as Operation>::Error>>;

/// What continues with the SDK's next step.
pub(crate) type CallGuest<O> =
    Guest<<O as Operation>::Input, Result<<O as Operation>::Output, <O as Operation>::Error>>;

/// A call on its way through a stack: what the SDK was asked to do, and what surrounds it.
///
/// It dereferences to the operation's input, whose fields and methods are the SDK's own.
///
/// ```
/// # use tower_temporal_core::{Operation, Request};
/// fn log<O: Operation>(request: &Request<O>) {
///     println!("{}: {} to {}", O::CATEGORY, O::NAME, request.target());
/// }
/// ```
///
/// The [`extensions`](Self::extensions) carry whatever one layer wants to tell those inside it. They stay in this
/// process; what is to reach the other side goes into the [`headers_mut`](Self::headers_mut).
pub struct Request<O: Operation> {
    input: O::Input,
    context: O::Context,
    extensions: Extensions,
    slot: Option<Arc<CallSlot<O>>>,
}

impl<O: Operation> Request<O> {
    /// A request that no SDK call is behind, for unit tests of a layer.
    ///
    /// [`Terminal`](crate::Terminal) has nothing to continue with and answers it with
    /// [`CallError::Detached`](crate::CallError::Detached): put a mock at the bottom of the stack.
    pub fn new(input: O::Input, context: O::Context) -> Self {
        Self {
            input,
            context,
            extensions: Extensions::new(),
            slot: None,
        }
    }

    #[inline]
    pub(crate) fn with_slot(input: O::Input, context: O::Context, slot: Arc<CallSlot<O>>) -> Self {
        Self {
            input,
            context,
            extensions: Extensions::new(),
            slot: Some(slot),
        }
    }

    /// The guest that goes the way back, if there is one.
    #[inline]
    pub(crate) fn into_guest(self) -> Option<CallGuest<O>> {
        let Self { input, slot, .. } = self;
        slot.map(|slot| Guest::new(slot, input))
    }

    /// The operation's input, as the request dereferences to it.
    pub fn input(&self) -> &O::Input {
        &self.input
    }

    /// The operation's input, to be changed.
    pub fn input_mut(&mut self) -> &mut O::Input {
        &mut self.input
    }

    /// What surrounds the call: the SDK's interceptor context in workflows, `()` elsewhere.
    pub fn context(&self) -> &O::Context {
        &self.context
    }

    /// The Temporal headers the input carries.
    pub fn headers(&self) -> Headers<'_> {
        O::headers(&self.input)
    }

    /// The Temporal headers the input carries, to be changed.
    pub fn headers_mut(&mut self) -> HeadersMut<'_> {
        O::headers_mut(&mut self.input)
    }

    /// What the call is aimed at.
    pub fn target(&self) -> Target<'_> {
        O::target(&self.input, &self.context)
    }

    /// What layers have attached to the request. It never leaves the process.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What layers have attached to the request, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// Takes the request apart. It can't be put together again: the way back to the call is gone.
    pub fn into_parts(self) -> (O::Input, O::Context, Extensions) {
        (self.input, self.context, self.extensions)
    }
}

/// A clone belongs to the same call. Only one of them can reach [`Terminal`](crate::Terminal): see
/// [`CallError::Twice`](crate::CallError::Twice).
impl<O> Clone for Request<O>
where
    O: Operation,
    O::Input: Clone,
    O::Context: Clone,
{
    fn clone(&self) -> Self {
        Self {
            input: self.input.clone(),
            context: self.context.clone(),
            extensions: self.extensions.clone(),
            slot: self.slot.clone(),
        }
    }
}

impl<O: Operation> Deref for Request<O> {
    type Target = O::Input;

    fn deref(&self) -> &O::Input {
        &self.input
    }
}

impl<O: Operation> DerefMut for Request<O> {
    fn deref_mut(&mut self) -> &mut O::Input {
        &mut self.input
    }
}

/// Says which call it is. Inputs are left out: they may hold what should not be logged.
impl<O: Operation> fmt::Debug for Request<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &O::NAME)
            .field("category", &O::CATEGORY)
            .field("target", &self.target())
            .finish_non_exhaustive()
    }
}
