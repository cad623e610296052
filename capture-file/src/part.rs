//! Creates and locks the `.part` of an output, after recovering one that a killed agent left. Used by
//! [`OutFile`](super::file::OutFile).

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{
    error::{Action, Error},
    path::{MODE, lock},
    recovery,
};

/// Attempts to create the `.part`. Each further one takes another process that has just finished a file of the same
/// name.
const ATTEMPTS: usize = 8;

/// Why a `.part` was not created.
#[derive(Debug)]
pub(super) enum CreateError {
    /// The directory refuses new files.
    Directory(io::Error),
    /// Anything else.
    Other(Error),
}

impl CreateError {
    /// The error for this `.part`.
    pub(super) fn at(self, part: &Path) -> Error {
        match self {
            Self::Directory(error) => Error::io(Action::Create, part, error),
            Self::Other(error) => error,
        }
    }
}

impl From<Error> for CreateError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Creates and locks a `.part`, after recovering one that a killed agent left.
///
/// # Errors
/// The directory cannot be written; another capture is writing the `.part`; errors of the file system.
pub(super) fn create(part: &Path) -> Result<File, CreateError> {
    for _ in 0..ATTEMPTS {
        let created = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(MODE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(part);
        match created {
            Ok(file) => match lock(&file, part) {
                Ok(true) => return Ok(file),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(in_use(part));
                }
                Err(error) => return Err(Error::io(Action::Lock, part, error).into()),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match recovery::recover(part) {
                    Ok(recovered) => log::warn!("{recovered}"),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Err(in_use(part));
                    }
                    Err(error) => return Err(Error::io(Action::Recover, part, error).into()),
                }
            }
            Err(error) => {
                return Err(match error.raw_os_error() {
                    Some(libc::EACCES | libc::EPERM | libc::EROFS) => CreateError::Directory(error),
                    _ => Error::io(Action::Create, part, error).into(),
                });
            }
        }
    }
    Err(in_use(part))
}

fn in_use(part: &Path) -> CreateError {
    let path = part.to_owned();
    Error::InUse { path }.into()
}
