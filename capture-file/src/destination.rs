//! Where the name of an output leads. Symbolic links are followed one by one; the kind of file at their end
//! decides how [`OutFile`](super::file::OutFile) writes it.
//!
//! | at the end of the links | the capture |
//! | --- | --- |
//! | nothing, or a regular file | is written to a `.part` beside it, then renamed over it |
//! | a regular file that cannot be replaced | is written into it |
//! | a FIFO, a character device | is written into it |
//! | an open descriptor of this process | is written to the descriptor, see [`Target`](super::Target) |
//! | anything else | is refused |
//!
//! In a world-writable sticky directory such as `/tmp`, links, FIFOs and files of other users are refused:
//! their owners would decide where the packets go.

use std::{
    ffi::CString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, IsTerminal},
    os::{
        fd::RawFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use caps::{CapSet, Capability};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::statfs::{
        BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, PROC_SUPER_MAGIC,
        SECURITYFS_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, statfs,
    },
    unistd::geteuid,
};

use super::{
    error::{Action, Error, Foreign, NotReplaceable, Refusal, Result},
    path::{MODE, directory_of, lock},
};

/// As many symbolic links as the kernel follows (`MAXSYMLINKS` in include/linux/namei.h).
const MAX_LINKS: usize = 40;
/// The end of the links of a name.
#[derive(Debug)]
pub(super) enum Located {
    /// An open descriptor of this process.
    Descriptor(RawFd),
    /// A path without a symbolic link at its end, and the metadata of the file there, if there is one.
    Path(PathBuf, Option<Metadata>),
}

/// Follows the symbolic links of a name to their end.
///
/// # Errors
/// A loop of links; a link of another user in a world-writable sticky directory; a descriptor of another
/// process; errors of the file system.
pub(super) fn locate(name: &Path) -> Result<Located> {
    let failed = |error: io::Error| Error::io(Action::Open, name, error);
    let mut path = name.to_owned();
    for _ in 0..=MAX_LINKS {
        if let Some(number) = own_descriptor(&path) {
            return Ok(Located::Descriptor(number));
        }
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Located::Path(path, None));
            }
            found => found.map_err(failed)?,
        };
        if !metadata.is_symlink() {
            return Ok(Located::Path(path, Some(metadata)));
        }
        let directory = directory_of(&path);
        if is_foreign(directory, &metadata).map_err(failed)? {
            return Err(Error::OtherUser {
                path: name.to_owned(),
                what: Foreign::Link(path),
                uid: metadata.uid(),
            });
        }
        // Such a link is not a path: what it says may be "pipe:[1234]", or the name of a deleted file.
        if statfs(directory).is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC) {
            return Err(Error::refused(name, Refusal::OtherProcess));
        }
        let target = fs::read_link(&path).map_err(failed)?;
        path = directory.join(target);
    }
    Err(Error::LinkLoop {
        path: name.to_owned(),
    })
}

/// The path that a name leads to, or the name itself if its links cannot be followed.
pub fn follow_links(name: &Path) -> PathBuf {
    match locate(name) {
        Ok(Located::Path(path, _)) => path,
        Ok(Located::Descriptor(number)) => format!("/proc/self/fd/{number}").into(),
        Err(_) => name.to_owned(),
    }
}

/// Whether a name leads to an open descriptor of this process.
pub fn is_descriptor(name: &Path) -> bool {
    matches!(locate(name), Ok(Located::Descriptor(_)))
}

/// The path to rename a finished file to so that it appears under `name`, and whether a file is there already.
///
/// # Errors
/// [`Error::NotReplaceable`]: what is there is not a regular file, or cannot be renamed over. As of an output
/// otherwise.
pub fn replacement_path(name: &Path) -> Result<(PathBuf, bool)> {
    let (path, found) = match locate(name)? {
        Located::Path(path, None) => return Ok((path, false)),
        Located::Path(path, Some(found)) if found.is_file() => (path, found),
        _ => {
            return Err(Error::NotReplaceable {
                path: name.to_owned(),
                reason: NotReplaceable::NotRegular,
            });
        }
    };
    refuse_kernel_file(name, &path)?;
    let reason = check_replaceable(&path, &found);
    match reason.map_err(|error| Error::io(Action::Open, name, error))? {
        None => Ok((path, true)),
        Some(reason) => Err(Error::NotReplaceable {
            path: name.to_owned(),
            reason,
        }),
    }
}

/// The number in `/proc/self/fd/N` and in all other names of that directory: `/dev/fd`, `/proc/PID/fd`,
/// `/proc/thread-self/fd`.
fn own_descriptor(path: &Path) -> Option<RawFd> {
    let number: RawFd = path.file_name()?.to_str()?.parse().ok()?;
    let directory = fs::canonicalize(directory_of(path)).ok()?;
    let process = fs::canonicalize("/proc/self").ok()?;
    let within = directory.strip_prefix(process).ok()?;
    let is_fds =
        within == Path::new("fd") || (within.starts_with("task") && within.ends_with("fd"));
    (is_fds && number >= 0).then_some(number)
}

/// Whether a file in a world-writable sticky directory belongs to neither this user, nor the directory's owner, nor
/// root. The kernel refuses to open such files only if it is configured to (`fs.protected_symlinks`,
/// `fs.protected_fifos`, proc_sys_fs(5)), and never refuses to read a link.
pub(super) fn is_foreign(directory: &Path, metadata: &Metadata) -> io::Result<bool> {
    const SHARED: u32 = libc::S_ISVTX | libc::S_IWOTH;
    let place = fs::metadata(directory)?;
    let friends = [geteuid().as_raw(), place.uid(), 0];
    Ok(place.mode() & SHARED == SHARED && !friends.contains(&metadata.uid()))
}

/// Why a regular file cannot be renamed over, if so. Checked before the capture begins. A directory that cannot be
/// written is found when the `.part` is created.
pub(super) fn check_replaceable(
    path: &Path,
    metadata: &Metadata,
) -> io::Result<Option<NotReplaceable>> {
    let attributes = attributes(path)?;
    let has = |attribute: libc::c_int| attributes & attribute as u64 != 0;
    if has(libc::STATX_ATTR_MOUNT_ROOT) {
        return Ok(Some(NotReplaceable::MountPoint));
    }
    if has(libc::STATX_ATTR_IMMUTABLE) || has(libc::STATX_ATTR_APPEND) {
        return Ok(Some(NotReplaceable::Immutable));
    }
    // As `check_sticky` in fs/namei.c.
    let directory = fs::metadata(directory_of(path))?;
    let is_sticky = directory.mode() & libc::S_ISVTX != 0;
    let me = geteuid().as_raw();
    let may_replace = metadata.uid() == me
        || directory.uid() == me
        || caps::has_cap(None, CapSet::Effective, Capability::CAP_FOWNER).unwrap_or(false);
    Ok((is_sticky && !may_replace).then_some(NotReplaceable::Sticky))
}

/// The attributes of a file, see statx(2). Links are not followed.
fn attributes(path: &Path) -> io::Result<u64> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all fields of statx are numbers, for which zero is a value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
    // SAFETY: the name ends in NUL, and both it and the result live during the call.
    let done = unsafe { libc::statx(libc::AT_FDCWD, name.as_ptr(), flags, 0, &raw mut found) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(found.stx_attributes & found.stx_attributes_mask)
}

/// Refuses files of `/proc`, `/sys` and the like, which are an interface to the kernel.
pub(super) fn refuse_kernel_file(name: &Path, path: &Path) -> Result<()> {
    let kernel = [
        BPF_FS_MAGIC,
        CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC,
        DEBUGFS_MAGIC,
        PROC_SUPER_MAGIC,
        SECURITYFS_MAGIC,
        SYSFS_MAGIC,
        TRACEFS_MAGIC,
    ];
    if statfs(path).is_ok_and(|fs| kernel.contains(&fs.filesystem_type())) {
        return Err(Error::refused(name, Refusal::KernelFile));
    }
    Ok(())
}

/// Opens a FIFO for writing; `None` if it has no reader.
///
/// # Errors
/// It belongs to another user, in a world-writable sticky directory; errors of the file system.
pub(super) fn open_fifo(name: &Path, path: &Path) -> Result<Option<File>> {
    let failed = |error: io::Error| Error::io(Action::Open, name, error);
    // With O_CREAT the kernel's own protection (`fs.protected_fifos`) applies as well.
    let opened = writing(libc::O_NONBLOCK).create(true).open(path);
    let file = match opened {
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            let metadata = fs::symlink_metadata(path).map_err(failed)?;
            refuse_foreign_fifo(name, path, &metadata)?;
            return Ok(None);
        }
        opened => opened.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.file_type().is_fifo() {
        return Err(changed(name));
    }
    refuse_foreign_fifo(name, path, &metadata)?;
    wait_in_writes(&file).map_err(failed)?;
    Ok(Some(file))
}

/// Clears `O_NONBLOCK`, which was for open(2) alone.
fn wait_in_writes(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(())
}

fn refuse_foreign_fifo(name: &Path, path: &Path, metadata: &Metadata) -> Result<()> {
    let is_foreign = is_foreign(directory_of(path), metadata);
    if is_foreign.map_err(|error| Error::io(Action::Open, name, error))? {
        return Err(Error::OtherUser {
            path: name.to_owned(),
            what: Foreign::Fifo,
            uid: metadata.uid(),
        });
    }
    Ok(())
}

/// Opens a character device, unless it is a terminal.
pub(super) fn open_device(name: &Path, path: &Path) -> Result<File> {
    let failed = |error: io::Error| Error::io(Action::Open, name, error);
    let file = writing(libc::O_NONBLOCK).open(path).map_err(failed)?;
    if !file
        .metadata()
        .map_err(failed)?
        .file_type()
        .is_char_device()
    {
        return Err(changed(name));
    }
    if file.is_terminal() {
        return Err(Error::Terminal {
            path: name.to_owned(),
        });
    }
    wait_in_writes(&file).map_err(failed)?;
    Ok(file)
}

/// Opens, locks and truncates the regular file that was `found`, to write the capture into it.
pub(super) fn open_in_place(
    name: &Path,
    path: &Path,
    found: &Metadata,
    reason: NotReplaceable,
) -> Result<File> {
    let failed = |error: io::Error| Error::InPlace {
        path: name.to_owned(),
        reason,
        cause: Arc::new(error),
    };
    if is_foreign(directory_of(path), found).map_err(failed)? {
        return Err(Error::OtherUser {
            path: name.to_owned(),
            what: Foreign::File,
            uid: found.uid(),
        });
    }
    // With O_CREAT the kernel's own protection (`fs.protected_regular`) applies as well.
    let file = writing(0)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    if (opened.dev(), opened.ino()) != (found.dev(), found.ino()) || !opened.is_file() {
        return Err(changed(name));
    }
    match lock(&file, path) {
        Ok(true) => {}
        Ok(false) => return Err(changed(name)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(Error::InUse {
                path: name.to_owned(),
            });
        }
        Err(error) => return Err(failed(error)),
    }
    // Only now: another capture may have been writing it.
    file.set_len(0).map_err(failed)?;
    Ok(file)
}

fn changed(name: &Path) -> Error {
    Error::Changed {
        path: name.to_owned(),
    }
}

fn writing(flags: libc::c_int) -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(MODE)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY | flags);
    options
}
