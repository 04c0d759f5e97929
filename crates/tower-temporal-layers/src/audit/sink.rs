use super::AuditRecord;
use tokio::sync::mpsc;

/// Takes records, without holding up the call.
///
/// Closures `Fn(AuditRecord<W>)` implement it, and the sender of a bounded channel, which drops what there is no room for.
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
