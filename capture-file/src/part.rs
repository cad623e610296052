//! The `.part` of an output: how it is created and locked, after the recovery of one that was left. Used by
//! [`OutFile`](super::file::OutFile).

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{
    error::{OutputError, conflict},
    path::{MODE, lock},
    recovery,
};

/// How often a race for the `.part` is run again; each round takes another process that just then
/// finished with the same name.
const ATTEMPTS: usize = 8;

/// Why a `.part` was not made.
#[derive(Debug)]
pub(super) enum CreateError {
    /// The directory refuses new files.
    Directory(io::Error),
    /// Anything else.
    OutputError(OutputError),
}

impl CreateError {
    pub(super) fn fault(self, part: &Path) -> OutputError {
        match self {
            Self::Directory(error) => OutputError::io("create", part, &error),
            Self::OutputError(fault) => fault,
        }
    }
}

impl From<OutputError> for CreateError {
    fn from(fault: OutputError) -> Self {
        Self::OutputError(fault)
    }
}

/// Creates and locks a `.part`, after the recovery of one that a killed agent left.
///
/// # Errors
/// The directory; another capture that is writing it; what the file system says.
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
                    return Err(conflict(part).into());
                }
                Err(error) => return Err(OutputError::io("lock", part, &error).into()),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match recovery::recover(part) {
                    Ok(recovered) => log::warn!("{recovered}"),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Err(conflict(part).into());
                    }
                    Err(error) => return Err(OutputError::io("recover", part, &error).into()),
                }
            }
            Err(error) => {
                return Err(match error.raw_os_error() {
                    Some(libc::EACCES | libc::EPERM | libc::EROFS) => CreateError::Directory(error),
                    _ => OutputError::io("create", part, &error).into(),
                });
            }
        }
    }
    Err(conflict(part).into())
}
