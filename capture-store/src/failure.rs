//! Why a change was not stored: it was refused, or the database cannot be written. In the second case callers keep
//! what they could not store and try again.

use std::path::Path;

use crate::error::Error;

/// Why a change is not stored.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The change itself is wrong; another try would be refused too.
    #[error(transparent)]
    Refused(Error),
    /// No space is left for it.
    #[error(transparent)]
    NoSpace(Error),
    /// The database cannot be read or written.
    #[error(transparent)]
    Broken(Error),
}

impl Failure {
    /// No space is left on the file system of `directory`.
    pub(super) fn no_space(directory: &Path) -> Self {
        Self::NoSpace(Error::runtime(format!(
            "no space is left on {}; delete tasks or free some",
            directory.display()
        )))
    }

    /// Whether the same change may be stored at another time.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) | Failure::NoSpace(error) | Failure::Broken(error) => error,
        }
    }
}

/// What ends a transaction without a commit.
#[derive(Debug)]
pub(super) enum Abort {
    /// The change is refused.
    Refused(Error),
    /// A statement failed.
    Sqlite(rusqlite::Error),
}

impl From<Abort> for Error {
    fn from(abort: Abort) -> Self {
        match abort {
            Abort::Refused(error) => error,
            Abort::Sqlite(error) => Self::runtime(format!("the database: {error}")),
        }
    }
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Abort {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
