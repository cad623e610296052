//! The `.part` of an output: how it is created and locked, and how it gets its name. Used by
//! [`OutFile`](super::file::OutFile) and, for the lock and the names, by the recovery.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use capture_task::{error::Error, task::StopReason};

use super::{
    destination::{MODE, directory_of},
    error::OutputError,
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

/// `NAME.part`: where a file lies until it is complete.
pub fn part_of(name: &Path) -> PathBuf {
    let mut part = OsString::from(name);
    part.push(".part");
    part.into()
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

/// Gives a `.part` its name, unless something has come to have it that is not a regular file.
pub fn rename(part: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(there) if !there.is_file() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is no regular file any more", to.display()),
        )),
        _ => fs::rename(part, to),
    }
}

/// Locks a file; false if it is no longer the one that bears the name. The error is `WouldBlock`
/// where another process holds the lock.
pub(super) fn lock(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a name durable. Some file systems cannot sync a directory and say EINVAL.
pub fn sync_directory(name: &Path) -> io::Result<()> {
    match File::open(directory_of(name))?.sync_all() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}
