//! The target of an output: a file that the output opens, or a descriptor that is open before, because it was
//! inherited or because its reader was waited for.

use std::{
    fs::File,
    io::IsTerminal,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::fs::FileTypeExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    destination::{self, Located},
    error::{Error, Refusal, Result},
};

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, or the pattern for the names of a rotation.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// An open descriptor.
    Open(OpenTarget),
}

/// An open descriptor: inherited, a FIFO with a reader, or a device. Clones share it.
#[derive(Clone, Debug)]
pub struct OpenTarget {
    name: PathBuf,
    file: Arc<File>,
}

impl PartialEq for OpenTarget {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }
}

impl Eq for OpenTarget {}

impl Target {
    /// The target of a name: standard output for `/dev/stdout` and links to it, an inherited descriptor for
    /// `/dev/fd/N`, and else a file. Call this before the process opens files of its own, whose descriptors
    /// these names would reach as well.
    ///
    /// # Errors
    /// Usage: standard error, and a descriptor that is not open, or not for writing.
    pub fn named(name: PathBuf) -> Result<Self> {
        let number = match destination::locate(&name) {
            Ok(Located::Descriptor(number)) => number,
            // A bad path is reported by the output that opens it.
            _ => return Ok(Self::File(name)),
        };
        match number {
            libc::STDOUT_FILENO => Ok(Self::Stdout),
            libc::STDERR_FILENO => Err(Error::refused(&name, Refusal::StandardError)),
            number => OpenTarget::inherited(number, name).map(Self::Open),
        }
    }

    /// Opens a FIFO or a device, so that the target becomes [`Target::Open`]; false while the FIFO has no reader. A
    /// file is left to the output.
    ///
    /// # Errors
    /// As of an output that opens it.
    pub fn connect(&mut self) -> Result<bool> {
        let Self::File(name) = self else {
            return Ok(true);
        };
        // A bad path is reported by the output that opens it.
        let Ok(Located::Path(path, Some(found))) = destination::locate(name) else {
            return Ok(true);
        };
        let is = found.file_type();
        let file = if is.is_fifo() {
            destination::open_fifo(name, &path)?
        } else if is.is_char_device() {
            Some(destination::open_device(name, &path)?)
        } else {
            return Ok(true);
        };
        let Some(file) = file else { return Ok(false) };
        *self = Self::Open(OpenTarget {
            name: std::mem::take(name),
            file: Arc::new(file),
        });
        Ok(true)
    }
}

impl OpenTarget {
    /// A file that is open for writing, by the name that reports have for it.
    pub fn new(file: File, name: PathBuf) -> Self {
        Self {
            name,
            file: Arc::new(file),
        }
    }

    fn inherited(number: RawFd, name: PathBuf) -> Result<Self> {
        // SAFETY: fcntl(2) on numbers; it answers EBADF where the descriptor is not open.
        let (flags, copy) = unsafe {
            let flags = libc::fcntl(number, libc::F_GETFL);
            (flags, libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3))
        };
        if copy < 0 || flags < 0 {
            return Err(Error::refused(&name, Refusal::Closed(number)));
        }
        // SAFETY: it was just made, and nobody else knows of it.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(copy) });
        if flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(Error::refused(&name, Refusal::ReadOnly(number)));
        }
        Ok(Self {
            name,
            file: Arc::new(file),
        })
    }

    /// The name that was given.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// The file behind the descriptor.
    pub fn file(&self) -> &File {
        &self.file
    }
}
