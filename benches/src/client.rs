//! Calls of a client whose server is a function in this process.

use crate::{Case, Variant, pass::with_stack, variants};
use futures_util::FutureExt;
use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};
use temporalio_client::{
    CancelWorkflowInput, Client, ClientInterceptor, ClientOptions, Connection, ConnectionOptions,
    Next, StartWorkflowInput, StartWorkflowOutput, UntypedWorkflow, Url, WorkflowCancelOptions,
    WorkflowStartOptions,
    callback_based::{CallbackBasedGrpcService, GrpcSuccessResponse},
    errors::{WorkflowInteractionError, WorkflowStartError},
};
use temporalio_common::data_converters::RawValue;
use tokio::runtime::Runtime;
use tower_temporal::client::Interceptor;

pub(crate) fn cases(runtime: &Rc<Runtime>) -> Vec<Case> {
    let cancel = variants().map(|variant| cancel_workflow(runtime.clone(), variant));
    let start = variants().map(|variant| start_workflow(runtime.clone(), variant));
    cancel.chain(start).collect()
}

fn cancel_workflow(runtime: Rc<Runtime>, variant: Variant) -> Case {
    Case::new("client: cancel_workflow", variant, move || {
        let runtime = runtime.clone();
        let client = runtime.block_on(connect(interceptors(variant)));
        let handle = client.get_workflow_handle::<UntypedWorkflow>("order-1");
        move |calls| {
            runtime.block_on(async {
                for _ in 0..calls {
                    handle
                        .cancel(WorkflowCancelOptions::default())
                        .await
                        .expect("the server answers");
                }
            });
        }
    })
}

fn start_workflow(runtime: Rc<Runtime>, variant: Variant) -> Case {
    Case::new("client: start_workflow", variant, move || {
        let runtime = runtime.clone();
        let client = runtime.block_on(connect(interceptors(variant)));
        move |calls| runtime.block_on(start(&client, calls))
    })
}

/// Starts so many workflows, one after the other.
pub(crate) async fn start(client: &Client, calls: u32) {
    for _ in 0..calls {
        client
            .start_workflow(
                UntypedWorkflow::new("Order"),
                RawValue::empty(),
                WorkflowStartOptions::new("orders", "order-1").build(),
            )
            .await
            .expect("the server answers");
    }
}

/// A client with these interceptors, and the server.
pub(crate) async fn connect(interceptors: Vec<Arc<dyn ClientInterceptor>>) -> Client {
    let server = CallbackBasedGrpcService {
        // An empty message is a good answer to every request.
        callback: Arc::new(|_| {
            async {
                Ok(GrpcSuccessResponse {
                    headers: Default::default(),
                    proto: Vec::new(),
                })
            }
            .boxed()
        }),
    };
    let url = Url::parse("http://in-memory").expect("it is a URL");
    let options = ConnectionOptions::new(url)
        .service_override(server)
        .dns_load_balancing(None)
        .build();
    let connection = Connection::connect(options)
        .await
        .expect("the server answers");
    let options = ClientOptions::new("default").client_interceptors(interceptors);
    Client::new(connection, options.build()).expect("the options are valid")
}

fn interceptors(variant: Variant) -> Vec<Arc<dyn ClientInterceptor>> {
    match variant {
        Variant::None | Variant::Layer(_) => Vec::new(),
        Variant::Sdk(n) => (0..n).map(|_| Arc::new(PassOn) as _).collect(),
        Variant::Tower(n) => vec![with_stack!(n, |stack| Arc::new(Interceptor::new(stack)) as _)],
    }
}

/// The SDK's way to pass calls on.
struct PassOn;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl ClientInterceptor for PassOn {
    fn cancel_workflow<'a>(
        &'a self,
        input: CancelWorkflowInput,
        next: Next<'a, CancelWorkflowInput, BoxFuture<'a, Result<(), WorkflowInteractionError>>>,
    ) -> BoxFuture<'a, Result<(), WorkflowInteractionError>> {
        Box::pin(async move { next.run(input).await })
    }

    fn start_workflow<'a>(
        &'a self,
        input: StartWorkflowInput,
        next: Next<
            'a,
            StartWorkflowInput,
            BoxFuture<'a, Result<StartWorkflowOutput, WorkflowStartError>>,
        >,
    ) -> BoxFuture<'a, Result<StartWorkflowOutput, WorkflowStartError>> {
        Box::pin(async move { next.run(input).await })
    }
}
