//! One output file from open(2) to its final name: writes that survive short counts and signals, the cut back to
//! a record boundary after a failed write, fsync and rename. Used by the writer, and by [`FileOutput`](super::FileOutput)
//! for the first file.

use std::{
    fs::{self, File, Metadata},
    io::{self, IsTerminal, Read, Seek, Write},
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use capture_task::{Cause, task::FileRecord};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sha2::{Digest, Sha256};

use super::{
    channel::WriterState,
    destination::{self, Located},
    encode::WholeRecords,
    error::{Action, Error, NotReplaceable, Refusal, Result},
    part::{self, CreateError},
    path::{self, part_of},
    target::OpenTarget,
};

/// POSIX guarantees that a pipe which polls as writable takes this much without blocking.
const PIPE_BUF: usize = libc::PIPE_BUF;
/// How long the end of a capture waits for the reader of a pipe that has stopped reading.
const STALL_LIMIT: Duration = Duration::from_secs(3);
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
    /// The name given, which may be a link.
    name: PathBuf,
    end: End,
    size: u64,
    packets: u64,
    /// Ends in a partial record that could not be cut off.
    is_torn: bool,
}

/// What is done with the file once everything is written.
#[derive(Debug)]
enum End {
    /// Nothing: it is a stream, or was opened by somebody else.
    Nothing,
    /// A regular file that was written in place is synced.
    Sync,
    /// A `.part` is synced and renamed to what the name leads to.
    Rename { part: PathBuf, to: PathBuf },
}

impl OutFile {
    /// Opens the output `name`: as a `.part` if it leads to a regular file or to nothing; in place if it leads to
    /// a file that cannot be replaced, a FIFO, or a device.
    pub(super) fn open(name: &Path) -> Result<Self> {
        let (path, found) = located(name)?;
        let Some(found) = found else {
            return Self::open_new(name, path);
        };
        let is = found.file_type();
        if is.is_file() {
            return Self::open_over(name, path, &found);
        }
        if is.is_fifo() {
            let file = destination::open_fifo(name, &path)?;
            let file = file.ok_or_else(|| Error::NoReader {
                path: name.to_owned(),
            })?;
            return Ok(Self::new(file, Kind::Stream, name, End::Nothing));
        }
        if is.is_char_device() {
            let file = destination::open_device(name, &path)?;
            return Ok(Self::new(file, Kind::Device, name, End::Nothing));
        }
        Err(Error::refused(name, Refusal::Type))
    }

    /// Opens a file of a rotation, which leads to a regular file or to nothing.
    pub(super) fn open_rotated(name: &Path) -> Result<Self> {
        let (path, found) = located(name)?;
        match found {
            None => Self::open_new(name, path),
            Some(found) if found.is_file() => Self::open_over(name, path, &found),
            Some(_) => Err(Error::refused(name, Refusal::Rotation)),
        }
    }

    /// Creates the `.part` that will replace a regular file, or opens that file if it cannot be replaced.
    fn open_over(name: &Path, path: PathBuf, found: &Metadata) -> Result<Self> {
        destination::refuse_kernel_file(name, &path)?;
        let reason = destination::check_replaceable(&path, found)
            .map_err(|error| Error::io(Action::Open, name, error))?;
        let reason = match reason {
            Some(reason) => reason,
            None => match part::create(&part_of(&path)) {
                Ok(file) => return Ok(Self::provisional(file, name, path)),
                Err(CreateError::Directory(_)) => NotReplaceable::Directory,
                Err(error) => return Err(error.at(&part_of(&path))),
            },
        };
        let file = destination::open_in_place(name, &path, found, reason)?;
        log::warn!(
            "{} is written in place, because {reason}: what it held is gone, and a killed capture \
             leaves it unfinished",
            name.display()
        );
        Ok(Self::new(file, Kind::Regular, name, End::Sync))
    }

    /// Creates the `.part` of a name that is free.
    fn open_new(name: &Path, path: PathBuf) -> Result<Self> {
        let part = part_of(&path);
        let file = part::create(&part).map_err(|error| error.at(&part))?;
        Ok(Self::provisional(file, name, path))
    }

    fn provisional(file: File, name: &Path, to: PathBuf) -> Self {
        let part = part_of(&to);
        Self::new(file, Kind::Regular, name, End::Rename { part, to })
    }

    /// Standard output, unless it is a terminal.
    pub(super) fn stdout() -> Result<Self> {
        let name = PathBuf::from("-");
        let file: File = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| Error::io(Action::Open, &name, error))?
            .into();
        Self::opened(file, &name)
    }

    /// A descriptor that is open already, unless it is a terminal.
    pub(super) fn target(target: &OpenTarget) -> Result<Self> {
        let name = target.name();
        let file = target.file();
        let file = file
            .try_clone()
            .map_err(|error| Error::io(Action::Open, name, error))?;
        Self::opened(file, name)
    }

    fn opened(file: File, name: &Path) -> Result<Self> {
        if file.is_terminal() {
            return Err(Error::Terminal {
                path: name.to_owned(),
            });
        }
        let metadata = file
            .metadata()
            .map_err(|error| Error::io(Action::Open, name, error))?;
        let is = metadata.file_type();
        let kind = if is.is_file() {
            Kind::Regular
        } else if is.is_fifo() || is.is_socket() {
            Kind::Stream
        } else {
            Kind::Device
        };
        Ok(Self::new(file, kind, name, End::Nothing))
    }

    fn new(file: File, kind: Kind, name: &Path, end: End) -> Self {
        Self {
            file,
            kind,
            name: name.to_owned(),
            end,
            size: 0,
            packets: 0,
            is_torn: false,
        }
    }

    /// The path that its name links to, if the name is a link.
    pub(super) fn link_target(&self) -> Option<&Path> {
        match &self.end {
            End::Rename { to, .. } if *to != self.name => Some(to),
            _ => None,
        }
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
        state: &WriterState,
    ) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < data.len() {
            let mut rest = &data[written..];
            if self.kind == Kind::Stream {
                self.wait_writable(state)
                    .map_err(|error| (written, error))?;
                rest = &rest[..rest.len().min(PIPE_BUF)];
            }
            match self.file.write(rest) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody made our standard output non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_writable(state)
                        .map_err(|error| (written, error))?;
                }
                Err(error) => return Err((written, error)),
            }
        }
        self.size += data.len() as u64;
        self.packets += packets;
        Ok(())
    }

    /// Waits for the reader of a pipe: without limit while the capture runs, [`STALL_LIMIT`] once it
    /// ends, so that a reader who has stopped reading cannot keep the agent from ending.
    fn wait_writable(&self, state: &WriterState) -> io::Result<()> {
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
            let stalled = state
                .closing_since()
                .map(|closing| closing.max(started).elapsed());
            if stalled.is_some_and(|stalled| stalled >= STALL_LIMIT) {
                let message = "its reader takes nothing";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
    }

    /// After a failed write of which `written` bytes went out, keeps the whole records among them.
    pub(super) fn cut_back(&mut self, written: usize, whole: WholeRecords) -> io::Result<()> {
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

    /// Finalizes the file and reports it.
    pub(super) fn close(
        self,
        index: u64,
        complete: bool,
        state: &WriterState,
    ) -> (FileRecord, Option<Error>) {
        let (has_name, fault) = self.finalize(state);
        let path = match &self.end {
            End::Rename { part, .. } if !has_name => part,
            _ => &self.name,
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

    /// fsync, rename to the final name, fsync of the directory. True if the file has its final name.
    ///
    /// After a failed fsync the kernel may have dropped the pages and marked them clean, so there is no second
    /// try, and the file stays a `.part`. So does a file with a partial record, which recovery has to cut.
    fn finalize(&self, state: &WriterState) -> (bool, Option<Error>) {
        let (part, to) = match &self.end {
            End::Nothing => return (true, None),
            End::Sync => {
                let _operation = state.begin_operation(Action::Sync, &self.name);
                let synced = self.file.sync_all().err();
                return (
                    true,
                    synced.map(|error| Error::io(Action::Sync, &self.name, error)),
                );
            }
            End::Rename { part, to } => (part, to),
        };
        if self.is_torn {
            return (false, None);
        }
        let operation = state.begin_operation(Action::Sync, part);
        if let Err(error) = self.file.sync_all() {
            return (false, Some(Error::io(Action::Sync, part, error)));
        }
        drop(operation);
        let operation = state.begin_operation(Action::Rename, part);
        if let Err(error) = path::rename(part, to) {
            return (false, Some(Error::io(Action::Rename, part, error)));
        }
        drop(operation);
        if let Some(owner) = state.owner()
            && let Err(error) = owner.take(&self.file, to)
        {
            log::warn!("{} stays root's: {}", to.display(), Cause(&error));
        }
        let _operation = state.begin_operation(Action::SyncDirectory, &self.name);
        let synced = path::sync_directory(to);
        let fault = synced
            .err()
            .map(|error| Error::io(Action::SyncDirectory, &self.name, error));
        (true, fault)
    }

    /// Whether it is a `.part` without packets, which must not replace an older capture of the same name.
    pub(super) fn is_discardable(&self) -> bool {
        matches!(self.end, End::Rename { .. }) && self.packets == 0
    }

    /// Lets go of an unfinished file: removes it if it has no packets, else leaves the `.part` to recovery.
    pub(super) fn abandon(self) {
        if self.is_discardable()
            && let End::Rename { part, .. } = &self.end
            && let Err(error) = fs::remove_file(part)
        {
            log::warn!("cannot remove {}: {error}", part.display());
        }
    }
}

/// The path at the end of a name, and what is there.
fn located(name: &Path) -> Result<(PathBuf, Option<Metadata>)> {
    match destination::locate(name)? {
        Located::Path(path, found) => Ok((path, found)),
        Located::Descriptor(_) => Err(Error::refused(name, Refusal::Descriptor)),
    }
}

/// SHA-256 of a file in lower-case hexadecimal, as a [`FileRecord`] has it.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    // On the stack: the end of a capture must not fail for lack of memory.
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
    use capture_task::task::StopReason;

    use super::*;

    /// With a pipe instead of the file, as fsync(2) of a pipe fails with EINVAL.
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
            end: End::Rename {
                part: part.clone(),
                to: name.clone(),
            },
            size: 100,
            packets: 3,
            is_torn: false,
        };
        let (record, fault) = file.close(0, true, &WriterState::default());
        assert_eq!(
            fault.map(|fault| fault.stop_reason()),
            Some(StopReason::IoError)
        );
        assert_eq!((record.complete, record.packets), (false, 3));
        assert_eq!(record.name, part.to_string_lossy());
        assert!(part.exists() && !name.exists());
    }
}
