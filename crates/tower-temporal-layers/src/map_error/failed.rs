use std::{error::Error, time::Duration};
use temporalio_common::error::{ApplicationErrorCategory, FailurePayloads};
use tower_temporal_core::{BoxError, ErrorKind, error, failure::FailureParts};

/// What a call has failed with, to be looked at and changed.
#[derive(Debug)]
pub struct Failed {
    error: BoxError,
    kind: ErrorKind,
    /// What is to be said of it, once something has changed.
    parts: Option<FailureParts>,
}

impl Failed {
    pub(super) const fn new(error: BoxError, kind: ErrorKind) -> Self {
        Self {
            error,
            kind,
            parts: None,
        }
    }

    /// The error.
    pub fn error(&self) -> &(dyn Error + 'static) {
        self.error.as_ref()
    }

    /// What happened, as far as the error tells.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error of the type `E`, if that is what the call failed with or what caused it.
    pub fn find<E: Error + 'static>(&self) -> Option<&E> {
        error::find_in(self.error())
    }

    /// Has the failure not retried, whatever the retry policy says.
    pub fn non_retryable(&mut self) -> &mut Self {
        self.parts().non_retryable = true;
        self
    }

    /// Has the failure retried, as the retry policy says.
    pub fn retryable(&mut self) -> &mut Self {
        self.parts().non_retryable = false;
        self
    }

    /// Has the failure retried after `delay`, in place of what the retry policy says.
    pub fn retry_after(&mut self, delay: Duration) -> &mut Self {
        self.parts().next_retry_delay = Some(delay);
        self
    }

    /// Names the failure's type, which retry policies and other SDKs know it by.
    pub fn type_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.parts().type_name = Some(name.into());
        self
    }

    /// Says how serious the failure is. One that is `Benign` is not logged or counted as a failure.
    pub fn category(&mut self, category: ApplicationErrorCategory) -> &mut Self {
        self.parts().category = category;
        self
    }

    /// Adds details: any value that can be sent as an argument.
    pub fn details(&mut self, details: impl Into<FailurePayloads>) -> &mut Self {
        self.parts().details = Some(details.into());
        self
    }

    /// Puts `error` in place of the one there is. What has been said of that is forgotten.
    pub fn replace(&mut self, error: impl Into<BoxError>) -> &mut Self {
        self.error = error.into();
        self.kind = error::kind(&self.error);
        self.parts = None;
        self
    }

    fn parts(&mut self) -> &mut FailureParts {
        self.parts
            .get_or_insert_with(|| FailureParts::of(&self.error))
    }

    pub(super) fn into_error(self) -> BoxError {
        match self.parts {
            Some(parts) => parts.build(self.error).into(),
            None => self.error,
        }
    }
}
