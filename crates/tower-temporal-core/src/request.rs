use crate::{
    Headers, HeadersMut, Operation, Queued, Target,
    rendezvous::{Guest, Parcel, Slot},
    scope::Values,
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

/// The input, and the way back.
pub(crate) type CallParcel<O> =
    Parcel<<O as Operation>::Input, Result<<O as Operation>::Output, <O as Operation>::Error>>;

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
/// The [`extensions`](Self::extensions) carry whatever one layer wants to tell those inside it. They end with the stack: what an
/// activity's or a workflow's own code is to see is a [`ContextKey`](crate::ContextKey)'s value, and what is to reach the other
/// side goes into the [`headers_mut`](Self::headers_mut).
pub struct Request<O: Operation> {
    parcel: CallParcel<O>,
    context: O::Context,
    extensions: Extensions,
}

impl<O: Operation> Request<O> {
    /// A request that no SDK call is behind: for operations of your own, and probes in unit tests of a layer.
    ///
    /// Inputs of the SDK's own calls can mostly not be made outside the SDK; to test a layer with them see the crate
    /// `tower-temporal-test`.
    ///
    /// [`Terminal`](crate::Terminal) has nothing to continue with and answers it with
    /// [`CallError::Detached`](crate::CallError::Detached): put a mock at the bottom of the stack.
    pub fn new(input: O::Input, context: O::Context) -> Self {
        Self::with_slot(input, None, context)
    }

    // It and `into_guest` build all at once: a part that is built by itself is copied once more.
    #[inline]
    pub(crate) fn with_slot(
        input: O::Input,
        slot: Option<Arc<CallSlot<O>>>,
        context: O::Context,
    ) -> Self {
        Self {
            parcel: Parcel {
                input: Some(input),
                slot,
            },
            context,
            extensions: Extensions::new(),
        }
    }

    /// The guest that goes the way back, if there is one.
    #[inline]
    pub(crate) fn into_guest(self) -> CallGuest<O> {
        let values = Values::current();
        Guest {
            parcel: self.parcel,
            values,
        }
    }

    /// The operation's input, as the request dereferences to it.
    pub fn input(&self) -> &O::Input {
        self.parcel.input.as_ref().expect("the request is whole")
    }

    /// The operation's input, to be changed.
    pub fn input_mut(&mut self) -> &mut O::Input {
        self.parcel.input.as_mut().expect("the request is whole")
    }

    /// What surrounds the call: the SDK's interceptor context in workflows, `()` elsewhere.
    pub fn context(&self) -> &O::Context {
        &self.context
    }

    /// The Temporal headers the input carries.
    pub fn headers(&self) -> Headers<'_> {
        O::headers(self.input())
    }

    /// The Temporal headers the input carries, to be changed.
    pub fn headers_mut(&mut self) -> HeadersMut<'_> {
        O::headers_mut(self.input_mut())
    }

    /// What the call is aimed at.
    pub fn target(&self) -> Target<'_> {
        O::target(self.input(), &self.context)
    }

    /// How long the call has waited in a task queue, if it has.
    pub fn queued(&self) -> Option<Queued> {
        O::queued(self.input())
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
    pub fn into_parts(mut self) -> (O::Input, O::Context, Extensions) {
        self.parcel.slot = None;
        let input = self.parcel.input.take().expect("the request is whole");
        (input, self.context, self.extensions)
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
            parcel: Parcel {
                input: self.parcel.input.clone(),
                slot: self.parcel.slot.clone(),
            },
            context: self.context.clone(),
            extensions: self.extensions.clone(),
        }
    }
}

impl<O: Operation> Deref for Request<O> {
    type Target = O::Input;

    fn deref(&self) -> &O::Input {
        self.input()
    }
}

impl<O: Operation> DerefMut for Request<O> {
    fn deref_mut(&mut self) -> &mut O::Input {
        self.input_mut()
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
