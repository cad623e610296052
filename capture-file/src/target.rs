//! Where the command line sends an output: to a file that the output opens itself, or to what is open
//! before any output is, because it was inherited or because its reader was waited for.

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

/// Where the output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, or the pattern of the names of several.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// What is open already.
    Open(OpenTarget),
}

/// A descriptor that was inherited, a FIFO that somebody reads, or a device. Clones are the same.
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
    /// What a name stands for: standard output for `/dev/stdout` and whatever leads there, an inherited
    /// descriptor for `/dev/fd/N`, else a file. To be asked before the process opens anything itself, whose
    /// descriptors these names would reach too.
    ///
    /// # Errors
    /// Usage: standard error, and a descriptor that is not open, or not for writing.
    pub fn named(name: PathBuf) -> Result<Self> {
        let number = match destination::locate(&name) {
            Ok(Located::Descriptor(number)) => number,
            // What is wrong with a path is said where it is opened.
            _ => return Ok(Self::File(name)),
        };
        match number {
            libc::STDOUT_FILENO => Ok(Self::Stdout),
            libc::STDERR_FILENO => Err(Error::refused(&name, Refusal::StandardError)),
            number => OpenTarget::inherited(number, name).map(Self::Open),
        }
    }

    /// Opens a FIFO or a device; false where nobody reads the FIFO yet. A file is left to the output.
    ///
    /// # Errors
    /// As of an output that opens it.
    pub fn connect(&mut self) -> Result<bool> {
        let Self::File(name) = self else {
            return Ok(true);
        };
        // What is wrong with a path is said where it is opened.
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

    /// What is written to.
    pub fn file(&self) -> &File {
        &self.file
    }
}
