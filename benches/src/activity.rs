//! Activities of a worker that is given its tasks in this process, one after the other.

use crate::{Case, Variant, pass::with_stack, variants};
use std::rc::Rc;
use temporalio_client::ClientOptions;
use temporalio_macros::activities;
use temporalio_sdk::{
    Runtime as WorkerRuntime, Worker, WorkerOptions,
    activities::{ActivityContext, ActivityError},
    interceptors::{ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next},
};
use tokio::{runtime::Runtime, task::LocalSet};
use tower_temporal::activity::Interceptor;
use tower_temporal_test::{
    Frontend,
    frontend::{ActivityOutcome, activity_task, json},
};

const TASK_QUEUE: &str = "orders";

struct Activities;

#[activities]
impl Activities {
    #[activity]
    async fn double(_: ActivityContext, value: u64) -> Result<u64, ActivityError> {
        Ok(value * 2)
    }
}

pub(crate) fn cases(runtime: &Rc<Runtime>) -> Vec<Case> {
    variants()
        .map(|variant| execute_activity(runtime.clone(), variant))
        .collect()
}

fn execute_activity(runtime: Rc<Runtime>, variant: Variant) -> Case {
    Case::new("activity: execute_activity", variant, move || {
        let runtime = runtime.clone();
        let (worker, frontend) = start(&runtime, variant);
        move |calls| {
            runtime.block_on(worker.run_until(async {
                for _ in 0..calls {
                    let task = activity_task(Activities::double.name(), [json(&2)]);
                    let outcome = frontend.run_activity(TASK_QUEUE, task).await;
                    assert_eq!(outcome, ActivityOutcome::completed([json(&4)]));
                }
            }));
        }
    })
}

fn start(runtime: &Runtime, variant: Variant) -> (LocalSet, Frontend) {
    let frontend = Frontend::without_records();
    let worker = LocalSet::new();
    let mut sdk_worker = runtime.block_on(async {
        let client = frontend
            .client(ClientOptions::new("default").build())
            .await
            .expect("the frontend answers");
        let mut options = WorkerOptions::new(TASK_QUEUE)
            .register_activities(Activities)
            .build();
        install(&mut options, variant);
        let runtime = WorkerRuntime::from_current_tokio(Default::default())
            .expect("this is a runtime of tokio's");
        Worker::new(&runtime, client, options).expect("the options are valid")
    });
    worker.spawn_local(async move { sdk_worker.run().await });
    (worker, frontend)
}

fn install(options: &mut WorkerOptions, variant: Variant) {
    match variant {
        Variant::None | Variant::Layer(_) => {}
        Variant::Sdk(n) => {
            for _ in 0..n {
                options.activity_inbound_interceptor(PassOn);
            }
        }
        Variant::Tower(n) => {
            with_stack!(n, |stack| {
                options.activity_inbound_interceptor(Interceptor::new(&stack));
            });
        }
    }
}

/// The SDK's way to pass calls on.
struct PassOn;

impl ActivityInboundInterceptor for PassOn {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        Box::pin(async move { next.run(input).await })
    }
}
