use std::{cell::RefCell, mem, rc::Rc};
use temporalio_sdk::workflow_interceptors::WorkflowCancellationHandle;

/// Carries the cancellation of an outbound call through a stack.
///
/// The caller can cancel as soon as it has the future; the operation to cancel exists only once the stack has reached its
/// end. A cancellation that comes before is kept and delivered then.
#[derive(Clone, Default)]
pub(super) struct Cancellation(Rc<RefCell<State>>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Requested(Option<String>),
    Started(WorkflowCancellationHandle),
}

impl Cancellation {
    /// What the caller cancels with.
    pub(super) fn handle(&self) -> WorkflowCancellationHandle {
        let this = self.clone();
        WorkflowCancellationHandle::new(move |reason| this.cancel(reason))
    }

    fn cancel(&self, reason: Option<String>) {
        let started = match &mut *self.0.borrow_mut() {
            State::Started(handle) => handle.clone(),
            state => {
                *state = State::Requested(reason);
                return;
            }
        };
        started.cancel(reason);
    }

    /// The operation is there.
    pub(super) fn started(&self, handle: WorkflowCancellationHandle) {
        let before = mem::replace(&mut *self.0.borrow_mut(), State::Started(handle.clone()));
        if let State::Requested(reason) = before {
            handle.cancel(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Cancelled = Rc<RefCell<Vec<Option<String>>>>;

    fn operation() -> (WorkflowCancellationHandle, Cancelled) {
        let cancelled = Cancelled::default();
        let in_handle = cancelled.clone();
        let handle =
            WorkflowCancellationHandle::new(move |reason| in_handle.borrow_mut().push(reason));
        (handle, cancelled)
    }

    #[test]
    fn a_cancellation_before_the_operation_is_delivered_when_it_starts() {
        let cancellation = Cancellation::default();
        let (operation, cancelled) = operation();
        cancellation.handle().cancel(Some("early".into()));
        assert!(cancelled.borrow().is_empty());
        cancellation.started(operation);
        assert_eq!(*cancelled.borrow(), [Some("early".to_owned())]);
    }

    #[test]
    fn a_cancellation_after_it_is_delivered_at_once() {
        let cancellation = Cancellation::default();
        let (operation, cancelled) = operation();
        cancellation.started(operation);
        assert!(cancelled.borrow().is_empty());
        cancellation.handle().cancel(None);
        assert_eq!(*cancelled.borrow(), [None]);
    }
}
