//! Why an output cannot go on: the task's reason to stop, and the sentence that goes with it. Made where
//! the I/O is, and told by the sink.

use std::{io, path::Path};

use capture_task::{error::Error, task::StopReason};

/// Why an output cannot go on.
#[derive(Debug)]
pub(super) struct OutputError {
    pub(super) reason: StopReason,
    pub(super) error: Error,
}

impl OutputError {
    /// Of write(2) and, where file systems allocate late or over a network, of fsync(2).
    pub(super) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let reason = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => StopReason::DiskFull,
            // The consumer of a pipe has had enough, as `head` does.
            Some(libc::EPIPE) => StopReason::User,
            _ => StopReason::IoError,
        };
        let error = Error::runtime(format!("cannot {doing} {}: {error}", path.display()));
        Self { reason, error }
    }
}

impl From<Error> for OutputError {
    fn from(error: Error) -> Self {
        Self {
            reason: StopReason::Error,
            error,
        }
    }
}

/// Another capture has the lock of a file.
pub(super) fn conflict(path: &Path) -> OutputError {
    OutputError {
        reason: StopReason::Error,
        error: Error::conflict(format!(
            "{} is being written by another capture; choose another name",
            path.display()
        )),
    }
}
