//! Names of capture files, and operations on them: lock, rename, sync. Used wherever a file is opened, finished or
//! recovered.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};

use super::missing_directory::open_failure;

/// Mode of capture files: they hold other people's traffic, so only the owner can read them.
pub(super) const MODE: u32 = 0o600;

/// `NAME.part`, the name of a file until it is complete.
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

/// Whether a file of this name could be made, as far as its directory tells.
///
/// # Errors
/// A sentence that says why not.
pub fn check_writable(path: &Path) -> Result<(), String> {
    // Written in place, or refused, by rules that only an attempt tells.
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Ok(());
    }
    let mode = AccessFlags::W_OK | AccessFlags::X_OK;
    access(directory_of(path), mode).map_err(|errno| {
        let part = part_of(path);
        let why = open_failure(&part, &errno.into());
        format!("cannot create {}: {why}", part.display())
    })
}

/// Renames a `.part` to its final name, unless something there is not a regular file.
pub fn rename(part: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(there) if !there.is_file() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is no regular file any more", to.display()),
        )),
        _ => fs::rename(part, to),
    }
}

/// Locks a file; false if the name leads to another file by now. The error is `WouldBlock` if another process holds
/// the lock.
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

/// Syncs the directory of a file, so that its name is durable. File systems that cannot (EINVAL) are let be.
pub fn sync_directory(name: &Path) -> io::Result<()> {
    match File::open(directory_of(name))?.sync_all() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}
