//! How a borrowed continuation serves a `'static` stack: two futures meet, and neither owns the other.
//!
//! The SDK gives an interceptor a continuation that borrows and can run once; a tower stack is `'static`. So the
//! continuation stays with the adapter, the *host*. The innermost service leaves the input in a slot that both know, and
//! returns a *guest*: a small `'static` future that asks for the continuation to be run, and waits for the result.
//!
//! The host polls the stack, and while it does, it *lends itself* through a scoped thread-local. A guest that is polled
//! inside that poll finds its host there and has it run the continuation in place. That is the usual way, and it is
//! as if the stack had called the continuation: task-locals, tracing spans and workflow context that a layer sets
//! around its inner future are set for the continuation too, and no waker is needed.
//!
//! A guest that is polled elsewhere (behind a [`Buffer`](tower::buffer::Buffer), on a spawned task) wakes the host, which
//! then runs the continuation itself, leaves the result in the slot, and wakes the guest.
//!
//! Inside a workflow nothing may be woken, since the SDK takes any wake but its own for nondeterminism. There the host
//! polls the stack and the continuation in turn until neither moves.

use crate::scope::Values;
use pin_project_lite::pin_project;
use scoped_tls_hkt::scoped_thread_local;
use std::{
    any::Any,
    cell::{Cell, RefCell},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
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
    /// Runs the continuation as far as it goes, and puts what it returns into `result`, an `Option<R>`.
    /// `false`: it is running already, further up the stack.
    fn drive(&self, cx: &mut Context<'_>, result: &mut dyn Any) -> bool;
}

/// Where host and guest meet.
pub(crate) struct Slot<I, R> {
    state: Mutex<State<R>>,
    /// What waits for its request, what the guest has left, or what was given back.
    ///
    /// It has a lock of its own so that the continuation can take it from here: inputs are large, and each move is a copy.
    /// Who has the phase's leave to take it locks it, and others only try to.
    input: Mutex<Option<I>>,
}

struct State<R> {
    phase: Phase,
    /// Whether wakers are used at all: not in workflows.
    wakes: bool,
    /// Whether an input that is dropped on its way is kept.
    keeps: bool,
    /// The guest was last polled, and out of its host's reach, so the host must run the continuation itself.
    is_remote: bool,
    host: Option<Waker>,
    guest: Option<Waker>,
    /// The task's context values where the guest was made, for a continuation that is run for a remote guest.
    values: Option<Values>,
    /// What the host has left, unless it ran the continuation in place. That is rare, so the slot keeps no room for it.
    result: Option<Box<R>>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// There is no guest yet.
    Open,
    /// The guest has left the input.
    Handed,
    /// The host has taken the input.
    Running,
    /// The host has left the result.
    Done,
    /// The guest has taken the result, or was dropped.
    Left,
    /// The host was dropped.
    Closed,
}

/// Why a guest was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The host was gone.
    Gone,
    /// Another guest had been there.
    Twice,
}

impl<I, R> Slot<I, R> {
    /// A slot for a request that has its input.
    #[inline]
    pub(crate) fn new(wakes: bool) -> Arc<Self> {
        Self::with_input(wakes, None)
    }

    /// A slot in which the input waits for its request.
    #[inline]
    pub(crate) fn with_input(wakes: bool, input: Option<I>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                phase: Phase::Open,
                wakes,
                keeps: false,
                is_remote: false,
                host: None,
                guest: None,
                values: None,
                result: None,
            }),
            input: Mutex::new(input),
        })
    }

    // Nothing can panic while a lock is held, except the drop of a user's value and the start of a continuation.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn input(&self) -> MutexGuard<'_, Option<I>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The input, unless the host is just about it.
    fn try_input(&self) -> Option<MutexGuard<'_, Option<I>>> {
        match self.input.try_lock() {
            Ok(input) => Some(input),
            Err(TryLockError::Poisoned(input)) => Some(input.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn try_take_input(&self) -> Option<I> {
        self.try_input()?.take()
    }

    /// The input that has waited for its request, or was dropped on its way and kept.
    #[inline]
    pub(crate) fn take_waiting(&self) -> Option<I> {
        self.input().take()
    }

    /// Calls `f` with what the guest has left, unless there is no guest, or it is gone again.
    #[inline]
    fn with_handed<T>(&self, f: impl FnOnce(&mut Option<I>) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        let Phase::Handed = state.phase else {
            return None;
        };
        state.phase = Phase::Running;
        drop(state);
        f(&mut self.input())
    }

    /// Keeps the input if it is dropped before the host has it, for [`take_waiting`](Self::take_waiting).
    pub(crate) fn keep_returned(&self) {
        self.lock().keeps = true;
    }

    /// An input is dropped that was never left here.
    pub(crate) fn give_back(&self, input: I) {
        let abandoned = match self.lock().keeps.then(|| self.try_input()).flatten() {
            Some(mut place) => place.replace(input),
            None => Some(input),
        };
        drop(abandoned);
    }

    fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The stack's side: asks for the continuation to be run, and waits for the result.
pub(crate) struct Guest<I, R> {
    slot: Arc<Slot<I, R>>,
    stage: Stage,
}

enum Stage {
    Admitted,
    Refused(Refusal),
    Finished,
}

impl<I, R> Guest<I, R> {
    /// Leaves the input in the slot. Nothing is done with it before the guest is polled.
    #[inline]
    pub(crate) fn new(slot: Arc<Slot<I, R>>, input: &mut Option<I>) -> Self {
        let mut state = slot.lock();
        let stage = match state.phase {
            Phase::Open => {
                state.phase = Phase::Handed;
                *slot.input() = input.take();
                state.values = Values::current();
                Stage::Admitted
            }
            Phase::Closed => Stage::Refused(Refusal::Gone),
            _ => Stage::Refused(Refusal::Twice),
        };
        drop(state);
        Self { slot, stage }
    }
}

impl<I, R: 'static> Future for Guest<I, R> {
    type Output = Result<R, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.stage {
            Stage::Admitted => {}
            Stage::Refused(refusal) => return Poll::Ready(Err(refusal)),
            Stage::Finished => {
                panic!("the future of a Temporal call was polled after it completed")
            }
        }

        let mut result = None;
        let slot = self.slot.id();
        let in_place = LENT.is_set()
            && LENT.with(|frame| {
                frame
                    .find(slot)
                    .is_some_and(|host| host.drive(cx, &mut result))
            });
        if let Some(result) = result {
            self.stage = Stage::Finished;
            return Poll::Ready(Ok(result));
        }

        let mut state = self.slot.lock();
        match state.phase {
            Phase::Done => {
                state.phase = Phase::Left;
                let result = state.result.take().expect("the host has left it");
                drop(state);
                self.stage = Stage::Finished;
                Poll::Ready(Ok(*result))
            }
            Phase::Closed => {
                drop(state);
                self.stage = Stage::Finished;
                Poll::Ready(Err(Refusal::Gone))
            }
            _ => {
                state.is_remote = !in_place;
                if !in_place && state.wakes {
                    state.guest = Some(cx.waker().clone());
                    let host = state.host.take();
                    drop(state);
                    wake(host);
                }
                Poll::Pending
            }
        }
    }
}

impl<I, R> Drop for Guest<I, R> {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Admitted) {
            return;
        }
        let mut state = self.slot.lock();
        state.phase = match state.phase {
            // As if it had never been there.
            Phase::Handed => Phase::Open,
            Phase::Running | Phase::Done => Phase::Left,
            Phase::Open | Phase::Left | Phase::Closed => return,
        };
        state.is_remote = false;
        let input = if state.keeps {
            None
        } else {
            self.slot.try_take_input()
        };
        let abandoned = (input, state.result.take());
        // The host drops the continuation: after this poll, or when it is woken.
        let host = state.host.take();
        drop(state);
        drop(abandoned);
        wake(host);
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
    slot: Arc<Slot<I, R>>,
    /// The continuation, before it runs.
    step: Cell<Option<N>>,
    /// The continuation, while it runs.
    running: RefCell<Option<N::Future>>,
}

impl<N, I, R> Host<N, I, R>
where
    N: Step<I>,
    N::Future: Future<Output = R>,
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
            slot: self.slot.id(),
            host: self,
            outer,
        }
    }

    /// Runs the continuation as far as it goes, and puts what it returns into `result`.
    /// `false`: there is nothing to run, or it is running already, further up the stack.
    fn run(&self, cx: &mut Context<'_>, result: &mut Option<R>) -> bool {
        let Ok(mut running) = self.running.try_borrow_mut() else {
            return false;
        };
        if running.is_none() {
            *running = self
                .slot
                .with_handed(|input| Some(self.step.take()?.start(input)));
        }
        let Some(future) = &mut *running else {
            return false;
        };
        if let Poll::Ready(value) = Pin::new(future).poll(cx) {
            *result = Some(value);
            *running = None;
        }
        true
    }

    /// Looks after a guest that could not run the continuation in place, once the stack itself can't go on.
    /// Says whether there is something new for the stack.
    fn attend(&self, cx: &mut Context<'_>) -> bool {
        let values = {
            let mut state = self.slot.lock();
            match state.phase {
                Phase::Handed | Phase::Running if state.is_remote => {}
                Phase::Left => {
                    drop(state);
                    self.running.replace(None);
                    return false;
                }
                _ => {
                    state.wait(cx);
                    return false;
                }
            }
            state.wait(cx);
            state.values.clone()
        };
        let mut result = None;
        Values::enter(values.as_ref(), || self.run(cx, &mut result));
        let Some(result) = result else {
            return false;
        };
        let mut state = self.slot.lock();
        if let Phase::Running = state.phase {
            state.phase = Phase::Done;
            state.result = Some(Box::new(result));
        }
        let guest = state.guest.take();
        drop(state);
        wake(guest);
        true
    }
}

impl<R> State<R> {
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

impl<N, I, R> Drive for Host<N, I, R>
where
    N: Step<I>,
    N::Future: Future<Output = R>,
    R: 'static,
{
    fn drive(&self, cx: &mut Context<'_>, result: &mut dyn Any) -> bool {
        let result = result.downcast_mut();
        self.run(cx, result.expect("host and guest know the same slot"))
    }
}

impl<N, I, R> Drop for Host<N, I, R>
where
    N: Step<I>,
{
    fn drop(&mut self) {
        if Arc::strong_count(&self.slot) == 1 {
            // Nobody is there to be told.
            return;
        }
        let mut state = self.slot.lock();
        let abandoned = match state.phase {
            Phase::Handed | Phase::Done => Some((self.slot.try_take_input(), state.result.take())),
            Phase::Open | Phase::Running | Phase::Left | Phase::Closed => None,
        };
        state.phase = Phase::Closed;
        let guest = state.guest.take();
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
                slot,
                step: Cell::new(Some(step)),
                running: RefCell::new(None),
            },
        }
    }

    /// Where host and guest meet.
    pub(crate) fn slot(&self) -> &Arc<Slot<I, R>> {
        &self.host.slot
    }
}

impl<Fut, N, I, R> Future for Rendezvous<Fut, N, I, R>
where
    Fut: Future,
    N: Step<I>,
    N::Future: Future<Output = R>,
    R: 'static,
{
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let mut this = self.project();
        loop {
            if let Poll::Ready(output) = this.host.lend(|| this.stack.as_mut().poll(cx)) {
                return Poll::Ready(output);
            }
            if !this.host.attend(cx) {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    type Meeting<Fut, N> = Rendezvous<Fut, N, u32, u32>;

    /// A stack made of the guest, and a continuation.
    fn meet<Fut, N>(
        wakes: bool,
        stack: impl FnOnce(Guest<u32, u32>) -> Fut,
        step: N,
    ) -> Meeting<Fut, N>
    where
        N: Step<u32>,
    {
        let slot = Slot::new(wakes);
        let guest = Guest::new(slot.clone(), &mut Some(1));
        Rendezvous::new(slot, stack(guest), step)
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
            |input| Box::pin(async move { input + LOCAL.get() }),
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
                    input + 1
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
                    input + 1
                })
            },
        );
        assert_eq!(meeting.await, Ok(2));
    }

    #[test]
    fn without_wakers_nothing_is_woken() {
        let wakes = Arc::new(CountWakes::default());
        let waker = wakes.clone().into();
        let mut cx = Context::from_waker(&waker);
        let mut meeting = Box::pin(meet(false, |guest| guest, |input| ready(input + 1)));
        assert_eq!(meeting.as_mut().poll(&mut cx), Poll::Ready(Ok(2)));
        drop(meeting);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
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
                    pending::<u32>().await
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
        let first = Guest::new(slot.clone(), &mut Some(1));
        let second = Guest::new(slot.clone(), &mut Some(1));
        let meeting = Rendezvous::new(
            slot.clone(),
            async move { (first.await, second.await) },
            |input: u32| ready(input + 1),
        );
        assert_eq!(meeting.await, (Ok(2), Err(Refusal::Twice)));
        assert_eq!(Guest::new(slot, &mut Some(1)).await, Err(Refusal::Gone));
    }

    #[tokio::test]
    async fn a_guest_that_was_never_polled_makes_room_for_the_next() {
        let slot = Slot::new(true);
        drop(Guest::new(slot.clone(), &mut Some(1)));
        let guest = Guest::new(slot.clone(), &mut Some(2));
        let meeting = Rendezvous::new(slot, guest, |input: u32| ready(input + 1));
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
            |_| -> std::future::Ready<u32> { panic!("it was not asked for") },
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
            |_| pending::<u32>(),
        );
        meeting.await;
        let guest = receive.await.unwrap();
        assert_eq!(guest.await.unwrap(), Err(Refusal::Gone));
    }

    #[tokio::test]
    async fn hosts_nest_and_each_guest_finds_its_own() {
        let outer_slot = Slot::new(true);
        let inner_slot = Slot::new(true);
        let outer_guest = Guest::new(outer_slot.clone(), &mut Some(1_u32));
        let inner_guest = Guest::new(inner_slot.clone(), &mut Some(10_u32));
        // The inner host's stack polls the outer host's guest, besides its own.
        let inner = Rendezvous::new(
            inner_slot,
            async move { (outer_guest.await, inner_guest.await) },
            |input: u32| ready(input + 1),
        );
        let outer = Rendezvous::new(outer_slot, inner, |input: u32| ready(input + 1));
        assert_eq!(outer.await, (Ok(2), Ok(11)));
    }

    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
    }
}
