//! The disk space that all outputs of a daemon share: a budget of bytes, and a reserve that is kept free on the file
//! system. Writers take space before they write, so the budget is never exceeded. A refusal ends the task as a
//! full disk does. `run` has no such limit.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use nix::sys::statvfs::statvfs;

use super::error::{Error, Result};

/// Kept free on the file system: the daemon's own database must stay writable, and so must the host.
/// On a small file system it is a hundredth.
const RESERVE: u64 = 64 << 20;

/// Bytes written between two checks of the file system.
const CHECK_INTERVAL: u64 = 4 << 20;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// All.
    pub total: u64,
    /// Those that can be written.
    pub free: u64,
    /// Those of them that captures leave free.
    pub kept_free: u64,
}

/// Disk space for capture files, shared by all outputs.
#[derive(Debug)]
pub struct DiskBudget {
    directory: PathBuf,
    limit: AtomicU64,
    used: AtomicU64,
    /// Bytes that may be taken before the file system is asked again.
    credit: AtomicU64,
}

impl DiskBudget {
    /// A budget of `limit` bytes for a directory, of which `used` are taken.
    pub fn new(directory: &Path, limit: u64, used: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(used),
            credit: AtomicU64::new(0),
        }
    }

    /// The file system of the directory, where it can be asked.
    pub fn disk(&self) -> Option<DiskSpace> {
        let system = statvfs(&self.directory).ok()?;
        // Block counts and sizes are of 32 bits on some platforms.
        let (free, total) = (
            (system.blocks_available() as u64).saturating_mul(system.fragment_size() as u64),
            (system.blocks() as u64).saturating_mul(system.fragment_size() as u64),
        );
        Some(DiskSpace {
            total,
            free,
            kept_free: RESERVE.min(total / 100),
        })
    }

    /// Bytes taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets another limit. Bytes that are taken beyond it stay.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Takes `bytes`, all or nothing.
    ///
    /// # Errors
    /// [`Error::Budget`] or [`Error::Reserve`].
    pub fn take(&self, bytes: u64) -> Result<()> {
        let limit = self.limit();
        let taken = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .map_err(|used| Error::Budget { limit, used })?;
        let checked = self.check_free_space(bytes);
        if checked.is_err() {
            self.give_back(bytes);
        }
        checked
    }

    /// Counts bytes that are on the disk already, whatever the limit.
    pub fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back bytes that are no longer on the disk.
    pub fn give_back(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        // The closure never refuses.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Checks the reserve, once for every [`CHECK_INTERVAL`] bytes.
    fn check_free_space(&self, bytes: u64) -> Result<()> {
        let spend = |credit: u64| credit.checked_sub(bytes);
        let spent = self
            .credit
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        if spent.is_ok() {
            return Ok(());
        }
        let Some(disk) = self.disk() else {
            // The write will report the error.
            return Ok(());
        };
        let available = disk.free;
        match available.checked_sub(disk.kept_free.saturating_add(bytes)) {
            Some(free) => {
                self.credit
                    .store(free.min(CHECK_INTERVAL), Ordering::Relaxed);
                Ok(())
            }
            None => Err(Error::Reserve {
                directory: self.directory.clone(),
                available,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_what_is_given_back_can_be_taken_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let space = DiskBudget::new(directory.path(), 100, 40);
        space.take(60).expect("there is room");
        let refusal = space.take(1).expect_err("it is full");
        assert!(
            matches!(
                refusal,
                Error::Budget {
                    limit: 100,
                    used: 100
                }
            ),
            "{refusal}"
        );
        space.give_back(10);
        space.take(10).expect("there is room");
        assert_eq!(space.used(), 100);
        space.set_limit(50);
        assert!(space.take(1).is_err());
        assert_eq!(space.used(), 100);
    }

    #[test]
    fn many_writers_never_take_more_than_there_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let space = DiskBudget::new(directory.path(), 1000, 0);
        let taken: u64 = std::thread::scope(|scope| {
            let take = || (0..200).filter(|_| space.take(7).is_ok()).count() as u64 * 7;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            let taken = threads.into_iter().map(|thread| thread.join());
            taken.map(|taken| taken.expect("no panic")).sum()
        });
        assert_eq!(taken, space.used());
        assert_eq!(taken, 1000 / 7 * 7);
    }
}
