use temporalio_client::{
    Client, NamespacedClient, WorkflowExecutionInfo, WorkflowHandle, grpc::WorkflowService,
};
use temporalio_common::HasWorkflowDefinition;
use tower_temporal_core::Target;

/// The workflow that a request is for.
///
/// It is made from a workflow id, which means the latest run, or from a handle, which means the run of the handle:
///
/// ```
/// use tower_temporal_client::service::Execution;
///
/// let latest = Execution::from("order-1");
/// let one = Execution { run_id: Some("0199-…".to_owned()), ..latest };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Execution {
    /// The workflow's id.
    pub workflow_id: String,
    /// The run; absent for the latest.
    pub run_id: Option<String>,
    /// The first run of the chain that the call is for. A cancellation or termination that names it does not reach a
    /// later start of the same workflow id.
    pub first_execution_run_id: Option<String>,
}

impl Execution {
    /// Whether the same call can't come to another start of the same workflow id.
    pub(super) const fn is_pinned(&self) -> bool {
        self.run_id.is_some() || self.first_execution_run_id.is_some()
    }

    /// The workflow, as `client` has it.
    pub(super) fn handle<W: HasWorkflowDefinition>(
        self,
        client: &Client,
    ) -> WorkflowHandle<Client, W> {
        let info = WorkflowExecutionInfo::builder()
            .namespace(client.namespace())
            .workflow_id(self.workflow_id)
            .maybe_run_id(self.run_id)
            .maybe_first_execution_run_id(self.first_execution_run_id)
            .build();
        WorkflowHandle::new(client.clone(), info)
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target {
            run_id: self.run_id.as_deref(),
            ..Target::workflow(None, Some(&self.workflow_id))
        }
    }
}

impl From<String> for Execution {
    fn from(workflow_id: String) -> Self {
        Self {
            workflow_id,
            ..Self::default()
        }
    }
}

impl From<&str> for Execution {
    fn from(workflow_id: &str) -> Self {
        workflow_id.to_owned().into()
    }
}

impl From<&String> for Execution {
    fn from(workflow_id: &String) -> Self {
        workflow_id.clone().into()
    }
}

impl From<WorkflowExecutionInfo> for Execution {
    fn from(info: WorkflowExecutionInfo) -> Self {
        Self {
            workflow_id: info.workflow_id,
            run_id: info.run_id,
            first_execution_run_id: info.first_execution_run_id,
        }
    }
}

impl<C, W> From<&WorkflowHandle<C, W>> for Execution
where
    C: WorkflowService + Clone,
    W: HasWorkflowDefinition,
{
    fn from(handle: &WorkflowHandle<C, W>) -> Self {
        handle.info().clone().into()
    }
}

/// The standalone activity that a request is for: see [`Execution`], which is the same for workflows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActivityExecution {
    /// The activity's id.
    pub activity_id: String,
    /// The run; absent for the latest.
    pub run_id: Option<String>,
}

impl ActivityExecution {
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            activity_id: Some(&self.activity_id),
            run_id: self.run_id.as_deref(),
            ..Target::new()
        }
    }
}

impl From<String> for ActivityExecution {
    fn from(activity_id: String) -> Self {
        Self {
            activity_id,
            run_id: None,
        }
    }
}

impl From<&str> for ActivityExecution {
    fn from(activity_id: &str) -> Self {
        activity_id.to_owned().into()
    }
}

impl From<&String> for ActivityExecution {
    fn from(activity_id: &String) -> Self {
        activity_id.clone().into()
    }
}

impl<C, A> From<&temporalio_client::ActivityHandle<C, A>> for ActivityExecution
where
    A: temporalio_common::ActivityDefinition,
{
    fn from(handle: &temporalio_client::ActivityHandle<C, A>) -> Self {
        Self {
            activity_id: handle.activity_id().to_owned(),
            run_id: handle.run_id().map(str::to_owned),
        }
    }
}
