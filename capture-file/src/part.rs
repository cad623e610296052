//! Creates and locks the `.part` of an output, after recovering one that a killed agent left. Used by
//! [`OutFile`](super::file::OutFile).

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::unistd::geteuid;

use super::{
    error::{Action, Error},
    path::{MODE, directory_of, lock},
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
                refuse_planted(part)?;
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

/// Refuses a `.part` that another user has put in the way, in a directory that everybody can write to: it may take as long
/// to read as they like, and is nobody's interrupted capture.
fn refuse_planted(part: &Path) -> Result<(), CreateError> {
    let (Ok(found), Ok(directory)) = (part.symlink_metadata(), directory_of(part).metadata())
    else {
        // It has gone, or its recovery says what is wrong.
        return Ok(());
    };
    let is_open = directory.mode() & 0o002 != 0;
    if !is_open || found.uid() == geteuid().as_raw() {
        return Ok(());
    }
    let why = format!(
        "it is of another user (uid {}) in a directory that everybody can write to; remove it, or name another file",
        found.uid()
    );
    Err(Error::io(Action::Recover, part, io::Error::other(why)).into())
}

fn in_use(part: &Path) -> CreateError {
    let path = part.to_owned();
    Error::InUse { path }.into()
}

#[cfg(test)]
mod tests {
    mod privileged {
        use std::{
            fs::{self, Permissions},
            os::unix::fs::{PermissionsExt as _, chown},
        };

        use super::super::*;

        /// Of which 50 GB are to be read.
        #[test]
        fn what_another_user_has_put_in_the_way_is_not_read() {
            let directory = tempfile::tempdir().expect("a directory");
            let part = directory.path().join("a.pcapng.part");
            let planted = File::create(&part).expect("a file");
            planted.set_len(50 << 30).expect("it is sparse");
            chown(&part, Some(65534), Some(65534)).expect("root may");
            fs::set_permissions(directory.path(), Permissions::from_mode(0o1777))
                .expect("it is ours");
            let refused = create(&part).expect_err("it is in the way").at(&part);
            let text = refused.to_string();
            assert!(text.contains("is of another user (uid 65534)"), "{text}");
            assert!(part.exists());
            // One's own is recovered, or told to be no capture, as ever.
            fs::remove_file(&part).expect("root may");
            create(&part).expect("the name is free");
        }
    }
}
