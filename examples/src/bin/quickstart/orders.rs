//! An order: it charges, checks stock, waits to be approved, ships, and continues as a new run once.

use super::UserId;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    SignalWorkflowOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView,
    WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tower_temporal::{
    activity::ActivityContextExt, propagation::ContextKey, workflow::ContextValues,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    item: String,
    /// Set once the order has been shipped; what is left is to close it.
    shipped_by: Option<String>,
}

impl Order {
    pub(crate) fn new(item: &str) -> Self {
        Self {
            item: item.to_owned(),
            shipped_by: None,
        }
    }
}

pub(crate) struct Activities;

#[activities]
impl Activities {
    #[activity]
    pub(crate) async fn check_stock(
        _: ActivityContext,
        item: String,
    ) -> Result<bool, ActivityError> {
        Ok(!item.is_empty())
    }

    #[activity]
    pub(crate) async fn charge(
        ctx: ActivityContext,
        item: String,
    ) -> Result<String, ActivityError> {
        ctx.outbound().heartbeat("charging".to_owned()).await?;
        match UserId::current() {
            Some(user) => Ok(format!("{user} pays for a {item}")),
            None => Err(anyhow::anyhow!("nobody is there to pay for a {item}").into()),
        }
    }
}

#[workflow]
pub(crate) struct OrderWorkflow {
    order: Order,
    approved_by: Option<String>,
    address: Option<String>,
}

#[workflow_methods]
impl OrderWorkflow {
    #[init]
    fn new(_: &WorkflowContextView, order: Order) -> Self {
        Self {
            order,
            approved_by: None,
            address: None,
        }
    }

    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let mut order = ctx.state(|this| this.order.clone());
        let activity = ActivityOptions::start_to_close_timeout(TIMEOUT);
        if let Some(user) = order.shipped_by {
            let charged = ctx
                .execute_activity(Activities::charge, order.item, activity)
                .await?;
            return Ok(format!("{charged}, shipped for {user}"));
        }

        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(TIMEOUT)
            .build();
        ctx.execute_local_activity(Activities::check_stock, order.item.clone(), local)
            .await?;
        ctx.execute_activity(Activities::charge, order.item.clone(), activity)
            .await?;
        ctx.wait_condition(|this| this.approved_by.is_some() && this.address.is_some())
            .await?;

        let child = ChildWorkflowOptions::workflow_id(format!("{}-shipping", ctx.workflow_id()));
        let shipping = ctx
            .start_child_workflow(ShippingWorkflow::run, (), child)
            .await?;
        shipping
            .signal(
                ShippingWorkflow::dispatch,
                (),
                SignalWorkflowOptions::default(),
            )
            .await?;
        order.shipped_by = Some(shipping.result().await?);
        match ctx.continue_as_new(order, ContinueAsNewOptions::default())? {}
    }

    #[signal]
    pub(crate) fn approve(&mut self, ctx: &mut SyncWorkflowContext<Self>) {
        self.approved_by = ctx.current::<UserId>().map(|user| user.to_string());
    }

    #[query]
    pub(crate) fn status(&self, ctx: &WorkflowContextView) -> String {
        format!("{:?}, asked by {:?}", self.order, ctx.current::<UserId>())
    }

    #[update_validator(set_address)]
    fn validate_address(&self, _: &WorkflowContextView, address: &str) -> Result<(), BoxError> {
        if address.is_empty() {
            return Err("an address can't be empty".into());
        }
        Ok(())
    }

    #[update]
    pub(crate) fn set_address(&mut self, _: &mut SyncWorkflowContext<Self>, address: String) {
        self.address = Some(address);
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct ShippingWorkflow {
    dispatched: bool,
}

#[workflow_methods]
impl ShippingWorkflow {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        ctx.wait_condition(|this| this.dispatched).await?;
        ctx.timer(Duration::from_millis(10)).await;
        Ok(ctx
            .current::<UserId>()
            .map_or_else(|| "nobody".to_owned(), |user| user.to_string()))
    }

    #[signal]
    pub(crate) fn dispatch(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.dispatched = true;
    }
}
