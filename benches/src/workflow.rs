//! Calls of workflows, out and in, while histories are replayed. A history holds [`CALLS`] of them.

use crate::{Case, Variant, pass::with_stack, variants};
use std::{rc::Rc, time::Duration};
use temporalio_client::WorkflowHistory;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowType,
    history::v1::{
        History, HistoryEvent, TimerFiredEventAttributes, TimerStartedEventAttributes,
        WorkflowExecutionCompletedEventAttributes, WorkflowExecutionSignaledEventAttributes,
        WorkflowExecutionStartedEventAttributes, WorkflowTaskCompletedEventAttributes,
        WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes,
        history_event::Attributes,
    },
    taskqueue::v1::TaskQueue,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    SyncWorkflowContext, TimerResult, WorkflowContext, WorkflowResult,
    workflow_interceptors::{
        CancellableWorkflowOutboundFuture, HandleSignalInput, HandleSignalResult, StartTimerInput,
        WorkflowInterceptor, WorkflowInterceptorConstructor, WorkflowInterceptorContext,
        WorkflowInterceptorFuture, WorkflowNext,
    },
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
};
use tokio::runtime::Runtime;
use tower_temporal::workflow::interceptor;

/// How many calls a history has.
const CALLS: u32 = 100;

#[workflow]
#[derive(Default)]
struct Timers;

#[workflow_methods]
impl Timers {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let timers: Vec<_> = (0..CALLS)
            .map(|_| ctx.timer(Duration::from_secs(1)))
            .collect();
        for timer in timers {
            timer.await;
        }
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Signals {
    seen: u32,
}

#[workflow_methods]
impl Signals {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        ctx.wait_condition(|workflow| workflow.seen == CALLS)
            .await?;
        Ok(())
    }

    #[signal]
    fn see(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.seen += 1;
    }
}

pub(crate) fn cases(runtime: &Rc<Runtime>) -> Vec<Case> {
    let timers = timers();
    let signals = signals();
    let outbound =
        variants().map(|variant| replay("workflow: start_timer", runtime, variant, &timers));
    let inbound =
        variants().map(|variant| replay("workflow: handle_signal", runtime, variant, &signals));
    outbound.chain(inbound).collect()
}

fn replay(
    scenario: &'static str,
    runtime: &Rc<Runtime>,
    variant: Variant,
    history: &History,
) -> Case {
    let runtime = runtime.clone();
    let history = history.clone();
    let prepare = move || {
        let mut options = WorkflowReplayerOptions::new()
            .register_workflow::<Timers>()
            .and_then(|options| options.register_workflow::<Signals>())
            .expect("their names differ");
        for interceptor in interceptors(variant) {
            options = options.workflow_interceptor(interceptor);
        }
        let replayer = WorkflowReplayer::new(options.build()).expect("the options are valid");
        let (runtime, history) = (runtime.clone(), history.clone());
        move |calls| {
            runtime.block_on(async {
                for _ in 0..calls / CALLS {
                    replayer
                        .replay_workflow(WorkflowHistory::from(history.clone()))
                        .await
                        .expect("the history is the workflow's");
                }
            });
        }
    };
    Case {
        step: CALLS,
        ..Case::new(scenario, variant, prepare)
    }
}

fn interceptors(variant: Variant) -> Vec<WorkflowInterceptorConstructor> {
    match variant {
        Variant::None | Variant::Layer(_) => Vec::new(),
        Variant::Sdk(n) => (0..n)
            .map(|_| WorkflowInterceptorConstructor::new(|_| PassOn))
            .collect(),
        Variant::Tower(n) => vec![with_stack!(n, |stack| interceptor(stack.clone(), stack))],
    }
}

/// The SDK's way to pass calls on.
struct PassOn;

impl WorkflowInterceptor for PassOn {
    fn start_timer(
        &self,
        _: WorkflowInterceptorContext,
        input: StartTimerInput,
        next: WorkflowNext<
            'static,
            StartTimerInput,
            CancellableWorkflowOutboundFuture<TimerResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<TimerResult> {
        let timer = next.run(input);
        let cancellation = timer.cancellation_handle();
        CancellableWorkflowOutboundFuture::new(timer, cancellation)
    }

    fn handle_signal<'a>(
        &'a self,
        _: WorkflowInterceptorContext,
        input: HandleSignalInput,
        next: WorkflowNext<
            'a,
            HandleSignalInput,
            WorkflowInterceptorFuture<'a, HandleSignalResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, HandleSignalResult> {
        WorkflowInterceptorFuture::new(async move { next.run(input).await })
    }
}

/// All timers are started by the first workflow task, and have fired before the second.
fn timers() -> History {
    let mut events = Events::of("Timers");
    events.begin_task();
    let workflow_task_completed_event_id = events.end_task();
    let started: Vec<_> = (1..=CALLS)
        .map(|timer| {
            let started = TimerStartedEventAttributes {
                timer_id: timer.to_string(),
                workflow_task_completed_event_id,
                ..Default::default()
            };
            events.add(Attributes::TimerStartedEventAttributes(started))
        })
        .collect();
    for (timer, started_event_id) in (1..=CALLS).zip(started) {
        events.add(Attributes::TimerFiredEventAttributes(
            TimerFiredEventAttributes {
                timer_id: timer.to_string(),
                started_event_id,
            },
        ));
    }
    events.begin_task();
    events.complete()
}

/// All signals have come before the first workflow task.
fn signals() -> History {
    let mut events = Events::of("Signals");
    for _ in 0..CALLS {
        events.add(Attributes::WorkflowExecutionSignaledEventAttributes(
            WorkflowExecutionSignaledEventAttributes {
                signal_name: "see".to_owned(),
                ..Default::default()
            },
        ));
    }
    events.begin_task();
    events.complete()
}

/// A history being written.
struct Events(Vec<HistoryEvent>);

impl Events {
    fn of(workflow: &str) -> Self {
        let mut events = Self(Vec::new());
        events.add(Attributes::WorkflowExecutionStartedEventAttributes(
            WorkflowExecutionStartedEventAttributes {
                workflow_type: Some(WorkflowType {
                    name: workflow.to_owned(),
                }),
                workflow_id: "order-1".to_owned(),
                task_queue: Some(TaskQueue::default()),
                original_execution_run_id: "run-1".to_owned(),
                first_execution_run_id: "run-1".to_owned(),
                attempt: 1,
                ..Default::default()
            },
        ));
        events
    }

    fn begin_task(&mut self) {
        let scheduled_event_id = self.add(Attributes::WorkflowTaskScheduledEventAttributes(
            WorkflowTaskScheduledEventAttributes::default(),
        ));
        self.add(Attributes::WorkflowTaskStartedEventAttributes(
            WorkflowTaskStartedEventAttributes {
                scheduled_event_id,
                ..Default::default()
            },
        ));
    }

    /// Right after [`begin_task`](Self::begin_task).
    fn end_task(&mut self) -> i64 {
        let started_event_id = self.0.len() as i64;
        self.add(Attributes::WorkflowTaskCompletedEventAttributes(
            WorkflowTaskCompletedEventAttributes {
                scheduled_event_id: started_event_id - 1,
                started_event_id,
                ..Default::default()
            },
        ))
    }

    fn complete(mut self) -> History {
        let workflow_task_completed_event_id = self.end_task();
        self.add(Attributes::WorkflowExecutionCompletedEventAttributes(
            WorkflowExecutionCompletedEventAttributes {
                workflow_task_completed_event_id,
                ..Default::default()
            },
        ));
        History { events: self.0 }
    }

    fn add(&mut self, attributes: Attributes) -> i64 {
        let event_id = self.0.len() as i64 + 1;
        self.0.push(HistoryEvent {
            event_id,
            event_time: Some(Default::default()),
            event_type: attributes.event_type().into(),
            attributes: Some(attributes),
            ..Default::default()
        });
        event_id
    }
}
