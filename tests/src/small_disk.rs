//! A small file system in memory that can be filled to the last byte and emptied again.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::output;

/// What takes the room that a test wants taken.
const FILLER: &str = "filler";

/// The file system, gone when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    /// Where it made its own.
    _directory: Option<TempDir>,
}

impl SmallDisk {
    /// A file system of this size, as in `3m`.
    pub fn new(size: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut disk = Self::at(directory.path().to_owned(), size);
        disk._directory = Some(directory);
        disk
    }

    /// The same at a place that is there.
    pub fn at(path: PathBuf, size: &str) -> Self {
        let options = format!("size={size},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
        output(mount.arg(&path));
        Self {
            path,
            _directory: None,
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes every byte that is free.
    pub fn fill(&self) {
        let filler = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path.join(FILLER));
        let mut filler = filler.expect("a name takes no room");
        for size in [64 << 10, 4096, 1] {
            let bytes = vec![0; size];
            loop {
                match filler.write(&bytes) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{}: {error}", self.path.display()),
                }
            }
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn clear(&self) {
        fs::remove_file(self.path.join(FILLER)).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also under a process that a failed test leaves for a moment.
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}
