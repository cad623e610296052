//! The exit codes of the contract, and which kind of error ends with which.

use std::process::ExitCode;

use crate::error::ErrorKind;

/// How the process ends. A higher one outweighs a lower one where a command acts on several tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done as asked; also where packets were lost.
    Ok = 0,
    /// A failure at run time.
    Runtime = 1,
    /// Wrong usage, or an invalid task.
    Usage = 2,
    /// A task, token, namespace or file that is named is not there.
    NotFound = 3,
    /// In conflict with something that exists, or beyond a quota.
    Conflict = 4,
    /// The daemon cannot be reached.
    Unreachable = 5,
    /// A privilege or a kernel feature is missing.
    Missing = 6,
    /// A finding is as bad as `analyze --fail-on` says, or worse.
    Finding = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Runtime => Self::Runtime,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::Missing => Self::Missing,
        }
    }
}
