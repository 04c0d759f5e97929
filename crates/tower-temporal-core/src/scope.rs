//! Typed values that surround a call: set by a caller or a middleware, seen by everything the call runs.
//!
//! A [`ContextKey`] names a value and the Temporal header it travels in. In client and activity code the value belongs
//! to the current task, as a tokio task-local does; in workflow code it belongs to the workflow's own context, so that
//! replay sees the same.
//!
//! ```
//! use tower_temporal_core::ContextKey;
//!
//! struct UserId;
//!
//! impl ContextKey for UserId {
//!     type Value = String;
//!     const HEADER: &'static str = "user-id";
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! assert_eq!(UserId::current(), None);
//! UserId::scope("alice".to_owned(), async {
//!     assert_eq!(UserId::current().as_deref().map(String::as_str), Some("alice"));
//! })
//! .await;
//! # });
//! ```

use crate::{Operation, Request, Target};
use pin_project_lite::pin_project;
use std::{
    any::{Any, TypeId},
    iter::successors,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};
use tokio::task::futures::TaskLocalFuture;

/// A typed value that travels with calls, and the header it travels in.
///
/// See the [module](self) for an example.
pub trait ContextKey: Sized + 'static {
    /// The value itself.
    type Value: Send + Sync + 'static;
    /// The name of the Temporal header that carries the value.
    const HEADER: &'static str;

    /// The value of the current task, if there is one.
    ///
    /// This is for client and activity code. In a workflow the value belongs to the workflow's context: read it there.
    fn current() -> Option<Arc<Self::Value>> {
        Values::current()?.get::<Self>()
    }

    /// Runs `future` with `value` as the current task's value.
    ///
    /// Values of other keys are those of the scope it is awaited in, so scopes can be nested in either way:
    /// `UserId::scope(user, Tenant::scope(tenant, future))` sets both.
    ///
    /// As with every tokio task-local, tasks that `future` spawns do not inherit it: wrap them in a scope of their own.
    fn scope<F: Future>(value: Self::Value, future: F) -> TaskScoped<F> {
        let values = Values::with::<Self>(Arc::new(value));
        TaskScoped {
            unsettled: Some(values.clone()),
            ..TaskScoped::new(Some(values), future)
        }
    }

    /// Runs `f` with `value` as the current value.
    fn sync_scope<R>(value: Self::Value, f: impl FnOnce() -> R) -> R {
        VALUES.sync_scope(Values::with::<Self>(Arc::new(value)), f)
    }
}

/// How context values are read and set around the calls of a category.
///
/// A layer that is generic over every operation can't name a workflow's types in its future: they are `!Send`, and
/// clients would lose `Send` with them. This trait is the way round. Each operation says with
/// [`Operation::Scope`] which implementation it uses: [`TaskScope`] in clients and activities,
/// the workflow context in workflows.
pub trait Scope<C>: 'static {
    /// A future that runs with the value set.
    type Scoped<K: ContextKey, F: Future>: Future<Output = F::Output>;

    /// The value that surrounds the call.
    fn get<K: ContextKey>(context: &C) -> Option<Arc<K::Value>>;

    /// Runs `call`, and the future it returns, with `value` set; with `None` it leaves everything as it is.
    fn scope<O, K, F>(
        request: Request<O>,
        value: Option<Arc<K::Value>>,
        call: impl FnOnce(Request<O>) -> F,
    ) -> Self::Scoped<K, F>
    where
        O: Operation<Context = C>,
        K: ContextKey,
        F: Future;

    /// Runs `f` with `value` set.
    ///
    /// A middleware that has no future of its own to wrap, as [`Intercept`](crate::Intercept), runs each poll with it.
    /// [`scope`](Self::scope) allocates once for the call, this each time.
    fn enter<K: ContextKey, R>(context: &C, value: Arc<K::Value>, f: impl FnOnce() -> R) -> R;

    /// The workflow that surrounds the call, for calls in workflows; empty elsewhere.
    fn caller(context: &C) -> Target<'_> {
        let _ = context;
        Target::new()
    }

    /// The next number of the workflow's own random numbers, from the stream of the name `stream`: the same again in a replay.
    ///
    /// Draws from one stream change no other. There are none outside workflows, nor in calls that are not replayed or are made
    /// at once: a query, the validation of an update, a continue-as-new.
    fn random(context: &C, stream: &'static str) -> Option<u64> {
        let _ = (context, stream);
        None
    }

    /// Whether what surrounds the call exists yet. It does but for `initialize_workflow`, which creates it: there values
    /// can't be set, and it is not known whether it is a replay.
    fn is_established(context: &C) -> bool {
        let _ = context;
        true
    }

    /// Whether the code around the call is being replayed, so that side effects have happened already.
    ///
    /// Where a workflow is only being created this says `false`, and nobody knows: [`is_live`](Self::is_live) is what side
    /// effects should ask.
    fn is_replaying(context: &C) -> bool {
        let _ = context;
        false
    }

    /// Whether this is a first execution, as far as is known, and not a replay. Ask before side effects such as logs, metrics
    /// and records.
    ///
    /// It is `false` while a workflow is replayed, and for `initialize_workflow`, which runs again in each replay and can't
    /// tell. A call can begin in a replay and end after it, so ask again at its end.
    fn is_live(context: &C) -> bool {
        Self::is_established(context) && !Self::is_replaying(context)
    }
}

/// Context values that belong to the current task: for clients and activities.
#[derive(Clone, Copy, Debug)]
pub struct TaskScope;

impl<C> Scope<C> for TaskScope {
    type Scoped<K: ContextKey, F: Future> = TaskScoped<F>;

    fn get<K: ContextKey>(_: &C) -> Option<Arc<K::Value>> {
        K::current()
    }

    fn scope<O, K, F>(
        request: Request<O>,
        value: Option<Arc<K::Value>>,
        call: impl FnOnce(Request<O>) -> F,
    ) -> TaskScoped<F>
    where
        O: Operation<Context = C>,
        K: ContextKey,
        F: Future,
    {
        match value.map(Values::with::<K>) {
            Some(values) => {
                let future = VALUES.sync_scope(values.clone(), || call(request));
                TaskScoped::new(Some(values), future)
            }
            None => TaskScoped::new(None, call(request)),
        }
    }

    fn enter<K: ContextKey, R>(_: &C, value: Arc<K::Value>, f: impl FnOnce() -> R) -> R {
        VALUES.sync_scope(Values::with::<K>(value), f)
    }
}

pin_project! {
    /// The future of a [`TaskScope`] and of [`ContextKey::scope`].
    #[must_use = "futures do nothing unless polled"]
    #[project = TaskScopedProj]
    pub struct TaskScoped<F> {
        #[pin]
        inner: Scoped<F>,
        // Until the first poll.
        unsettled: Option<Values>,
    }
}

pin_project! {
    #[project = ScopedProj]
    enum Scoped<F> {
        Plain { #[pin] future: F },
        Within { #[pin] future: TaskLocalFuture<Values, F> },
    }
}

impl<F: Future> TaskScoped<F> {
    fn new(values: Option<Values>, future: F) -> Self {
        Self {
            inner: match values {
                Some(values) => Scoped::Within {
                    future: VALUES.scope(values, future),
                },
                None => Scoped::Plain { future },
            },
            unsettled: None,
        }
    }
}

impl<F: Future> Future for TaskScoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(values) = this.unsettled.take() {
            values.settle();
        }
        match this.inner.project() {
            ScopedProj::Plain { future } => future.poll(cx),
            ScopedProj::Within { future } => future.poll(cx),
        }
    }
}

impl<F> std::fmt::Debug for TaskScoped<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskScoped").finish_non_exhaustive()
    }
}

tokio::task_local! {
    static VALUES: Values;
}

/// The values of a task: a list that grows towards the inside, so that setting one is a single allocation and
/// keeping them is a reference count.
#[derive(Clone)]
pub(crate) struct Values(Arc<Value>);

struct Value {
    key: TypeId,
    value: Arc<dyn Any + Send + Sync>,
    /// What was set where the value was.
    made_in: Option<Values>,
    /// What was set where the scope was entered, if that was elsewhere.
    entered_in: OnceLock<Option<Values>>,
}

impl Values {
    /// What the current task has.
    ///
    /// With this ABI a call can't unwind, as this one never does: the compiler keeps no copy of a request for the case that
    /// it did.
    #[allow(improper_ctypes_definitions, reason = "only Rust calls it")]
    pub(crate) extern "C" fn current() -> Option<Self> {
        VALUES.try_with(Self::clone).ok()
    }

    /// Runs `f` with these values.
    pub(crate) fn enter<R>(values: Option<&Self>, f: impl FnOnce() -> R) -> R {
        match values {
            Some(values) => VALUES.sync_scope(values.clone(), f),
            None => f(),
        }
    }

    fn with<K: ContextKey>(value: Arc<K::Value>) -> Self {
        Self(Arc::new(Value {
            key: TypeId::of::<K>(),
            value,
            made_in: Self::current().and_then(|values| values.without(TypeId::of::<K>())),
            entered_in: OnceLock::new(),
        }))
    }

    /// These values but for those of `key`, which one that is set now hides. A task that spawns the next in such a scope, and that
    /// one the next, would else keep all of them.
    fn without(self, key: TypeId) -> Option<Self> {
        let is_other = |values: &&Self| values.0.key != key;
        if self.list().all(|values| is_other(&values)) {
            return Some(self);
        }
        let others: Vec<_> = self.list().filter(is_other).collect();
        others.into_iter().rfold(None, |made_in, values| {
            Some(Self(Arc::new(Value {
                key: values.0.key,
                value: values.0.value.clone(),
                made_in,
                entered_in: OnceLock::new(),
            })))
        })
    }

    /// From the innermost outwards.
    fn list(&self) -> impl Iterator<Item = &Self> {
        successors(Some(self), |Self(entry)| {
            let surroundings = entry.entered_in.get().unwrap_or(&entry.made_in);
            surroundings.as_ref()
        })
    }

    /// The scope is entered here.
    fn settle(&self) {
        if let Some(current) = Self::current() {
            // It is entered once; a second time would change nothing.
            let _ = self.0.entered_in.set(current.without(self.0.key));
        }
    }

    fn get<K: ContextKey>(&self) -> Option<Arc<K::Value>> {
        let Self(entry) = self
            .list()
            .find(|values| values.0.key == TypeId::of::<K>())?;
        Arc::clone(&entry.value).downcast().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::ClientProbe;

    struct A;
    impl ContextKey for A {
        type Value = u32;
        const HEADER: &'static str = "a";
    }

    struct B;
    impl ContextKey for B {
        type Value = u32;
        const HEADER: &'static str = "b";
    }

    fn values() -> (Option<u32>, Option<u32>) {
        (A::current().map(|a| *a), B::current().map(|b| *b))
    }

    #[tokio::test]
    async fn keys_are_told_apart_and_the_innermost_wins() {
        assert_eq!(values(), (None, None));
        A::scope(1, async {
            B::scope(2, async {
                assert_eq!(values(), (Some(1), Some(2)));
                A::sync_scope(3, || assert_eq!(values(), (Some(3), Some(2))));
            })
            .await;
            assert_eq!(values(), (Some(1), None));
        })
        .await;
        assert_eq!(values(), (None, None));
    }

    #[tokio::test]
    async fn a_scope_is_within_the_one_it_is_awaited_in() {
        let inner = B::scope(2, async { values() });
        assert_eq!(A::scope(1, inner).await, (Some(1), Some(2)));
        // Where it is awaited in none, it is within the one it was made in.
        let spawned = A::sync_scope(1, || tokio::spawn(B::scope(2, async { values() })));
        assert_eq!(spawned.await.unwrap(), (Some(1), Some(2)));
    }

    #[tokio::test]
    async fn a_value_that_nobody_can_read_any_more_is_not_kept() {
        struct Outer;
        impl ContextKey for Outer {
            type Value = Arc<()>;
            const HEADER: &'static str = "outer";
        }

        struct Inner;
        impl ContextKey for Inner {
            type Value = Arc<()>;
            const HEADER: &'static str = "inner";
        }

        type Counts = tokio::sync::oneshot::Sender<[usize; 2]>;

        /// Each task spawns the next and is over, so that only what the last one has is left.
        fn spawn(left: u32, first: [Arc<()>; 2], counts: Counts) {
            let inner = Inner::scope(Arc::new(()), async move {
                match left {
                    0 => counts
                        .send(first.each_ref().map(Arc::strong_count))
                        .unwrap(),
                    _ => spawn(left - 1, first, counts),
                }
            });
            tokio::spawn(Outer::scope(Arc::new(()), inner));
        }

        let (send, counts) = tokio::sync::oneshot::channel();
        let [outer, inner] = [Arc::new(()), Arc::new(())];
        Outer::sync_scope(outer.clone(), || {
            Inner::sync_scope(inner.clone(), || spawn(3, [outer, inner], send));
        });
        assert_eq!(counts.await.unwrap(), [1, 1]);
    }

    fn request() -> Request<ClientProbe> {
        Request::new(1.into(), ())
    }

    #[tokio::test]
    async fn a_scope_without_a_value_changes_nothing() {
        A::scope(1, async {
            let seen = TaskScope::scope::<_, A, _>(request(), None, |_| async { values() });
            assert_eq!(seen.await, (Some(1), None));
        })
        .await;
    }

    #[tokio::test]
    async fn the_call_itself_runs_in_the_scope() {
        let seen = TaskScope::scope::<_, A, _>(request(), Some(Arc::new(7)), |_| {
            std::future::ready(values())
        });
        assert_eq!(seen.await, (Some(7), None));
    }
}
