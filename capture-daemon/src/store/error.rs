//! Why a call of the store failed: SQLite itself, or a rule that the call keeps.

use capture_task::error::Error;

/// The error of a transaction.
#[derive(Debug)]
pub(super) enum StoreError {
    /// Of SQLite.
    Database(rusqlite::Error),
    /// What was asked for cannot be done.
    Refused(Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => Self::runtime(format!("the database: {error}")),
            StoreError::Refused(error) => error,
        }
    }
}
