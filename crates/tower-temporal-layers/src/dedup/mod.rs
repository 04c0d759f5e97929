//! Answers an activity that has been done already from a store, without running it.
//!
//! ```
//! use moka::future::Cache;
//! use std::{convert::Infallible, time::Duration};
//! use tower_temporal_core::Terminal;
//! use tower_temporal_layers::dedup::{DedupLayer, Payload, Store};
//! # use tower_layer::Layer;
//! # use tower_temporal_core::probe::{self, ActivityInboundProbe};
//!
//! #[derive(Clone)]
//! struct Memory(Cache<String, Payload>);
//!
//! impl Store for Memory {
//!     type Error = Infallible;
//!
//!     async fn get(&self, key: &str) -> Result<Option<Payload>, Infallible> {
//!         Ok(self.0.get(key).await)
//!     }
//!
//!     async fn put(&self, key: &str, output: Payload) -> Result<(), Infallible> {
//!         self.0.insert(key.to_owned(), output).await;
//!         Ok(())
//!     }
//! }
//!
//! let store = Memory(Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(3600)).build());
//! let stack = DedupLayer::new(store).layer(Terminal);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let run = probe::call::<ActivityInboundProbe, _, _>(stack.clone(), 1, |_| Ok(7));
//! # assert_eq!(run.await.unwrap(), 7);
//! # let run = probe::call::<ActivityInboundProbe, _, _>(stack, 1, |_| panic!("it was done"));
//! # assert_eq!(run.await.unwrap(), 7);
//! # });
//! ```
//!
//! An activity runs again when its worker could not report that it was done: the worker went away, or the server did not
//! answer. With the layer the next attempt finds the output of the first. Only outputs of activities that have succeeded are
//! stored.
//!
//! This makes repeated work rare, not impossible: a worker may go away between the activity's end and the store. Nor do
//! two attempts that run at the same time know of each other. Around a key of your own, a
//! [`KeyedConcurrencyLimitLayer`](crate::limit::KeyedConcurrencyLimitLayer)
//! of one, outside of this layer, has one of them wait for the other on the same worker.
//!
//! # The key
//!
//! An activity is known by its namespace, its workflow's id and run id, its type, its own id, and when it was scheduled first
//! ([`Repeatable::identity`](tower_temporal_core::Repeatable::identity)): the same for all its attempts, and for nothing else.
//! For a local activity the time is left out, since only one worker knows it. Do not give the same id twice in a run to local
//! activities; the SDK does not. A local activity with a long wait for its next attempt is scheduled again under a new id, so
//! that attempt is not recognised.
//!
//! The arguments are not in the key. The server learns of a local activity only at the end of the workflow task that it ran in.
//! If that task fails, and is run again by code that was changed, an activity of the same type in the same place has the same
//! id, and is answered with the old output, whatever its arguments are now. Where that matters, put them into a key of your
//! own: a [`RequestKey`](crate::key::RequestKey) has the request, and [`Operation::args`](tower_temporal_core::Operation::args) what it
//! is called with.
//!
//! With [`key`](DedupLayer::key) it is the activity's type and what you say, and the layer becomes a cache: the same answer for the
//! same user, or for the same document. `None` passes the store by. What the answer depends on has to be in the key; a
//! namespace and a user are not, unless you put them there.
//!
//! # The store
//!
//! A [`Store`] keeps payloads, encoded as the SDK does by default, or by
//! [`with_payload_converter`](DedupLayer::with_payload_converter) where the worker's data converter is another. A codec, such
//! as encryption, is not applied: the store sees what the codec would hide from the server.
//!
//! When the store can't be read, the activity fails without having run, and is retried. When it can't be written, the activity
//! has succeeded all the same; a `tracing` warning tells. While it is being written the activity waits: an attempt that is given up
//! then, by a [`TimeoutLayer`](crate::timeout::TimeoutLayer) outside or by the server, has run and will run again. So have the store end its own waits in time.
//!
//! The layer allocates: a key, and a future that holds what the store's futures are. It is for activities, which have an
//! output that can be kept.

mod future;
mod key;
mod layer;
mod service;
mod store;

pub use self::{
    future::DedupFuture,
    key::{ByIdentity, ByKey, DedupKey},
    layer::DedupLayer,
    service::Dedup,
    store::Store,
};

#[doc(no_inline)]
pub use temporalio_common::protos::temporal::api::common::v1::Payload;
