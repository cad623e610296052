//! Errors as the command line reports them: one or two sentences and an exit code.

use std::process::ExitCode;

/// The exit codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Fine.
    Ok = 0,
    /// A failure at run time.
    Runtime = 1,
    /// Wrong usage, or an invalid task.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// Conflict or quota.
    Conflict = 4,
    /// The daemon cannot be reached.
    Unreachable = 5,
    /// A privilege or a kernel feature is missing.
    Missing = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error for people: what was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The exit code that goes with it.
    pub exit: Exit,
    /// One or two sentences.
    pub message: String,
}

impl Error {
    /// A failure at run time.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Runtime,
            message: message.into(),
        }
    }

    /// Wrong usage or an invalid task.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// A missing privilege or kernel feature.
    pub fn missing(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Missing,
            message: message.into(),
        }
    }

    /// Something is in the way that is not ours to remove.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Conflict,
            message: message.into(),
        }
    }

    /// A named thing that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::NotFound,
            message: message.into(),
        }
    }
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
