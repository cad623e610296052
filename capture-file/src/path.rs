//! Names of capture files, and what is done with a name whatever lies there: lock, rename, sync. Used by all that
//! opens, ends or recovers a file.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Capture files hold other people's traffic: nobody but the owner reads them.
pub(super) const MODE: u32 = 0o600;

/// `NAME.part`: where a file lies until it is complete.
pub fn part_of(name: &Path) -> PathBuf {
    let mut part = OsString::from(name);
    part.push(".part");
    part.into()
}

/// `STEM_suffix.EXT`.
pub(super) fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut file = name.file_stem().unwrap_or_default().to_owned();
    file.push("_");
    file.push(suffix);
    if let Some(extension) = name.extension() {
        file.push(".");
        file.push(extension);
    }
    name.with_file_name(file)
}

/// The directory of a name.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
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
