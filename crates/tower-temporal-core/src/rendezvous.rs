//! How a borrowed continuation serves a `'static` stack: two futures meet, and neither owns the other.
//!
//! The SDK gives an interceptor a continuation that borrows and can run once; a tower stack is `'static`. So the
//! continuation stays with the adapter, the *host*. The innermost service returns a *guest*: a `'static` future that has the
//! input, asks for the continuation to be run with it, and waits for the result. Both know a *slot* where they meet.
//!
//! The host polls the stack, and while it does, it *lends itself* through a scoped thread-local. A guest that is polled
//! inside that poll finds its host there and has it run the continuation in place. That is the usual way, and it is
//! as if the stack had called the continuation: task-locals, tracing spans and workflow context that a layer sets
//! around its inner future are set for the continuation too, and no waker is needed.
//!
//! A guest that is polled elsewhere (behind a [`Buffer`](tower::buffer::Buffer), on a spawned task) wakes the host, which
//! then runs the continuation itself. Input, result and wakers are left in the slot.
//!
//! Inside a workflow nothing may be woken, since the SDK takes any wake but its own for nondeterminism. There the host
//! polls the stack and the continuation in turn until neither moves.

use crate::{CallError, scope::Values};
use parking_lot::{Mutex, MutexGuard};
use pin_project_lite::pin_project;
use scoped_tls_hkt::scoped_thread_local;
use std::{
    any::Any,
    cell::RefCell,
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

scoped_thread_local!(static LENT: for<'a> &'a Frame<'a>);

/// A host whose stack is being polled on this thread.
struct Frame<'a> {
    slot: usize,
    host: &'a dyn Drive,
    /// The host in whose stack this one is.
    outer: Option<&'a Frame<'a>>,
}

impl<'a> Frame<'a> {
    #[inline]
    fn find(&self, slot: usize) -> Option<&'a dyn Drive> {
        let mut frame = self;
        while frame.slot != slot {
            frame = frame.outer?;
        }
        Some(frame.host)
    }
}

/// A host, whatever its types.
trait Drive {
    /// [`Host::run`], with an `input` that is an `Option<I>`, and a `result` that is a `Poll<R>`.
    fn drive(&self, cx: &mut Context<'_>, input: &mut dyn Any, result: &mut dyn Any) -> bool;
}

/// Where host and guest meet.
pub(crate) struct Slot<I, R> {
    /// Whether a guest has asked: the first one to do so is served. It is beside the lock, which a guest that finds its
    /// host does without.
    is_claimed: AtomicBool,
    state: Mutex<State<I, R>>,
}

struct State<I, R> {
    /// Nobody has looked at it yet: all was done in place.
    is_new: bool,
    phase: Phase,
    /// Whether wakers are used at all: not in workflows.
    wakes: bool,
    /// Whether an input that is dropped on its way is kept.
    keeps: bool,
    /// The guest was last polled, and out of its host's reach, so the host must run the continuation itself.
    is_remote: bool,
    host: Option<Waker>,
    /// What only a few calls need: most guests have their continuation run in place, and leave nothing here.
    left: Option<Box<Left<I, R>>>,
}

/// What a guest out of reach and its host leave for each other.
struct Left<I, R> {
    guest: Option<Waker>,
    /// The task's context values where the guest is, for a continuation that is run for it.
    values: Option<Values>,
    /// What the guest has left, or was given back.
    input: Option<I>,
    result: Option<R>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// No guest has asked yet, or the host has the input.
    Begun,
    /// A guest out of reach has left the input.
    Handed,
    /// The host has left the result.
    Done,
    /// The guest has taken the result, or was dropped.
    Gone,
    /// The host was dropped.
    Closed,
}

/// Why a guest was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no host.
    Detached,
    /// The host was gone.
    Gone,
    /// Another guest had been there.
    Twice,
}

impl Refusal {
    /// What is said to the caller of `operation`.
    pub(crate) fn of(self, operation: &'static str) -> CallError {
        match self {
            Self::Detached => CallError::Detached { operation },
            Self::Gone => CallError::Gone { operation },
            Self::Twice => CallError::Twice { operation },
        }
    }
}

impl<I, R> Slot<I, R> {
    // Not inlined: most calls have the slot of one before, and little else to do.
    #[inline(never)]
    pub(crate) fn new(wakes: bool) -> Arc<Self> {
        Arc::new(Self {
            is_claimed: AtomicBool::new(false),
            state: Mutex::new(State::new(wakes)),
        })
    }

    /// Makes it as if it were new.
    #[inline]
    fn reset(&mut self) {
        *self.is_claimed.get_mut() = false;
        let state = self.state.get_mut();
        if !state.is_new {
            *state = State::new(state.wakes);
        }
    }

    // What can panic while the lock is held is a destructor of what was left, and then the state is whole.
    fn lock(&self) -> MutexGuard<'_, State<I, R>> {
        let mut state = self.state.lock();
        state.is_new = false;
        state
    }

    /// The first guest to ask is the one. What it does next is ordered by the lock, or on one thread.
    #[inline]
    fn claim(&self) -> bool {
        !self.is_claimed.swap(true, Ordering::Relaxed)
    }

    fn is_claimed(&self) -> bool {
        self.is_claimed.load(Ordering::Relaxed)
    }

    /// Keeps the input if it is dropped before the host has it, for [`take_kept`](Self::take_kept).
    pub(crate) fn keep_returned(&self) {
        self.lock().keeps = true;
    }

    /// The input that was dropped on its way and kept, unless another has arrived.
    pub(crate) fn take_kept(&self) -> Option<I> {
        let mut state = self.lock();
        if self.is_claimed() {
            return None;
        }
        state.left.as_mut()?.input.take()
    }

    /// A request has been dropped, or a guest that had not asked.
    fn give_back(&self, input: I) {
        let mut state = self.lock();
        let abandoned = if state.keeps && !self.is_claimed() {
            state.left().input.replace(input)
        } else {
            Some(input)
        };
        drop(state);
        drop(abandoned);
    }

    /// A guest has left that had asked.
    fn leave(&self) {
        let mut state = self.lock();
        state.phase = match state.phase {
            // As if it had never been there.
            Phase::Handed => {
                self.is_claimed.store(false, Ordering::Relaxed);
                Phase::Begun
            }
            Phase::Begun | Phase::Done => Phase::Gone,
            Phase::Gone | Phase::Closed => return,
        };
        state.is_remote = false;
        let keeps = state.keeps;
        let abandoned = state.left.as_mut().map(|left| {
            let input = if keeps { None } else { left.input.take() };
            (input, left.result.take(), left.values.take())
        });
        // The host drops the continuation: after this poll, or when it is woken.
        let host = state.host.take();
        drop(state);
        drop(abandoned);
        wake(host);
    }

    fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

/// Takes the slot of a call that is over, as if it were new, unless somebody else still knows it.
#[inline]
pub(crate) fn free<I, R>(slot: &mut Option<Arc<Slot<I, R>>>) -> Option<Arc<Slot<I, R>>> {
    Arc::get_mut(slot.as_mut()?)?.reset();
    slot.take()
}

impl<I, R> State<I, R> {
    #[inline]
    fn new(wakes: bool) -> Self {
        Self {
            is_new: true,
            phase: Phase::Begun,
            wakes,
            keeps: false,
            is_remote: false,
            host: None,
            left: None,
        }
    }

    /// What a guest out of reach has left.
    fn take_handed(&mut self) -> Option<I> {
        let Phase::Handed = self.phase else {
            return None;
        };
        self.phase = Phase::Begun;
        self.left.as_mut()?.input.take()
    }

    #[cold]
    fn left(&mut self) -> &mut Left<I, R> {
        self.left.get_or_insert_with(|| {
            Box::new(Left {
                guest: None,
                values: None,
                input: None,
                result: None,
            })
        })
    }

    fn take_guest(&mut self) -> Option<Waker> {
        self.left.as_mut()?.guest.take()
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        if self.wakes
            && !self
                .host
                .as_ref()
                .is_some_and(|host| host.will_wake(cx.waker()))
        {
            self.host = Some(cx.waker().clone());
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// An input on its way to the slot, and then what waits for the result. An input that is dropped on its way is given back to the
/// adapter, which may need it; what waits and is dropped takes its leave.
pub(crate) struct Parcel<I, R> {
    /// It is there until it is taken.
    pub(crate) input: Option<I>,
    /// It is there until the result is.
    pub(crate) slot: Option<Arc<Slot<I, R>>>,
}

impl<I, R> Parcel<I, R> {
    #[inline]
    pub(crate) fn new(input: I, slot: Option<Arc<Slot<I, R>>>) -> Self {
        Self {
            input: Some(input),
            slot,
        }
    }

    /// It is dropped and has no answer.
    #[cold]
    fn abandon(&mut self) {
        let Some(slot) = self.slot.take() else {
            return;
        };
        match self.input.take() {
            Some(input) => slot.give_back(input),
            None => slot.leave(),
        }
    }
}

impl<I, R> Drop for Parcel<I, R> {
    #[inline]
    fn drop(&mut self) {
        if self.slot.is_some() {
            self.abandon();
        }
    }
}

/// The stack's side: asks for the continuation to be run, and waits for the result.
///
/// It keeps the input until it is polled, and the continuation takes it from here: inputs are large, and each move is a
/// copy. Without an input it has asked, and without a slot too it has its answer.
pub(crate) struct Guest<I, R> {
    pub(crate) parcel: Parcel<I, R>,
    /// The task's context values where it was made.
    pub(crate) values: Option<Values>,
}

/// The input is not pinned.
impl<I, R> Unpin for Guest<I, R> {}

impl<I, R> Guest<I, R> {
    #[inline]
    pub(crate) fn new(parcel: Parcel<I, R>) -> Self {
        Self {
            parcel,
            values: Values::current(),
        }
    }

    /// Asks from out of the host's reach, or sees what has become of it.
    #[cold]
    fn meet_remotely(&mut self, cx: &mut Context<'_>, in_place: bool) -> Poll<Result<R, Refusal>> {
        let Some(slot) = &self.parcel.slot else {
            assert!(
                self.parcel.input.is_some(),
                "the future of a Temporal call was polled after it completed"
            );
            return Poll::Ready(Err(Refusal::Detached));
        };
        // What is set where it is polled counts, or where it was made if nothing is: a task that was spawned for it has nothing.
        let values = if in_place {
            None
        } else {
            Values::current().or_else(|| self.values.take())
        };
        let mut state = slot.lock();
        if self.parcel.input.is_some() {
            if let Phase::Closed = state.phase {
                return Poll::Ready(Err(Refusal::Gone));
            }
            if !slot.claim() {
                return Poll::Ready(Err(Refusal::Twice));
            }
            state.phase = Phase::Handed;
            state.left().input = self.parcel.input.take();
        }
        match state.phase {
            Phase::Done => {
                state.phase = Phase::Gone;
                let result = state.left().result.take().expect("the host has left it");
                drop(state);
                self.parcel.slot = None;
                Poll::Ready(Ok(result))
            }
            Phase::Closed => {
                drop(state);
                self.parcel.slot = None;
                Poll::Ready(Err(Refusal::Gone))
            }
            _ => {
                let was_remote = mem::replace(&mut state.is_remote, !in_place);
                if !in_place && state.wakes {
                    let left = state.left();
                    left.guest = Some(cx.waker().clone());
                    left.values = values.or(left.values.take());
                    // Once it knows, it looks after the continuation. It may share its task with this guest, which one that is
                    // woken each time would poll for ever.
                    let host = if was_remote { None } else { state.host.take() };
                    drop(state);
                    wake(host);
                }
                Poll::Pending
            }
        }
    }
}

impl<I: 'static, R: 'static> Guest<I, R> {
    /// Polls it. What is returned if it is turned away says `refused`.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        refused: impl FnOnce(Refusal) -> R,
    ) -> Poll<R> {
        // It is returned from one place: from several it would be copied.
        let mut result = Poll::Pending;
        let mut in_place = false;
        if let Some(slot) = &self.parcel.slot
            && LENT.is_set()
        {
            let slot = slot.id();
            in_place = LENT.with(|frame| {
                frame
                    .find(slot)
                    .is_some_and(|host| host.drive(cx, &mut self.parcel.input, &mut result))
            });
        }
        if result.is_ready() {
            self.parcel.slot = None;
        } else {
            result = self
                .meet_remotely(cx, in_place)
                .map(|result| result.unwrap_or_else(refused));
        }
        result
    }
}

/// What the host continues with, once it has the input.
pub trait Step<I> {
    /// The running continuation.
    type Future: Future + Unpin;

    /// Whether the continuation leads to the guests of hosts around this one: it is the rest of their stack.
    const IS_NESTED: bool = false;

    /// Starts it, with an input that is there and that it takes: a move less than to be given it.
    fn start(self, input: &mut Option<I>) -> Self::Future;
}

impl<I, F, N> Step<I> for N
where
    N: FnOnce(I) -> F,
    F: Future + Unpin,
{
    type Future = F;

    #[inline]
    fn start(self, input: &mut Option<I>) -> F {
        self(input.take().expect("it is there"))
    }
}

/// The adapter's side: owns the continuation and runs it when a guest has come.
struct Host<N, I, R>
where
    N: Step<I>,
{
    /// It is there until the call is over, and longer if somebody else has it too.
    slot: Option<Arc<Slot<I, R>>>,
    continuation: RefCell<Continuation<N, N::Future>>,
}

/// What the host has to run.
enum Continuation<N, F> {
    Waiting(N),
    Running(F),
    Over,
}

impl<N, I, R> Host<N, I, R>
where
    N: Step<I>,
{
    #[inline]
    fn slot(&self) -> &Arc<Slot<I, R>> {
        self.slot
            .as_ref()
            .expect("a Temporal call is not used after it has completed")
    }
}

impl<N, I, R> Host<N, I, R>
where
    N: Step<I>,
    N::Future: Future<Output = R>,
    I: 'static,
    R: 'static,
{
    /// Runs `f`, in which a guest can find this host.
    #[inline]
    fn lend<T>(&self, f: impl FnOnce() -> T) -> T {
        if N::IS_NESTED && LENT.is_set() {
            LENT.with(|outer| LENT.set(&self.frame(Some(outer)), f))
        } else {
            LENT.set(&self.frame(None), f)
        }
    }

    #[inline]
    fn frame<'a>(&'a self, outer: Option<&'a Frame<'a>>) -> Frame<'a> {
        Frame {
            slot: self.slot().id(),
            host: self,
            outer,
        }
    }

    /// Runs the continuation as far as it goes, and puts what it returns into `result`. It begins with what a guest offers
    /// that is the first to ask, or with what one has left.
    ///
    /// `false`: there is nothing to run, or it is running already, further up the stack.
    #[inline]
    fn run(&self, cx: &mut Context<'_>, offered: &mut Option<I>, result: &mut Poll<R>) -> bool {
        let Ok(mut continuation) = self.continuation.try_borrow_mut() else {
            return false;
        };
        if offered.is_some() {
            return self.slot().claim() && continuation.start(cx, offered, result);
        }
        let mut handed = match *continuation {
            Continuation::Waiting(_) => self.slot().lock().take_handed(),
            Continuation::Running(_) => None,
            Continuation::Over => None,
        };
        continuation.go_on(cx, &mut handed, result)
    }

    /// Looks after a guest that could not run the continuation in place, once the stack itself can't go on.
    /// Says whether there is something new for the stack.
    fn attend(&self, cx: &mut Context<'_>) -> bool {
        let (values, mut handed) = {
            let mut state = self.slot().lock();
            match state.phase {
                Phase::Handed | Phase::Begun if state.is_remote => {}
                Phase::Gone => {
                    drop(state);
                    self.continuation.replace(Continuation::Over);
                    return false;
                }
                _ => {
                    state.wait(cx);
                    return false;
                }
            }
            state.wait(cx);
            let values = state.left.as_ref().and_then(|left| left.values.clone());
            (values, state.take_handed())
        };
        let mut result = Poll::Pending;
        Values::enter(values.as_ref(), || {
            let mut continuation = self.continuation.borrow_mut();
            continuation.go_on(cx, &mut handed, &mut result)
        });
        let Poll::Ready(result) = result else {
            return false;
        };
        let mut abandoned = Some(result);
        let mut state = self.slot().lock();
        if let Phase::Begun = state.phase {
            state.phase = Phase::Done;
            state.left().result = abandoned.take();
        }
        let guest = state.take_guest();
        drop(state);
        wake(guest);
        true
    }
}

impl<N, F: Future + Unpin> Continuation<N, F> {
    /// Starts it, and polls it. Says whether it had not run yet.
    #[inline(always)]
    fn start<I>(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Option<I>,
        result: &mut Poll<F::Output>,
    ) -> bool
    where
        N: Step<I, Future = F>,
    {
        let Self::Waiting(step) = mem::replace(self, Self::Over) else {
            return false;
        };
        let mut started = Started {
            future: Some(step.start(input)),
            place: self,
        };
        if let Some(future) = &mut started.future {
            *result = Pin::new(future).poll(cx);
        }
        if result.is_ready() {
            started.future = None;
        }
        true
    }

    /// Starts it if there is an `input`, and polls it if it runs. Says whether it did.
    fn go_on<I>(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Option<I>,
        result: &mut Poll<F::Output>,
    ) -> bool
    where
        N: Step<I, Future = F>,
    {
        if input.is_some() {
            return self.start(cx, input, result);
        }
        let Self::Running(future) = self else {
            return false;
        };
        *result = Pin::new(future).poll(cx);
        if result.is_ready() {
            *self = Self::Over;
        }
        true
    }
}

/// A continuation in its first poll, in which most are done. It is kept if it is not, or if it panics: what it panics with once
/// more when it is dropped is not to meet the first panic.
struct Started<'a, N, F> {
    future: Option<F>,
    place: &'a mut Continuation<N, F>,
}

impl<N, F> Drop for Started<'_, N, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            *self.place = Continuation::Running(future);
        }
    }
}

impl<N, I, R> Drive for Host<N, I, R>
where
    N: Step<I>,
    N::Future: Future<Output = R>,
    I: 'static,
    R: 'static,
{
    fn drive(&self, cx: &mut Context<'_>, input: &mut dyn Any, result: &mut dyn Any) -> bool {
        let (Some(input), Some(result)) = (input.downcast_mut(), result.downcast_mut()) else {
            unreachable!("host and guest know the same slot")
        };
        self.run(cx, input, result)
    }
}

impl<N, I, R> Drop for Host<N, I, R>
where
    N: Step<I>,
{
    #[inline]
    fn drop(&mut self) {
        // Else nobody is there to be told.
        if let Some(slot) = &self.slot
            && Arc::strong_count(slot) > 1
        {
            slot.close();
        }
    }
}

impl<I, R> Slot<I, R> {
    /// The host is dropped.
    #[cold]
    fn close(&self) {
        let mut state = self.lock();
        let abandoned = match state.phase {
            Phase::Handed | Phase::Done => state
                .left
                .as_mut()
                .map(|left| (left.input.take(), left.result.take())),
            Phase::Begun | Phase::Gone | Phase::Closed => None,
        };
        state.phase = Phase::Closed;
        let guest = state.take_guest();
        drop(state);
        drop(abandoned);
        wake(guest);
    }
}

pin_project! {
    /// Polls a stack's future, and hosts the continuation its guest asks for.
    pub(crate) struct Rendezvous<Fut, N, I, R>
    where
        N: Step<I>,
    {
        #[pin]
        stack: Fut,
        host: Host<N, I, R>,
    }
}

impl<Fut, N, I, R> Rendezvous<Fut, N, I, R>
where
    N: Step<I>,
{
    #[inline]
    pub(crate) fn new(slot: Arc<Slot<I, R>>, stack: Fut, step: N) -> Self {
        Self {
            stack,
            host: Host {
                slot: Some(slot),
                continuation: RefCell::new(Continuation::Waiting(step)),
            },
        }
    }

    /// Where host and guest meet.
    pub(crate) fn slot(&self) -> &Arc<Slot<I, R>> {
        self.host.slot()
    }

    /// The same, to be taken once the call is over.
    #[inline]
    pub(crate) fn slot_mut(self: Pin<&mut Self>) -> &mut Option<Arc<Slot<I, R>>> {
        &mut self.project().host.slot
    }
}

impl<Fut, N, I, R> Future for Rendezvous<Fut, N, I, R>
where
    Fut: Future,
    N: Step<I>,
    N::Future: Future<Output = R>,
    I: 'static,
    R: 'static,
{
    type Output = Fut::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let mut poll = self.as_mut().poll_stack(cx);
        if poll.is_pending() {
            poll = self.attend(cx);
        }
        poll
    }
}

impl<Fut, N, I, R> Rendezvous<Fut, N, I, R>
where
    Fut: Future,
    N: Step<I>,
    N::Future: Future<Output = R>,
    I: 'static,
    R: 'static,
{
    #[inline]
    fn poll_stack(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let this = self.project();
        this.host.lend(|| this.stack.poll(cx))
    }

    /// The stack is pending: looks after its guest until neither goes on.
    #[inline(never)]
    fn attend(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        while self.host.attend(cx) {
            let poll = self.as_mut().poll_stack(cx);
            if poll.is_ready() {
                return poll;
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContextKey;
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    type Answer = Result<u32, Refusal>;

    type Meeting<Fut, N> = Rendezvous<Fut, N, u32, Answer>;

    struct Asking(Guest<u32, Answer>);

    impl Future for Asking {
        type Output = Answer;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
            self.0.poll(cx, Err)
        }
    }

    /// A stack made of the guest, and a continuation.
    fn meet<Fut, N>(wakes: bool, stack: impl FnOnce(Asking) -> Fut, step: N) -> Meeting<Fut, N>
    where
        N: Step<u32>,
    {
        let slot = Slot::new(wakes);
        let stack = stack(guest(&slot, 1));
        Rendezvous::new(slot, stack, step)
    }

    fn guest(slot: &Arc<Slot<u32, Answer>>, input: u32) -> Asking {
        Asking(Guest::new(Parcel::new(input, Some(slot.clone()))))
    }

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn in_place_the_continuation_runs_inside_the_stack() {
        tokio::task_local!(static LOCAL: u32);
        let meeting = meet(
            true,
            |guest| LOCAL.scope(5, guest),
            |input| Box::pin(async move { Ok(input + LOCAL.get()) }),
        );
        assert_eq!(meeting.await, Ok(6));
    }

    #[tokio::test]
    async fn a_guest_on_another_task_is_served() {
        let meeting = meet(
            true,
            |guest| async move { tokio::spawn(guest).await.unwrap() },
            |input| {
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    Ok(input + 1)
                })
            },
        );
        assert_eq!(meeting.await, Ok(2));
    }

    #[tokio::test]
    async fn a_guest_that_moves_to_another_task_half_way_is_served() {
        let meeting = meet(
            true,
            |mut guest| async move {
                assert!(futures_poll_once(&mut guest).await.is_pending());
                tokio::spawn(guest).await.unwrap()
            },
            |input| {
                Box::pin(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    Ok(input + 1)
                })
            },
        );
        assert_eq!(meeting.await, Ok(2));
    }

    #[test]
    fn without_wakers_nothing_is_woken() {
        for has_wakers in [false, true] {
            let wakes = Arc::new(CountWakes::default());
            let waker = wakes.clone().into();
            let mut cx = Context::from_waker(&waker);
            let slot = Slot::new(has_wakers);
            let mut guest = guest(&slot, 1);
            let step = |input| ready(Ok(input + 1));
            let mut host = Box::pin(Meeting::new(slot, pending::<()>(), step));
            // Out of the host's reach, so that each has to tell the other.
            assert!(host.as_mut().poll(&mut cx).is_pending());
            assert!(Pin::new(&mut guest).poll(&mut cx).is_pending());
            assert!(host.as_mut().poll(&mut cx).is_pending());
            assert_eq!(Pin::new(&mut guest).poll(&mut cx), Poll::Ready(Ok(2)));
            let woken = wakes.0.load(Ordering::SeqCst);
            assert_eq!(woken, if has_wakers { 2 } else { 0 });
        }
    }

    #[test]
    fn a_guest_that_is_polled_again_does_not_wake_its_host_again() {
        let wakes = Arc::new(CountWakes::default());
        let waker = wakes.clone().into();
        let mut cx = Context::from_waker(&waker);
        let slot = Slot::new(true);
        let mut guest = guest(&slot, 1);
        let mut host = Box::pin(Meeting::new(slot, pending::<()>(), |_| pending::<Answer>()));
        assert!(host.as_mut().poll(&mut cx).is_pending());
        for _ in 0..3 {
            assert!(Pin::new(&mut guest).poll(&mut cx).is_pending());
            assert!(host.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_values_of_a_guest_that_has_left_are_not_those_of_the_next() {
        struct Key;
        impl ContextKey for Key {
            type Value = u32;
            const HEADER: &'static str = "key";
        }

        let slot = Slot::new(true);
        let mut first = guest(&slot, 1);
        let second = guest(&slot, 2);
        let polled = futures_poll_once(&mut first);
        assert!(Key::scope(7, polled).await.is_pending());
        drop(first);
        let seen = Arc::new(Mutex::new(None));
        let step = {
            let seen = seen.clone();
            move |input: u32| {
                *seen.lock() = Some(Key::current());
                ready(Ok(input))
            }
        };
        let stack = async move { tokio::spawn(second).await.unwrap() };
        assert_eq!(Rendezvous::new(slot, stack, step).await, Ok(2));
        assert_eq!(*seen.lock(), Some(None));
    }

    #[test]
    fn a_slot_that_is_used_again_knows_nothing_of_the_call_before() {
        let wakes = Arc::new(CountWakes::default());
        let waker: Waker = wakes.clone().into();
        let mut cx = Context::from_waker(&waker);
        let slot = Slot::new(true);
        let mut asking = guest(&slot, 1);
        let step = |input| ready(Ok(input + 1));
        let mut host = Box::pin(Meeting::new(slot, pending::<()>(), step));
        // Out of reach, so that wakers, input and result are left in the slot.
        assert!(Pin::new(&mut asking).poll(&mut cx).is_pending());
        assert!(host.as_mut().poll(&mut cx).is_pending());
        assert!(
            free(host.as_mut().slot_mut()).is_none(),
            "its guest is still there"
        );
        assert_eq!(Pin::new(&mut asking).poll(&mut cx), Poll::Ready(Ok(2)));
        let slot = free(host.as_mut().slot_mut()).expect("only the host is there");
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 1, "a waker is still there");

        let waker = wakes.clone().into();
        let mut cx = Context::from_waker(&waker);
        let stack = guest(&slot, 5);
        let mut host = Box::pin(Meeting::new(slot, stack, step));
        assert_eq!(host.as_mut().poll(&mut cx), Poll::Ready(Ok(6)));
    }

    #[tokio::test]
    async fn dropping_the_guest_drops_the_continuation() {
        let held = Arc::new(());
        let in_step = held.clone();
        let mut meeting = Box::pin(meet(
            true,
            |mut guest| async move {
                assert!(futures_poll_once(&mut guest).await.is_pending());
                drop(guest);
                pending::<()>().await
            },
            move |_| {
                Box::pin(async move {
                    let _held = in_step;
                    pending::<Answer>().await
                })
            },
        ));
        assert!(futures_poll_once(&mut meeting).await.is_pending());
        assert_eq!(
            Arc::strong_count(&held),
            1,
            "the continuation is still there"
        );
    }

    #[tokio::test]
    async fn a_guest_that_comes_late_or_second_is_refused() {
        let slot = Slot::new(true);
        let first = guest(&slot, 1);
        let second = guest(&slot, 1);
        let meeting = Rendezvous::new(
            slot.clone(),
            async move { (first.await, second.await) },
            |input: u32| ready(Ok(input + 1)),
        );
        assert_eq!(meeting.await, (Ok(2), Err(Refusal::Twice)));
        assert_eq!(guest(&slot, 1).await, Err(Refusal::Gone));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_guests_that_ask_at_once_from_several_threads_one_is_served() {
        for _ in 0..500 {
            let slot = Slot::new(true);
            let [here, there, elsewhere] = [1; 3].map(|input| guest(&slot, input));
            let stack = async move {
                let (there, elsewhere) = (tokio::spawn(there), tokio::spawn(elsewhere));
                [here.await, there.await.unwrap(), elsewhere.await.unwrap()]
            };
            let meeting = Rendezvous::new(slot, stack, |input: u32| ready(Ok(input + 1)));
            let answers = meeting.await;
            let count = |answer| answers.iter().filter(|is| **is == answer).count();
            assert_eq!(count(Ok(2)), 1, "{answers:?}");
            assert_eq!(count(Err(Refusal::Twice)), 2, "{answers:?}");
        }
    }

    #[tokio::test]
    async fn a_guest_that_was_never_polled_makes_room_for_the_next() {
        let slot = Slot::new(true);
        drop(guest(&slot, 1));
        let second = guest(&slot, 2);
        let meeting = Rendezvous::new(slot, second, |input: u32| ready(Ok(input + 1)));
        assert_eq!(meeting.await, Ok(3));
    }

    #[tokio::test]
    async fn the_continuation_waits_until_the_guest_is_polled() {
        let mut meeting = Box::pin(meet(
            true,
            |guest| async move {
                tokio::task::yield_now().await;
                let _guest = guest;
                pending::<()>().await
            },
            |_| -> std::future::Ready<Answer> { panic!("it was not asked for") },
        ));
        for _ in 0..3 {
            assert!(futures_poll_once(&mut meeting).await.is_pending());
        }
    }

    #[tokio::test]
    async fn a_remote_guest_learns_that_the_host_is_gone() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let meeting = meet(
            true,
            |guest| async move {
                let _ = send.send(tokio::spawn(guest));
            },
            |_| pending::<Answer>(),
        );
        meeting.await;
        let guest = receive.await.unwrap();
        assert_eq!(guest.await.unwrap(), Err(Refusal::Gone));
    }

    #[tokio::test]
    async fn hosts_nest_and_each_guest_finds_its_own() {
        let outer_slot = Slot::new(true);
        let inner_slot = Slot::new(true);
        let outer_guest = guest(&outer_slot, 1);
        let inner_guest = guest(&inner_slot, 10);
        // The inner host's stack polls the outer host's guest, besides its own.
        let inner = Rendezvous::new(
            inner_slot,
            async move { (outer_guest.await, inner_guest.await) },
            |input: u32| ready(Ok(input + 1)),
        );
        let outer = Rendezvous::new(outer_slot, inner, |input: u32| ready(Ok(input + 1)));
        assert_eq!(outer.await, (Ok(2), Ok(11)));
    }

    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
    }
}
