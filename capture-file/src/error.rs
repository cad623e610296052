//! Why an output cannot be opened or cannot go on: kinds with data. The sentence of each says what is wrong; what
//! to do about it depends on who is told, and is added by the command line and the daemon.

use std::{
    fmt, io,
    os::fd::RawFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use capture_task::{Cause, bytes_text, error::ErrorKind, plan::Field, task::StopReason};
use pcap_file::pcapng::PcapNgWriteError;

use crate::missing_directory::MissingDirectory;

/// Why an output cannot be opened or cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {action} {}: {}", Shown(path), Cause(cause))]
    Io {
        /// What was tried.
        action: Action,
        /// On which file; `-` is standard output.
        path: PathBuf,
        /// Why it failed.
        cause: Arc<io::Error>,
    },
    /// The directory of a file is not there, or is none.
    #[error("cannot {action} {}: {missing}", path.display())]
    NoDirectory {
        /// What was tried.
        action: Action,
        /// On which file.
        path: PathBuf,
        /// Which part of the path is missing.
        missing: MissingDirectory,
    },
    /// A file that cannot be replaced could not be opened either.
    #[error("cannot open {}: {} ({reason}, so that it cannot be replaced)", path.display(), Cause(cause))]
    InPlace {
        /// The file.
        path: PathBuf,
        /// Why it cannot be replaced.
        reason: NotReplaceable,
        /// Why it could not be opened.
        cause: Arc<io::Error>,
    },
    /// In a sticky directory that everybody can write to, something of another user would decide where packets go.
    #[error(
        "cannot open {}: {what} of another user (uid {uid}) in a directory that everybody can write to",
        path.display()
    )]
    OtherUser {
        /// The name that was given.
        path: PathBuf,
        /// What belongs to the other user.
        what: Foreign,
        /// Who that is.
        uid: u32,
    },
    /// The symbolic links of a name form a loop.
    #[error("cannot open {}: its symbolic links form a loop", path.display())]
    LinkLoop {
        /// The name.
        path: PathBuf,
    },
    /// Another file took the place of the one that was looked at.
    #[error("cannot open {}: something else has come to have that name", path.display())]
    Changed {
        /// The name.
        path: PathBuf,
    },
    /// A capture does not belong there.
    #[error("cannot write a capture to {}: {why}", path.display())]
    Refused {
        /// The name.
        path: PathBuf,
        /// What is there.
        why: Refusal,
    },
    /// A file that is to be replaced cannot be.
    #[error("cannot replace {}: {reason}", path.display())]
    NotReplaceable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: NotReplaceable,
    },
    /// Packets are no text for a terminal.
    #[error("{} is a terminal", Shown(path))]
    Terminal {
        /// Its name; `-` is standard output.
        path: PathBuf,
    },
    /// Only files can be rotated.
    #[error("{} cannot be rotated, only a file can", Shown(path))]
    NotRotatable {
        /// What was to be rotated; `-` is standard output.
        path: PathBuf,
    },
    /// Another capture has the lock of a file.
    #[error("{} is being written by another capture", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Nobody has a FIFO open for reading.
    #[error("nobody reads the FIFO {}", path.display())]
    NoReader {
        /// The FIFO.
        path: PathBuf,
    },
    /// Interfaces with different link types, for a pcap file.
    #[error("{first} and {other} have different link types, which a pcap file cannot hold")]
    LinkTypes {
        /// The first interface.
        first: String,
        /// One that differs.
        other: String,
    },
    /// An interface that came later has another link type than the pcap file.
    #[error("{interface} came with another link type, which a pcap file cannot hold")]
    LaterLinkType {
        /// The interface.
        interface: String,
    },
    /// A limit in bytes that no file of the task could keep.
    #[error("{bytes} bytes ({}) are less than the {least} bytes of a file without packets", field.name())]
    LimitTooSmall {
        /// Which limit of the plan.
        field: Field,
        /// Its value.
        bytes: u64,
        /// What a file without packets takes.
        least: u64,
    },
    /// Limits of files, for packets that go to a program.
    #[error(
        "the packets go to a program and not to files, which alone can be rotated or limited in size"
    )]
    NoFiles,
    /// The budget that outputs share is used up.
    #[error("the disk budget of {limit} bytes for captures is used up ({used} are taken)")]
    Budget {
        /// The budget.
        limit: u64,
        /// What is taken of it.
        used: u64,
    },
    /// The file system has no more than is kept free on it.
    #[error(
        "the file system of {} has only {} left, and {} are kept free",
        directory.display(),
        bytes_text(*available),
        bytes_text(*kept_free)
    )]
    Reserve {
        /// The directory of the captures.
        directory: PathBuf,
        /// What is left, the part that is kept free included.
        available: u64,
        /// That part.
        kept_free: u64,
    },
    /// The name of a rotation is no pattern for strftime(3).
    #[error("{pattern} is no pattern of file names (strftime): {cause}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        cause: jiff::Error,
    },
    /// A time that the calendar does not have.
    #[error("no file can be named after a time: {cause}")]
    FileTime {
        /// What is wrong with it.
        cause: jiff::Error,
    },
    /// A block of a file cannot be encoded.
    #[error("cannot encode a block of the capture file: {cause}")]
    Encode {
        /// Why not.
        cause: Arc<PcapNgWriteError>,
    },
    /// No thread could be started for the writer.
    #[error("cannot start a thread: {}", Cause(cause))]
    Thread {
        /// Why not.
        cause: Arc<io::Error>,
    },
    /// A bug: the writer's thread has panicked.
    #[error("the writer thread panicked")]
    WriterPanicked,
    /// A bug: the writer was given packets without a file for them.
    #[error("records came for a file that is not open")]
    NoFileOpen,
    /// The [`Sink`](super::Sink) of a program has panicked.
    #[error("the program that takes the packets panicked: {message}")]
    SinkPanicked {
        /// What the panic said.
        message: String,
    },
}

/// What an output does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open what is there.
    Open,
    /// Create the provisional file.
    Create,
    /// Lock the file, against other captures.
    Lock,
    /// Recover what a killed capture left under the same name.
    Recover,
    /// Write packets.
    Write,
    /// Sync the file.
    Sync,
    /// Give it its final name.
    Rename,
    /// Sync the directory, for the name.
    SyncDirectory,
}

/// Why a file cannot be replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReplaceable {
    /// It is not a regular file.
    NotRegular,
    /// Something is mounted there.
    MountPoint,
    /// It has an attribute that forbids it, see chattr(1).
    Immutable,
    /// It is another user's, in a sticky directory.
    Sticky,
    /// New files cannot be made beside it.
    Directory,
}

/// What belongs to another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A symbolic link on the way.
    Link(PathBuf),
    /// The FIFO.
    Fifo,
    /// The file.
    File,
}

/// Why a capture is not written to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is an open descriptor of another process.
    OtherProcess,
    /// It is standard error, where messages go.
    StandardError,
    /// It is a descriptor that is not open.
    Closed(RawFd),
    /// It is a descriptor that is open for reading only.
    ReadOnly(RawFd),
    /// It is an open descriptor where a name is wanted.
    Descriptor,
    /// It is one of the files by which the kernel is configured.
    KernelFile,
    /// It is a directory, a socket, or a block device.
    Type,
    /// It is not a regular file, and one of a rotation has to be.
    Rotation,
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(super) fn io(action: Action, path: &Path, cause: io::Error) -> Self {
        match MissingDirectory::of(path, &cause) {
            Some(missing) => Self::NoDirectory {
                action,
                path: path.to_owned(),
                missing,
            },
            None => Self::Io {
                action,
                path: path.to_owned(),
                cause: Arc::new(cause),
            },
        }
    }

    pub(super) fn refused(path: &Path, why: Refusal) -> Self {
        Self::Refused {
            path: path.to_owned(),
            why,
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. }
            | Self::NotReplaceable { .. }
            | Self::Terminal { .. }
            | Self::NotRotatable { .. }
            | Self::LinkTypes { .. }
            | Self::LimitTooSmall { .. }
            | Self::NoFiles
            | Self::Pattern { .. } => ErrorKind::Usage,
            Self::InUse { .. } => ErrorKind::Conflict,
            Self::Io { .. }
            | Self::NoDirectory { .. }
            | Self::InPlace { .. }
            | Self::OtherUser { .. }
            | Self::LinkLoop { .. }
            | Self::Changed { .. }
            | Self::NoReader { .. }
            | Self::LaterLinkType { .. }
            | Self::Budget { .. }
            | Self::Reserve { .. }
            | Self::FileTime { .. }
            | Self::Encode { .. }
            | Self::Thread { .. }
            | Self::WriterPanicked
            | Self::NoFileOpen
            | Self::SinkPanicked { .. } => ErrorKind::Runtime,
        }
    }

    /// Why a task ends that has this error.
    pub fn stop_reason(&self) -> StopReason {
        match self {
            Self::Budget { .. } | Self::Reserve { .. } => StopReason::DiskFull,
            // File systems that allocate late or over a network say of fsync(2) what others say of write(2).
            Self::Io { cause, .. } | Self::InPlace { cause, .. } => match cause.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT) => StopReason::DiskFull,
                // The consumer of a pipe has had enough, as `head` does.
                Some(libc::EPIPE) => StopReason::User,
                _ => StopReason::IoError,
            },
            Self::NoDirectory { .. } => StopReason::IoError,
            _ => StopReason::Error,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Lock => "lock",
            Self::Recover => "recover",
            Self::Write => "write to",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::SyncDirectory => "sync the directory of",
        })
    }
}

impl fmt::Display for NotReplaceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRegular => "it is no regular file",
            Self::MountPoint => "it is a mount point",
            Self::Immutable => "it is immutable or append-only",
            Self::Sticky => "it belongs to another user in a sticky directory",
            Self::Directory => "its directory cannot be written",
        })
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(path) => write!(f, "{} is a link", path.display()),
            Self::Fifo => f.write_str("it is a FIFO"),
            Self::File => f.write_str("it is a file"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherProcess => f.write_str("another process has it open"),
            Self::StandardError => f.write_str("messages go to standard error"),
            Self::Closed(number) => write!(f, "descriptor {number} is not open"),
            Self::ReadOnly(number) => write!(f, "descriptor {number} is open for reading only"),
            Self::Descriptor => f.write_str("an open descriptor has no name of its own"),
            Self::KernelFile => f.write_str("it is a setting of the kernel"),
            Self::Type => f.write_str("it is neither a file, a pipe nor a character device"),
            Self::Rotation => {
                f.write_str("it is not a regular file, as one of a rotation has to be")
            }
        }
    }
}

/// A name for people, with standard output for `-`.
pub(super) struct Shown<'a>(pub(super) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 == Path::new("-") {
            true => f.write_str("standard output"),
            false => self.0.display().fmt(f),
        }
    }
}
