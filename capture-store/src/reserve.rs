//! A file beside the database that reserves disk space. When the disk is full it is given up in slices for urgent
//! changes (ends, removals, revocations, audit lines, a start); it is rebuilt when there is room.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{errno::Errno, fcntl::FallocateFlags, sys::statvfs::statvfs};
use rusqlite::{ErrorCode, ffi};

use crate::ownership::give_to_owner;

/// What follows the database's name.
const SUFFIX: &str = "-reserve";

/// Its size. On a small file system it is a sixteenth, but not less than [`MIN_SIZE`].
const MAX_SIZE: u64 = 2 << 20;
const MIN_SIZE: u64 = 256 << 10;

/// A slice is a fourth, but not less than this: an end and a removal fit in.
const MIN_SLICE: u64 = 128 << 10;

/// Less than this is no space, whatever else an error may be about.
const FULL_BELOW: u64 = 64 << 10;

/// The space that is kept for a database.
#[derive(Debug)]
pub(super) struct Reserve {
    directory: PathBuf,
    path: PathBuf,
    /// Whether some of it was given up and not made again.
    is_low: AtomicBool,
    /// Whether it was said that it cannot be made.
    is_said: AtomicBool,
}

/// A file system in figures.
#[derive(Clone, Copy, Debug)]
struct Room {
    size: u64,
    free: u64,
}

impl Reserve {
    /// The reserve of a database; nothing is made yet.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(SUFFIX);
        Self {
            directory: database.parent().unwrap_or(Path::new("/")).to_owned(),
            path: path.into(),
            is_low: AtomicBool::new(false),
            is_said: AtomicBool::new(false),
        }
    }

    /// The directory whose file system it is about.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether some of it was given up: what can wait should not take that.
    pub(super) fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// Whether nothing of it is missing. Another process may have given some up.
    pub(super) fn is_whole(&self) -> bool {
        let room = self.room();
        let there = fs::metadata(&self.path);
        matches!((room, there), (Ok(room), Ok(there)) if there.len() >= room.reserve())
    }

    /// Gives up a slice, for what is to be written next. `false` where nothing is left.
    pub(super) fn give_up(&self) -> bool {
        let given = self.shrink().unwrap_or_else(|error| {
            log::error!("{}: {error}", self.path.display());
            None
        });
        let Some((given, left)) = given else {
            return false;
        };
        self.is_low.store(true, Ordering::Relaxed);
        log::warn!(
            "no space is left on {}; {given} bytes of the database's reserve are given up, {left} are left",
            self.directory.display()
        );
        true
    }

    /// Makes it whole where that leaves as much room again.
    pub(super) fn make(&self) {
        if let Err(error) = self.try_make()
            && !self.is_said.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "{}: the reserve for a full disk cannot be made: {error}",
                self.path.display()
            );
        }
    }

    fn try_make(&self) -> io::Result<()> {
        let room = self.room()?;
        let size = room.reserve();
        let file = self.open(true)?;
        let there = file.metadata()?.len();
        if there >= size {
            self.is_low.store(false, Ordering::Relaxed);
            return Ok(());
        }
        if room.free < size.saturating_add(size - there) {
            return Ok(());
        }
        if let Err(error) = extend(&file, there, size) {
            file.set_len(there)?;
            return match error.kind() {
                // Somebody else was faster.
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Ok(()),
                _ => Err(error),
            };
        }
        give_to_owner(&file, &self.directory)?;
        file.sync_all()?;
        if self.is_low.swap(false, Ordering::Relaxed) {
            log::info!("the database's reserve of {size} bytes is whole again");
        }
        Ok(())
    }

    /// Whether an error of the database is that there is no space.
    pub(super) fn is_lacking(&self, error: &rusqlite::Error) -> bool {
        let Some(error) = error.sqlite_error() else {
            return false;
        };
        match (error.code, error.extended_code) {
            // The index of the write-ahead log takes its room when the database is opened.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => true,
            (ErrorCode::SystemIoFailure, _) => self.is_disk_full(),
            _ => false,
        }
    }

    /// Whether there is no space: for errors that do not say so themselves, as those of a quota.
    fn is_disk_full(&self) -> bool {
        if self.room().is_ok_and(|room| room.free < FULL_BELOW) {
            return true;
        }
        let probe = || {
            let file = self.open(false)?;
            let there = file.metadata()?.len();
            let extended = extend(&file, there, there + FULL_BELOW);
            file.set_len(there)?;
            extended
        };
        let kind = probe().err().map(|error: io::Error| error.kind());
        matches!(
            kind,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        )
    }

    /// How much was given up now, and how much is left.
    fn shrink(&self) -> io::Result<Option<(u64, u64)>> {
        let file = match self.open(false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let there = file.metadata()?.len();
        if there == 0 {
            return Ok(None);
        }
        let left = there.saturating_sub(self.room()?.slice());
        file.set_len(left)?;
        // Journaling file systems give blocks to others when that is on the disk.
        file.sync_all()?;
        Ok(Some((there - left, left)))
    }

    fn open(&self, create: bool) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)
    }

    fn room(&self) -> io::Result<Room> {
        let system = statvfs(&self.directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(system.fragment_size() as u64);
        Ok(Room {
            size: bytes(system.blocks() as u64),
            free: bytes(system.blocks_available() as u64),
        })
    }
}

impl Room {
    fn reserve(self) -> u64 {
        (self.size / 16).clamp(MIN_SIZE, MAX_SIZE)
    }

    fn slice(self) -> u64 {
        (self.reserve() / 4).max(MIN_SLICE)
    }
}

/// Takes the space between two lengths of a file.
fn extend(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    let offset = |at: u64| libc::off_t::try_from(at).map_err(io::Error::other);
    let (start, length) = (offset(from)?, offset(to - from)?);
    match nix::fcntl::fallocate(file, FallocateFlags::empty(), start, length) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        result => return Ok(result?),
    }
    // Nothing that a file system could store in less.
    let mut noise = vec![0; 64 << 10];
    getrandom::fill(&mut noise).map_err(io::Error::other)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
    let mut left = to - from;
    while left > 0 {
        let count = left.min(noise.len() as u64) as usize;
        file.write_all(&noise[..count])?;
        left -= count as u64;
    }
    Ok(())
}
