use http::Extensions;
use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::SystemTime,
};
use temporalio_sdk::activities::ActivityContext;

/// What a service is called with, made of an activity's input.
///
/// It is implemented for the input itself, and for requests that have extensions, where the [`ActivityContext`] goes.
pub trait FromInput<I> {
    /// The request for this input.
    fn from_input(input: I, context: ActivityContext) -> Self;
}

impl<I> FromInput<I> for I {
    fn from_input(input: I, _: ActivityContext) -> I {
        input
    }
}

/// An activity's input, with extensions. It dereferences to the input.
#[derive(Clone, Default)]
pub struct Call<I> {
    input: I,
    extensions: Extensions,
}

impl<I> Call<I> {
    /// A call that no activity is behind, for tests of a service.
    pub fn new(input: I) -> Self {
        Self {
            input,
            extensions: Extensions::new(),
        }
    }

    /// The input alone.
    pub fn into_input(self) -> I {
        self.input
    }

    /// The activity: its attempt, deadline and ids, its cancellation, its heartbeats. It is there unless the call was
    /// made by hand.
    pub fn context(&self) -> Option<&ActivityContext> {
        self.extensions.get()
    }

    /// What is attached to the call.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What is attached to the call, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

impl<I> FromInput<I> for Call<I> {
    fn from_input(input: I, context: ActivityContext) -> Self {
        let mut call = Self::new(input);
        call.extensions.insert(context);
        call
    }
}

impl<I> Deref for Call<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.input
    }
}

impl<I> DerefMut for Call<I> {
    fn deref_mut(&mut self) -> &mut I {
        &mut self.input
    }
}

/// The input is left out: it may be what should not be logged.
impl<I> fmt::Debug for Call<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("info", &self.context().map(ActivityContext::info))
            .finish_non_exhaustive()
    }
}

/// The input is the body; method and path are the service's to set.
impl<I> FromInput<I> for http::Request<I> {
    fn from_input(input: I, context: ActivityContext) -> Self {
        let mut request = Self::new(input);
        request.extensions_mut().insert(context);
        request
    }
}

/// The activity's deadline is that of the call.
impl<I> FromInput<I> for tonic::Request<I> {
    fn from_input(input: I, context: ActivityContext) -> Self {
        let mut request = Self::new(input);
        if let Some(deadline) = context.info().deadline {
            let left = deadline.duration_since(SystemTime::now());
            request.set_timeout(left.unwrap_or_default());
        }
        request.extensions_mut().insert(context);
        request
    }
}
