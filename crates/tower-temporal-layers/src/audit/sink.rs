use super::AuditRecord;
use tokio::sync::mpsc;

/// Takes records, at once.
///
/// Closures `Fn(AuditRecord<W>)` implement it, and the sender of a bounded channel, which drops what there is no room for.
///
/// The call waits for it: a closure must not block, and should leave what takes time to somebody else. It runs in the call's own
/// task, or where the call is dropped. What it panics with fails the call, but for a call that is dropped: there the record
/// counts as one that was not taken.
pub trait AuditSink<W> {
    /// Takes `record`, and says whether it did.
    fn take(&self, record: AuditRecord<W>) -> bool;
}

impl<W, F: Fn(AuditRecord<W>)> AuditSink<W> for F {
    fn take(&self, record: AuditRecord<W>) -> bool {
        self(record);
        true
    }
}

impl<W> AuditSink<W> for mpsc::Sender<AuditRecord<W>> {
    fn take(&self, record: AuditRecord<W>) -> bool {
        self.try_send(record).is_ok()
    }
}
