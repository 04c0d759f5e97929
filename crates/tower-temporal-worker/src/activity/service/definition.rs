use super::{ActivityService, FromInput, ServiceActivity};
use futures_util::future::BoxFuture;
use std::{fmt, marker::PhantomData, sync::Arc};
use temporalio_common::{
    ActivityDefinition,
    data_converters::{TemporalDeserializable, TemporalSerializable},
};
use temporalio_sdk::activities::{ActivityContext, ActivityError, ExecutableActivity};

/// The definition of an activity whose name is chosen at run time, with an input `I` and an output `O`.
///
/// Both [`from_service`](super::from_service) and a workflow's `execute_activity` take it.
pub struct Named<I, O> {
    name: Arc<str>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Named<I, O> {
    /// The activity of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            types: PhantomData,
        }
    }
}

impl<I, O> ActivityDefinition for Named<I, O>
where
    I: TemporalDeserializable + TemporalSerializable + 'static,
    O: TemporalDeserializable + TemporalSerializable + 'static,
{
    type Input = I;
    type Output = O;

    fn name(&self) -> &str {
        &self.name
    }
}

impl<I, O> Clone for Named<I, O> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone())
    }
}

impl<I, O> fmt::Debug for Named<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

tokio::task_local! {
    /// The name of the activity that is being registered.
    static NAME: Arc<str>;
}

/// What the SDK registers. It asks the type for the name, and not the value; so the value is told on the side.
pub(super) struct Registered<D, R, S> {
    name: Arc<str>,
    types: PhantomData<fn(R, S) -> D>,
}

impl<D, R, S> Registered<D, R, S> {
    pub(super) fn with_name(name: Arc<str>, register: impl FnOnce()) {
        NAME.sync_scope(name, register);
    }
}

impl<D: ActivityDefinition, R, S> ActivityDefinition for Registered<D, R, S> {
    type Input = D::Input;
    type Output = D::Output;

    fn name(&self) -> &str {
        &self.name
    }
}

impl<D, R, S> ExecutableActivity for Registered<D, R, S>
where
    D: ActivityDefinition + 'static,
    R: FromInput<D::Input> + Send + 'static,
    S: ActivityService<R, D::Output>,
    D::Input: Send + Sync,
    D::Output: Send + Sync,
{
    type Implementer = ServiceActivity<D, R, S>;

    const REQUIRES_INSTANCE: bool = true;

    fn definition() -> Self {
        // Outside a registration the SDK asks only to say in an error which activity it is about.
        let name = NAME.try_with(Clone::clone);
        Self {
            name: name.unwrap_or_else(|_| "from a service".into()),
            types: PhantomData,
        }
    }

    fn execute(
        receiver: Option<Arc<Self::Implementer>>,
        context: ActivityContext,
        input: D::Input,
    ) -> BoxFuture<'static, Result<D::Output, ActivityError>> {
        let activity = receiver.expect("the SDK keeps to `REQUIRES_INSTANCE`");
        activity.execute(context, input)
    }
}
