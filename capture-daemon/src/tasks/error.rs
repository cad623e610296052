//! Errors of the calls about tasks.

use capture_task::task::State;

use crate::{
    error::Error,
    store::{Failure, Outcome},
};

/// Why something was not done to a task.
#[derive(Debug)]
pub(crate) enum TaskError {
    /// There is no such task, or no such file of it.
    NotFound,
    Forbidden,
    /// The task must have ended first.
    Unfinished(State),
    /// The time of its files is over, and they are removed.
    FilesRemoved,
    NoSpace(Error),
    Broken(Error),
}

impl From<Error> for TaskError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoSpace(error) => Self::NoSpace(error),
            Failure::Refused(error) | Failure::Broken(error) => Self::Broken(error),
        }
    }
}

impl TaskError {
    /// The word for it in the audit log.
    pub(super) fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::NotFound => Outcome::Refused("not found"),
            Self::Forbidden => Outcome::Refused("not allowed"),
            Self::Unfinished(_) => Outcome::Refused("not ended"),
            Self::FilesRemoved => Outcome::Refused("files removed"),
            Self::NoSpace(error) | Self::Broken(error) => Outcome::Failed(&error.message),
        }
    }
}
