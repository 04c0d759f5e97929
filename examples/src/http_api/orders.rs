//! The workflow of an order.

use super::payments::{Charge, Payments};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use temporalio_common::RetryPolicy;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewOrder {
    /// The order's id, which is the workflow's.
    pub id: String,
    /// What it costs.
    pub cents: u32,
}

/// How an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it costs.
    pub cents: u32,
    /// Where it goes.
    pub address: Option<String>,
    /// Whether it may be charged.
    pub is_approved: bool,
}

/// Waits for an address and an approval, and then charges.
#[workflow]
pub(crate) struct OrderWorkflow {
    id: String,
    status: Status,
}

#[workflow_methods]
impl OrderWorkflow {
    #[init]
    fn new(_: &WorkflowContextView, order: NewOrder) -> Self {
        Self {
            id: order.id,
            status: Status {
                cents: order.cents,
                address: None,
                is_approved: false,
            },
        }
    }

    /// Gives the number of the receipt.
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        ctx.wait_condition(|order| order.status.is_approved && order.status.address.is_some())
            .await?;
        let charge = ctx.state(|order| Charge {
            order_id: order.id.clone(),
            cents: order.status.cents,
        });
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .retry_policy(RetryPolicy::builder().maximum_attempts(5).build())
            .build();
        let receipt = ctx
            .execute_activity(Payments::charge, charge, options)
            .await?;
        Ok(receipt.number)
    }

    /// The order may be charged.
    #[signal]
    pub(crate) fn approve(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.status.is_approved = true;
    }

    /// How the order stands.
    #[query]
    pub(crate) fn status(&self, _: &WorkflowContextView) -> Status {
        self.status.clone()
    }

    #[update_validator(set_address)]
    fn validate_address(&self, _: &WorkflowContextView, address: &str) -> Result<(), BoxError> {
        if address.is_empty() {
            return Err("an address can't be empty".into());
        }
        Ok(())
    }

    /// Sets where the order goes, and says how it stands then.
    #[update]
    pub(crate) fn set_address(
        &mut self,
        _: &mut SyncWorkflowContext<Self>,
        address: String,
    ) -> Status {
        self.status.address = Some(address);
        self.status.clone()
    }
}
