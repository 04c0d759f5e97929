use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc};
use temporalio_common::{
    ActivityDefinition, HasWorkflowDefinition, QueryDefinition, SignalDefinition, UpdateDefinition,
    WorkflowDefinition,
};

/// One of the SDK's definitions, such as `OrderWorkflow::run`, as a request holds it.
///
/// What the SDK's macros generate can't be cloned, and a request that is retried is. So requests share the definition.
pub struct Definition<D>(Arc<D>);

impl<D> From<D> for Definition<D> {
    fn from(definition: D) -> Self {
        Self(Arc::new(definition))
    }
}

impl<D> Clone for Definition<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D> Deref for Definition<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.0
    }
}

impl<D> fmt::Debug for Definition<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Definition")
            .field(&std::any::type_name::<D>())
            .finish()
    }
}

macro_rules! delegate {
    ($($definition:ident { $($type:ident),* })*) => {$(
        impl<D: $definition> $definition for Definition<D> {
            $(type $type = D::$type;)*

            fn name(&self) -> &str {
                self.0.name()
            }
        }
    )*};
}

delegate! {
    WorkflowDefinition { Input, Output }
    SignalDefinition { Workflow, Input }
    QueryDefinition { Workflow, Input, Output }
    UpdateDefinition { Workflow, Input, Output }
    ActivityDefinition { Input, Output }
}

impl<D: HasWorkflowDefinition> HasWorkflowDefinition for Definition<D> {
    type Run = D::Run;
}

/// A workflow that takes the signals, queries and updates of `W`: for handles, which need one by name only.
///
/// The SDK's handles are typed by something that *has* a workflow definition, its handlers by the definition itself.
pub(super) struct Of<W>(PhantomData<fn() -> W>);

impl<W: WorkflowDefinition> WorkflowDefinition for Of<W> {
    type Input = W::Input;
    type Output = W::Output;

    fn name(&self) -> &str {
        unreachable!("there is no value of this type")
    }
}

impl<W: WorkflowDefinition> HasWorkflowDefinition for Of<W> {
    type Run = W;
}
