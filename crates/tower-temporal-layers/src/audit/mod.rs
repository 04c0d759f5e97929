//! One record of every call: what it was, who made it, how it ended and how long it took.
//!
//! ```
//! use tokio::sync::mpsc;
//! use tower_temporal_core::{ContextKey, Terminal};
//! use tower_temporal_layers::audit::{AuditLayer, AuditRecord};
//! # use tower_layer::Layer;
//! # use tower_temporal_core::probe::{self, ClientProbe};
//!
//! struct UserId;
//!
//! impl ContextKey for UserId {
//!     type Value = String;
//!     const HEADER: &'static str = "user-id";
//! }
//!
//! let (send, mut receive) = mpsc::channel::<AuditRecord<String>>(1024);
//! let layer = AuditLayer::new(send).who::<UserId>();
//!
//! // What writes the records somewhere, in its own time.
//! let writer = async move {
//!     while let Some(record) = receive.recv().await {
//!         let who = record.who.as_deref().map_or("-", String::as_str);
//!         println!("{who} {} {} {:?} {:?}", record.operation, record.target, record.outcome, record.latency);
//!     }
//! };
//!
//! // In every stack, outside of what may refuse a call.
//! let stack = layer.layer(Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let call = probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(7));
//! # UserId::scope("alice".to_owned(), call).await.unwrap();
//! # assert_eq!(layer.dropped(), 0);
//! # drop(layer);
//! # writer.await;
//! # });
//! ```
//!
//! A record goes to an [`AuditSink`]: the sender of a bounded channel, which never holds up the call, or a closure, which runs
//! as part of the call and must not block. A record that the channel has no room for is dropped, and
//! [`dropped`](AuditLayer::dropped) counts those. Arguments, results, headers and the text of errors are not in a record.
//!
//! The [`Outcome`](crate::Outcome) tells a call that was cancelled or a workflow that continued as new from one that completed.
//! A call that is dropped by its caller, as by a timeout outside, has a record too: its outcome is
//! [`GivenUp`](crate::Outcome::GivenUp). If it is dropped since something inside has panicked, it is
//! [`Failed(Panicked)`](tower_temporal_core::ErrorKind::Panicked).
//!
//! # Workflows
//!
//! The layer is replay-safe: nothing a workflow does depends on a record. A call has its record when it ends and history is
//! not being replayed then. So a call that began before its workflow was evicted from a worker, and ended after, is recorded
//! once; its latency is not known. A call of a workflow that is given up is not recorded, since an eviction looks the same.
//! Nor is `initialize_workflow`, which runs again in each replay and does not tell: the `execute` that follows is.
//!
//! A workflow task that the server has run again, since it failed or its outcome came too late, is no replay to the SDK: its
//! calls are recorded again. A sink can tell by the operation, the run id (the `target`'s for calls into a workflow, the
//! `caller`'s for its own) and what is there once in a run: an update's id, an activity's if the workflow gives it one, a child's
//! workflow id. Two signals of the same name look the same, and so do two activities of a type whose ids the SDK gives. A
//! worker's `execute_activity` is not of a workflow's task: each attempt is recorded once, with the ids and the attempt.

mod layer;
mod record;
mod sink;

pub use self::{
    layer::{AuditLayer, AuditState, NoOne},
    record::AuditRecord,
    sink::AuditSink,
};
