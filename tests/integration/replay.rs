//! Histories that were recorded once are replayed, with the stacks they were recorded with and without.
//!
//! They are in `tests/histories`. They say that workflows which were started with an older version of the stacks go on with
//! this one, so record them again only if that is not to be:
//!
//! ```text
//! cargo test -p integration-tests -- --ignored replay::records_the_histories
//! ```

use crate::{
    support::patiently,
    workflow::{
        everything,
        layers::Log,
        subject::{Child, Created, Subject},
    },
    workflow_timeout::{self, Leaves, Waits, activity_timeout, long_timeout, workflow_timeout},
};
use futures::{FutureExt, future::LocalBoxFuture};
use std::path::PathBuf;
use temporalio_client::WorkflowHistory;
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
};
use tower_temporal::Interceptors;

/// Replays a history of any of the workflows of these tests.
pub(crate) async fn replay(
    history: WorkflowHistory,
    interceptors: Interceptors,
) -> Result<(), WorkflowReplayError> {
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<Subject>()
        .unwrap()
        .register_workflow::<Child>()
        .unwrap()
        .register_workflow::<Created>()
        .unwrap()
        .register_workflow::<Waits>()
        .unwrap()
        .register_workflow::<Leaves>()
        .unwrap()
        .worker_plugin(interceptors)
        .build();
    let replayer = WorkflowReplayer::new(options)?;
    let replay = replayer.replay_workflow(history);
    patiently("the replay", replay).await
}

/// A workflow whose history is checked in.
struct Recorded {
    name: &'static str,
    /// The stacks it ran with.
    stacks: fn() -> Interceptors,
    /// Whether its commands are the same without them.
    same_without: bool,
    record: fn() -> LocalBoxFuture<'static, History>,
}

const RECORDED: [Recorded; 5] = [
    Recorded {
        name: "everything",
        stacks: || everything::many_layers(&Log::default()),
        same_without: true,
        record: || everything::history_of_everything().boxed_local(),
    },
    Recorded {
        name: "activity-timed-out",
        stacks: || activity_timeout(false),
        same_without: false,
        record: || waits(activity_timeout(false), "forever"),
    },
    Recorded {
        name: "activity-timed-out-and-waited-for",
        stacks: || activity_timeout(true),
        same_without: false,
        record: || waits(activity_timeout(true), "forever"),
    },
    Recorded {
        name: "activity-in-time",
        stacks: long_timeout,
        same_without: false,
        record: || waits(long_timeout(), "at once"),
    },
    Recorded {
        name: "workflow-timed-out",
        stacks: workflow_timeout,
        same_without: false,
        record: || waits(workflow_timeout(), "wait"),
    },
];

fn waits(interceptors: Interceptors, activity: &'static str) -> LocalBoxFuture<'static, History> {
    async move {
        let (_, history) = workflow_timeout::run(interceptors, activity).await;
        history
    }
    .boxed_local()
}

impl Recorded {
    fn path(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("histories/{}.json", self.name))
    }

    fn history(&self) -> WorkflowHistory {
        let path = self.path();
        let json = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()));
        WorkflowHistory::from_json(&json)
            .unwrap_or_else(|error| panic!("{} is no history: {error}", path.display()))
    }
}

fn is_nondeterminism(replayed: &Result<(), WorkflowReplayError>) -> bool {
    matches!(
        replayed,
        Err(WorkflowReplayError::Replay(
            WorkflowReplayFailure::Nondeterminism { .. }
        ))
    )
}

#[tokio::test]
#[ignore = "it rewrites the histories that are checked in"]
async fn records_the_histories() {
    for recorded in RECORDED {
        let history = (recorded.record)().await;
        let mut json = serde_json::to_string_pretty(&history).expect("a history is JSON");
        json.push('\n');
        let path = recorded.path();
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).unwrap();
        std::fs::write(&path, json)
            .unwrap_or_else(|error| panic!("can't write {}: {error}", path.display()));
    }
}

#[tokio::test]
async fn recorded_histories_replay_with_the_stacks_they_were_recorded_with() {
    for recorded in RECORDED {
        let replayed = replay(recorded.history(), (recorded.stacks)()).await;
        assert!(replayed.is_ok(), "`{}`: {replayed:?}", recorded.name);
    }
}

#[tokio::test]
async fn without_stacks_they_replay_unless_the_stacks_made_commands() {
    for recorded in RECORDED {
        let none = Interceptors::builder().build();
        let replayed = replay(recorded.history(), none).await;
        let name = recorded.name;
        if recorded.same_without {
            assert!(replayed.is_ok(), "`{name}`: {replayed:?}");
        } else {
            assert!(is_nondeterminism(&replayed), "`{name}`: {replayed:?}");
        }
    }
}

#[tokio::test]
async fn a_stack_that_makes_other_commands_is_caught() {
    for (recorded, other) in [
        (&RECORDED[0], workflow_timeout()),
        (&RECORDED[1], workflow_timeout()),
        (&RECORDED[4], long_timeout()),
    ] {
        let replayed = replay(recorded.history(), other).await;
        let name = recorded.name;
        assert!(is_nondeterminism(&replayed), "`{name}`: {replayed:?}");
    }
}
