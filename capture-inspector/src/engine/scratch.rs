//! The files as an engine gets them: by its path where it may read it, else as a copy without compression in a directory
//! that only this user enters, and that is gone with this value.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::{
        fd::AsRawFd as _,
        unix::fs::{OpenOptionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use capture_file::read::decompressed;
use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::input::Input;

/// Most bytes of a copy.
const MOST: u64 = 16 << 30;

/// The directory, and the files to look at.
#[derive(Debug)]
pub(super) struct Scratch {
    directory: TempDir,
    pub(super) files: Vec<PathBuf>,
    /// What lies elsewhere.
    pub(super) elsewhere: Vec<PathBuf>,
}

impl Scratch {
    pub(super) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("capture-engine-")
            .tempdir()?;
        fs::create_dir(directory.path().join("out"))?;
        Ok(Self {
            directory,
            files: Vec::new(),
            elsewhere: Vec::new(),
        })
    }

    /// Where the engine may write.
    pub(super) fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// Empties the directory that the engine may write into.
    pub(super) fn clear(&self) -> io::Result<()> {
        fs::remove_dir_all(self.out())?;
        fs::create_dir(self.out())
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Prepares files. Names are numbers: an engine may take a comma or a hyphen for something else.
    pub(super) fn take(&mut self, inputs: &mut [Input]) -> io::Result<()> {
        for (index, input) in inputs.iter_mut().enumerate() {
            if let Some(stream) = input.take_stream() {
                let copy = copy(stream, &self.path().join(format!("{index}.pipe")))?;
                input.replace(copy);
            }
            let path = self.path().join(format!("{index}.pcap"));
            if let Some(file) = input.as_file()? {
                self.prepare(file, &path)?;
            }
            self.files.push(path);
        }
        Ok(())
    }

    fn prepare(&mut self, mut file: Arc<File>, path: &Path) -> io::Result<()> {
        if let Some(content) = decompressed(Arc::clone(&file))? {
            return match copy(content, path) {
                // Damage: of what comes before it there is a copy, and the analysis tells.
                Err(error) if error.kind() != io::ErrorKind::FileTooLarge && path.exists() => {
                    log::debug!("{}: {error}", path.display());
                    Ok(())
                }
                other => other.map(drop),
            };
        }
        let original = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        match original {
            // Without capabilities root may open less than it could here.
            Ok(original) if !geteuid().is_root() && original.exists() => {
                symlink(&original, path)?;
                self.elsewhere.push(original);
                Ok(())
            }
            _ => {
                io::Seek::rewind(&mut file)?;
                copy(file, path).map(drop)
            }
        }
    }
}

fn copy(from: impl Read, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let mut to = options.open(path)?;
    let copied = io::copy(&mut from.take(MOST + 1), &mut to)?;
    if copied > MOST {
        let message = format!("a capture of more than {} GiB", MOST >> 30);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(to)
}
