//! Errors of the calls about tasks.

use capture_inspector::view::ViewFault;
use capture_store::{Failure, Outcome};
use capture_task::task::State;

use crate::error::Error;

/// Why something was not done to a task.
#[derive(Debug)]
pub enum TaskError {
    /// There is no such task, or no such file of it.
    NotFound,
    /// Whoever asks may not.
    Forbidden,
    /// The task must have ended first.
    Unfinished(State),
    /// Its files are removed: their time was over, or others needed the room.
    FilesRemoved,
    /// The files should be there and are not: where they were looked for, a sentence.
    FilesMissing(String),
    /// There are no findings: a word for programs, and why.
    NotAnalyzed {
        /// Short name of what is wrong.
        code: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
    /// A question about packets has a fault.
    View(ViewFault),
    /// The packets cannot be shown in this way: a word for programs, and why.
    NotShown {
        /// Short name of what is wrong.
        code: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
    /// It cannot be shared, or not now: a word for programs, and why.
    NotShared {
        /// Short name of what is wrong.
        code: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
    /// The packets cannot be shown now: a word for programs, and why.
    NoView {
        /// Short name of what is wrong.
        code: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
    /// The task has so many notes, and no more can be kept.
    TooManyNotes(u64),
    /// As many copies are made as can be at once.
    Busy,
    /// No space is left to store it.
    NoSpace(Error),
    /// Something else failed.
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
            Failure::NoSpace(error) => Self::NoSpace(error.into()),
            Failure::Refused(error) | Failure::Broken(error) => Self::Broken(error.into()),
        }
    }
}

impl From<capture_store::Error> for TaskError {
    fn from(error: capture_store::Error) -> Self {
        Self::Broken(error.into())
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
            Self::FilesMissing(_) => Outcome::Refused("files missing"),
            Self::View(_) => Outcome::Refused("invalid"),
            Self::NotShown { code, .. } => Outcome::Refused(code),
            Self::TooManyNotes(_) => Outcome::Refused("too many notes"),
            Self::NoView { detail, .. } => Outcome::Failed(detail),
            Self::NotAnalyzed { code, .. } | Self::NotShared { code, .. } => Outcome::Refused(code),
            Self::Busy => Outcome::Failed("busy"),
            Self::NoSpace(error) | Self::Broken(error) => Outcome::Failed(&error.message),
        }
    }
}
