//! The disk space that all outputs of a daemon share: a budget of bytes, and what is kept free on the file system.
//! Writers take space before they write, so the budget is never exceeded. A refusal ends the task as a full disk
//! does. An output of `run` has a space of its own, without a budget, where something is to be kept free.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::sys::statvfs::statvfs;

use super::{
    error::{Error, Result},
    keep_free::KeepFree,
    path::directory_of,
    target::Target,
};

/// Most bytes written between two checks of the file system.
const CHECK_BYTES: u64 = 4 << 20;

/// Longest time between two checks, as others write to the file system too.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a writer waits for room that is being made, and how often it looks.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
const ROOM_INTERVAL: Duration = Duration::from_millis(20);

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// All.
    pub total: u64,
    /// Those that can be written by others than root: the blocks that a file system reserves for it do not count.
    pub free: u64,
    /// Those of them that captures leave free.
    pub kept_free: u64,
}

impl DiskSpace {
    /// What captures may write now.
    pub fn writable(&self) -> u64 {
        self.free.saturating_sub(self.kept_free)
    }
}

/// Disk space for capture files, shared by all outputs.
#[derive(Debug)]
pub struct DiskBudget {
    directory: PathBuf,
    limit: AtomicU64,
    used: AtomicU64,
    keep_free: Mutex<KeepFree>,
    /// Bytes that may be taken before the file system is asked again.
    credit: AtomicU64,
    /// When it was asked, in milliseconds since `began`.
    checked_at: AtomicU64,
    began: Instant,
    eviction: Eviction,
}

/// Room that is made by removing something, where it is.
#[derive(Default)]
struct Eviction {
    /// Whether writers wait for it.
    is_on: AtomicBool,
    /// Asks for it, and does not wait.
    ask: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// How often bytes were given back.
    freed: AtomicU64,
    state: Mutex<Shortage>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Shortage {
    /// What `freed` was when a writer last found no room, so that nothing is removed for one that has not looked since.
    wanted_at: Option<u64>,
    /// How often nothing was left to be removed.
    in_vain: u64,
}

impl fmt::Debug for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eviction")
            .field("is_on", &self.is_on)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Eviction {
    fn state(&self) -> MutexGuard<'_, Shortage> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskBudget {
    /// A budget of `limit` bytes for a directory, of which `used` are taken.
    pub fn new(directory: &Path, limit: u64, keep_free: KeepFree, used: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(used),
            keep_free: Mutex::new(keep_free),
            credit: AtomicU64::new(0),
            checked_at: AtomicU64::new(0),
            began: Instant::now(),
            eviction: Eviction::default(),
        }
    }

    /// The space for a target that does not share a budget: a file keeps so much free on its own file system. Pipes,
    /// devices and open descriptors have none.
    ///
    /// # Errors
    /// [`Error::Reserve`] where there is less free already.
    pub fn for_target(target: &Target, keep_free: KeepFree) -> Result<Option<Arc<Self>>> {
        let Target::File(path) = target else {
            return Ok(None);
        };
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Ok(None);
        }
        // The file behind a link, as it takes the room.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let space = Self::new(directory_of(&path), u64::MAX, keep_free, 0);
        space.check_keep_free()?;
        Ok(Some(Arc::new(space)))
    }

    /// The file system of the directory, where it can be asked and knows its size: a tmpfs without a limit has none.
    pub fn disk(&self) -> Option<DiskSpace> {
        let system = statvfs(&self.directory).ok()?;
        if system.blocks() == 0 {
            return None;
        }
        // Block counts and sizes are of 32 bits on some platforms.
        let (free, total) = (
            (system.blocks_available() as u64).saturating_mul(system.fragment_size() as u64),
            (system.blocks() as u64).saturating_mul(system.fragment_size() as u64),
        );
        Some(DiskSpace {
            total,
            free,
            kept_free: self.keep_free().of(total),
        })
    }

    fn keep_free(&self) -> KeepFree {
        *self
            .keep_free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps another amount free from the next write on.
    pub fn set_keep_free(&self, keep_free: KeepFree) {
        *self
            .keep_free
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = keep_free;
        self.credit.store(0, Ordering::Relaxed);
    }

    /// Whether a task could write anything now.
    ///
    /// # Errors
    /// [`Error::Reserve`].
    pub fn check_keep_free(&self) -> Result<()> {
        match self.disk() {
            Some(disk) if disk.writable() == 0 => Err(self.below(disk)),
            _ => Ok(()),
        }
    }

    fn below(&self, disk: DiskSpace) -> Error {
        Error::Reserve {
            directory: self.directory.clone(),
            available: disk.free,
            kept_free: disk.kept_free,
        }
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

    /// Has writers without room wait for some. `ask` is called again and again while they do: somebody is then to remove
    /// files and to [give back](Self::give_back) their bytes, or to say that [nothing is left](Self::nothing_to_evict). It
    /// must not wait. Only the first one counts.
    pub fn evict_by(&self, ask: impl Fn() + Send + Sync + 'static) {
        // A second one is not called.
        let _ = self.eviction.ask.set(Box::new(ask));
    }

    /// Whether writers without room wait for some from now on. Off until it is set.
    pub fn set_eviction(&self, is_on: bool) {
        self.eviction.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Whether a writer waits for room that what was given back does not make.
    pub fn is_short(&self) -> bool {
        let freed = self.eviction.freed.load(Ordering::Acquire);
        self.eviction.state().wanted_at == Some(freed)
    }

    /// Nothing can be removed: writers that wait for room get none.
    pub fn nothing_to_evict(&self) {
        self.eviction.state().in_vain += 1;
        self.eviction.changed.notify_all();
    }

    /// Takes `bytes`, all or nothing. May wait for room that is made.
    ///
    /// # Errors
    /// [`Error::Budget`] or [`Error::Reserve`].
    pub fn take(&self, bytes: u64) -> Result<()> {
        let taken = self.try_take(bytes);
        let ask = self.eviction.ask.get();
        match (taken, ask) {
            (Err(_), Some(ask)) if self.eviction.is_on.load(Ordering::Relaxed) => {
                self.take_evicted(bytes, ask)
            }
            (taken, _) => taken,
        }
    }

    /// Takes bytes once there is room for them, or gives the last refusal.
    fn take_evicted(&self, bytes: u64, ask: &dyn Fn()) -> Result<()> {
        let eviction = &self.eviction;
        let since = Instant::now();
        let in_vain = eviction.state().in_vain;
        loop {
            let freed = eviction.freed.load(Ordering::Acquire);
            let taken = self.try_take(bytes);
            let mut state = eviction.state();
            let gives_up = state.in_vain != in_vain || since.elapsed() >= ROOM_PATIENCE;
            if taken.is_ok() || gives_up {
                state.wanted_at = None;
                return taken;
            }
            state.wanted_at = Some(freed);
            ask();
            // Another writer may have what was given back, or others may have made room on the disk.
            drop(eviction.changed.wait_timeout(state, ROOM_INTERVAL));
        }
    }

    fn try_take(&self, bytes: u64) -> Result<()> {
        let limit = self.limit();
        let taken = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .map_err(|used| Error::Budget { limit, used })?;
        let checked = self.check_free_space(bytes);
        if checked.is_err() {
            self.return_bytes(bytes);
        }
        checked
    }

    /// Counts bytes that are on the disk already, whatever the limit.
    pub fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back bytes that are no longer on the disk.
    pub fn give_back(&self, bytes: u64) {
        self.return_bytes(bytes);
        self.eviction.freed.fetch_add(1, Ordering::Release);
        self.eviction.changed.notify_all();
    }

    fn return_bytes(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        // The closure never refuses.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Asks the file system, once for every [`CHECK_BYTES`] and every [`CHECK_INTERVAL`].
    fn check_free_space(&self, bytes: u64) -> Result<()> {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let age = now.saturating_sub(self.checked_at.load(Ordering::Relaxed));
        let is_fresh = u128::from(age) < CHECK_INTERVAL.as_millis();
        let spend = |credit: u64| credit.checked_sub(bytes);
        if is_fresh
            && self
                .credit
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
                .is_ok()
        {
            return Ok(());
        }
        let Some(disk) = self.disk() else {
            // The write will report the error.
            return Ok(());
        };
        match disk.writable().checked_sub(bytes) {
            Some(left) => {
                self.credit.store(left.min(CHECK_BYTES), Ordering::Relaxed);
                self.checked_at.store(now, Ordering::Relaxed);
                Ok(())
            }
            None => Err(self.below(disk)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_what_is_given_back_can_be_taken_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let space = DiskBudget::new(directory.path(), 100, KeepFree::Bytes(0), 40);
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
        let space = DiskBudget::new(directory.path(), 1000, KeepFree::Bytes(0), 0);
        let taken: u64 = std::thread::scope(|scope| {
            let take = || (0..200).filter(|_| space.take(7).is_ok()).count() as u64 * 7;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            let taken = threads.into_iter().map(|thread| thread.join());
            taken.map(|taken| taken.expect("no panic")).sum()
        });
        assert_eq!(taken, space.used());
        assert_eq!(taken, 1000 / 7 * 7);
    }

    #[test]
    fn what_is_kept_free_is_not_taken_and_another_amount_counts_at_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let space = DiskBudget::new(directory.path(), u64::MAX, KeepFree::Bytes(0), 0);
        space.check_keep_free().expect("nothing is kept free");
        space.take(1).expect("there is room");
        let disk = space.disk().expect("a file system");
        space.set_keep_free(KeepFree::Bytes(disk.total));
        for refused in [space.check_keep_free(), space.take(1)] {
            let refused = refused.expect_err("the whole disk is kept free");
            assert!(
                matches!(refused, Error::Reserve { kept_free, .. } if kept_free == disk.total),
                "{refused}"
            );
        }
        assert_eq!(space.used(), 1);
        space.set_keep_free(KeepFree::Percent(0));
        space.take(1).expect("there is room again");
    }

    #[test]
    fn a_writer_waits_for_room_that_is_made_and_fails_where_none_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let space = DiskBudget::new(directory.path(), 100, KeepFree::Bytes(0), 100);
        let space = Arc::new(space);
        let (asks, asked) = std::sync::mpsc::channel();
        space.evict_by(move || {
            // The test may have ended.
            let _ = asks.send(());
        });
        space.take(10).expect_err("nobody waits by default");
        space.set_eviction(true);
        let evictor = Arc::clone(&space);
        let (made, is_made) = std::sync::mpsc::channel();
        let evictor = std::thread::spawn(move || {
            let _ = asked.recv();
            assert!(evictor.is_short());
            evictor.give_back(30);
            assert!(!evictor.is_short(), "nobody has looked since");
            made.send(()).expect("somebody waits");
            while evictor.used() < 90 || !evictor.is_short() {
                let _ = asked.recv();
            }
            evictor.nothing_to_evict();
        });
        space.take(20).expect("room was made");
        is_made.recv().expect("the evictor goes on");
        space.take(90).expect_err("nothing is left");
        evictor.join().expect("no panic");
        assert_eq!((space.used(), space.is_short()), (90, false));
    }
}
