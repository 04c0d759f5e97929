//! A program that starts a workflow and waits for its result. `cargo bench --bench compile` builds it without a stack and
//! with one.

#[cfg(feature = "stack")]
mod stack;

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, UntypedWorkflow, Url,
    WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_common::data_converters::RawValue;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = ConnectionOptions::new(Url::parse("http://localhost:7233")?).build();
    let connection = Connection::connect(server).await?;
    let options = ClientOptions::new("default");
    #[cfg(feature = "stack")]
    let options = options.plugin(stack::interceptors());
    let client = Client::new(connection, options.build())?;

    let order = WorkflowStartOptions::new("orders", "order-1").build();
    let handle = client
        .start_workflow(UntypedWorkflow::new("Order"), RawValue::empty(), order)
        .await?;
    let result = handle
        .get_result(WorkflowGetResultOptions::default())
        .await?;
    println!("{} payloads", result.payloads.len());
    Ok(())
}
