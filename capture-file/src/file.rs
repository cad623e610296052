//! One output file from its opening to its final name: the `.part` and its lock, writes that survive
//! short counts and signals, the cut back to a record boundary, fsync and rename. Used by the writer,
//! and by the sink for the first file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, IsTerminal, Read, Seek, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use capture_task::{
    error::Error,
    task::{FileRecord, StopReason},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sha2::{Digest, Sha256};

use super::{encode::Tally, fault::Fault, recovery, writer::Shared};

/// Capture files hold other people's traffic: nobody but the owner reads them.
const MODE: u32 = 0o600;
/// POSIX guarantees that a pipe which polls as writable takes this much without blocking.
const PIPE_BUF: usize = libc::PIPE_BUF;
/// How long the end of a capture waits for a reader of the pipe who takes nothing.
const STALLED: Duration = Duration::from_secs(3);
/// How often a race for the `.part` is run again; each round takes another process that just then
/// finished with the same name.
const ATTEMPTS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Can be cut back.
    Regular,
    /// A pipe or socket, whose reader may stop reading.
    Stream,
    /// A character device.
    Device,
}

/// A file that is being written.
pub(super) struct OutFile {
    file: File,
    kind: Kind,
    name: PathBuf,
    /// Where it grows, if not under its name.
    part: Option<PathBuf>,
    size: u64,
    packets: u64,
    /// Ends in part of a record, which could not be cut off.
    is_torn: bool,
}

impl OutFile {
    /// Opens the output `name`: as `name.part` if it is or will be a regular file, directly if it is
    /// a pipe or a device.
    pub(super) fn open(name: &Path) -> Result<Self, Fault> {
        let kind = match fs::metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Fault::io("open", name, &error)),
            Ok(metadata) => {
                let is = metadata.file_type();
                if is.is_dir() || is.is_block_device() || is.is_socket() {
                    let message = format!(
                        "cannot write a capture to {}: it is neither a file, a pipe nor a \
                         character device",
                        name.display()
                    );
                    return Err(Error::usage(message).into());
                }
                kind_of(&metadata)
            }
        };
        match kind {
            Some(kind) => {
                // As with every program, opening a FIFO waits for its reader.
                let file = OpenOptions::new()
                    .write(true)
                    .custom_flags(libc::O_NOCTTY)
                    .open(name)
                    .map_err(|error| Fault::io("open", name, &error))?;
                Ok(Self {
                    file,
                    kind,
                    name: name.to_owned(),
                    part: None,
                    size: 0,
                    packets: 0,
                    is_torn: false,
                })
            }
            None => {
                let part = part_of(name);
                Ok(Self {
                    file: create_part(&part)?,
                    kind: Kind::Regular,
                    name: name.to_owned(),
                    part: Some(part),
                    size: 0,
                    packets: 0,
                    is_torn: false,
                })
            }
        }
    }

    /// Standard output, whatever it is but a terminal.
    pub(super) fn stdout() -> Result<Self, Fault> {
        let name = PathBuf::from("-");
        let stdout = io::stdout();
        if stdout.is_terminal() {
            let message = "standard output is a terminal; redirect it, or name a file with -w";
            return Err(Error::usage(message).into());
        }
        let file: File = stdout
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| Fault::io("open", &name, &error))?
            .into();
        let metadata = file
            .metadata()
            .map_err(|error| Fault::io("open", &name, &error))?;
        let kind = kind_of(&metadata).unwrap_or(Kind::Regular);
        Ok(Self {
            file,
            kind,
            name,
            part: None,
            size: 0,
            packets: 0,
            is_torn: false,
        })
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Writes whole records that hold so many packets. On failure says how many bytes went out
    /// before; [`OutFile::cut_back`] then makes it whole records again.
    ///
    /// A regular file takes a buffer in one write(2), so a killed agent leaves whole records as far
    /// as the kernel gets to the end of that call. What remains possible is a cut inside it (a
    /// signal that kills, a full disk, a power failure that kept the size and lost the pages), which
    /// recovery finds and removes.
    pub(super) fn write(
        &mut self,
        data: &[u8],
        packets: u64,
        shared: &Shared,
    ) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < data.len() {
            let mut rest = &data[written..];
            if self.kind == Kind::Stream {
                self.wait_writable(shared)
                    .map_err(|error| (written, error))?;
                rest = &rest[..rest.len().min(PIPE_BUF)];
            }
            match self.file.write(rest) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody made our standard output non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_writable(shared)
                        .map_err(|error| (written, error))?;
                }
                Err(error) => return Err((written, error)),
            }
        }
        self.size += data.len() as u64;
        self.packets += packets;
        Ok(())
    }

    /// Waits for the reader of a pipe: without limit while the capture runs, [`STALLED`] once it
    /// ends, so that a reader who has stopped reading cannot keep the agent from ending.
    fn wait_writable(&self, shared: &Shared) -> io::Result<()> {
        let started = Instant::now();
        loop {
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
            match poll(&mut fds, PollTimeout::from(100_u8)) {
                Ok(0) => {}
                // Ready, or in an error that the write will name.
                Ok(_) => return Ok(()),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let stalled = shared
                .closing_since()
                .map(|closing| closing.max(started).elapsed());
            if stalled.is_some_and(|stalled| stalled >= STALLED) {
                let message = "its reader takes nothing";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
    }

    /// After a failed write of which `written` bytes went out, keeps the whole records among them.
    pub(super) fn cut_back(&mut self, written: usize, whole: Tally) -> io::Result<()> {
        self.packets += whole.packets;
        if self.kind != Kind::Regular {
            self.size += written as u64;
            return Ok(());
        }
        self.size += whole.len as u64;
        if written == whole.len {
            return Ok(());
        }
        // By position and not by size: standard output may have been appended to what was there.
        let cut = self
            .file
            .stream_position()
            .and_then(|position| self.file.set_len(position - (written - whole.len) as u64));
        self.is_torn = cut.is_err();
        cut
    }

    /// Ends a file, and says what became of it.
    pub(super) fn close(
        self,
        index: u64,
        complete: bool,
        shared: &Shared,
    ) -> (FileRecord, Option<Fault>) {
        let (renamed, fault) = self.settle(shared);
        let path = if renamed {
            &self.name
        } else {
            self.part.as_ref().unwrap_or(&self.name)
        };
        let record = FileRecord {
            index,
            name: path.to_string_lossy().into_owned(),
            size: self.size,
            packets: self.packets,
            complete: complete && fault.is_none(),
            sha256: None,
        };
        (record, fault)
    }

    /// fsync, rename to the final name, fsync of the directory; whether it has that name now. After
    /// a failed fsync the pages may be gone while the kernel calls them clean, so there is no second
    /// try, and the file keeps its provisional name. So does one that recovery has to cut first.
    fn settle(&self, shared: &Shared) -> (bool, Option<Fault>) {
        let Some(part) = &self.part else {
            return (true, None);
        };
        if self.is_torn {
            return (false, None);
        }
        let doing = shared.doing("sync", part);
        if let Err(error) = self.file.sync_all() {
            return (false, Some(Fault::io("sync", part, &error)));
        }
        drop(doing);
        let doing = shared.doing("rename", part);
        if let Err(error) = fs::rename(part, &self.name) {
            return (false, Some(Fault::io("rename", part, &error)));
        }
        drop(doing);
        let _doing = shared.doing("sync the directory of", &self.name);
        let synced = sync_directory(&self.name);
        let fault = synced
            .err()
            .map(|error| Fault::io("sync the directory of", &self.name, &error));
        (true, fault)
    }

    /// Whether nothing would be lost with it. An empty file must not replace one that had the name.
    pub(super) fn can_vanish(&self) -> bool {
        self.part.is_some() && self.packets == 0
    }

    /// Ends a file that nobody finished: nothing of it stays if it has no packets, else it stays a
    /// `.part` for the recovery.
    pub(super) fn abandon(self) {
        let Some(part) = &self.part else { return };
        if self.can_vanish()
            && let Err(error) = fs::remove_file(part)
        {
            log::warn!("cannot remove {}: {error}", part.display());
        }
    }
}

/// `None` is a regular file.
fn kind_of(metadata: &fs::Metadata) -> Option<Kind> {
    let is = metadata.file_type();
    if is.is_file() {
        None
    } else if is.is_fifo() || is.is_socket() {
        Some(Kind::Stream)
    } else {
        Some(Kind::Device)
    }
}

/// `NAME.part`: where a file lies until it is complete.
pub fn part_of(name: &Path) -> PathBuf {
    let mut part = OsString::from(name);
    part.push(".part");
    part.into()
}

/// Creates and locks a `.part`, after the recovery of one that a killed agent left.
fn create_part(part: &Path) -> Result<File, Fault> {
    let conflict = || Fault {
        reason: StopReason::Error,
        error: Error::conflict(format!(
            "{} is being written by another capture; choose another name",
            part.display()
        )),
    };
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(conflict()),
                Err(error) => return Err(Fault::io("lock", part, &error)),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match recovery::recover(part) {
                    Ok(recovered) => log::warn!("{recovered}"),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Err(conflict());
                    }
                    Err(error) => return Err(Fault::io("recover", part, &error)),
                }
            }
            Err(error) => return Err(Fault::io("create", part, &error)),
        }
    }
    Err(conflict())
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
    let directory = match name.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match File::open(directory)?.sync_all() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}

/// SHA-256 of a file in lower-case hexadecimal, as a [`FileRecord`] has it.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    // On the stack: the end of a capture must not need memory that there may no longer be.
    let mut buffer = [0; 1 << 14];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(format!("{:x}", hash.finalize())),
            Ok(n) => hash.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe in the place of the file: fsync(2) refuses it with EINVAL.
    #[test]
    fn a_failed_fsync_leaves_the_provisional_name() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let name = directory.path().join("a.pcapng");
        let part = part_of(&name);
        fs::write(&part, "").expect("the .part is written");
        let (_reader, pipe) = io::pipe().expect("a pipe");
        let file = OutFile {
            file: std::os::fd::OwnedFd::from(pipe).into(),
            kind: Kind::Regular,
            name: name.clone(),
            part: Some(part.clone()),
            size: 100,
            packets: 3,
            is_torn: false,
        };
        let (record, fault) = file.close(0, true, &Shared::default());
        assert_eq!(fault.map(|fault| fault.reason), Some(StopReason::IoError));
        assert_eq!((record.complete, record.packets), (false, 3));
        assert_eq!(record.name, part.to_string_lossy());
        assert!(part.exists() && !name.exists());
    }
}
