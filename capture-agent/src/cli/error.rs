//! Errors of the command line in words for people. What comes from the crates below is put into words here:
//! they say what happened, and this says it in the terms of options.

pub(crate) use below::ErrorKind;
use capture_task::error as below;

/// Why something was refused or failed, for people: what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    /// The kind of failure.
    pub(crate) kind: ErrorKind,
    /// One or two sentences.
    pub(crate) message: String,
}

impl Error {
    /// An error of this kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// [`ErrorKind::Runtime`].
    pub(crate) fn runtime(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Runtime, message)
    }

    /// [`ErrorKind::Usage`].
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// [`ErrorKind::Conflict`].
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// [`ErrorKind::NotFound`].
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

/// Result with [`Error`].
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<below::Error> for Error {
    fn from(error: below::Error) -> Self {
        let below::Error { kind, message } = error;
        Self { kind, message }
    }
}

impl From<capture_daemon::error::Error> for Error {
    fn from(error: capture_daemon::error::Error) -> Self {
        let capture_daemon::error::Error { kind, message } = error;
        Self { kind, message }
    }
}
