//! What goes between the reader's thread and the writer's: chunks of whole records by a bounded channel,
//! and the state of the writer that both sides see. Used by `queue` and `writer`.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use super::{
    counters::OutputCounters,
    disk_budget::DiskBudget,
    error::{Action, Error, Result, Shown},
    rotation::NextFile,
};

/// Bytes of a buffer: past some hundred KiB the system call is no longer what a write costs, and
/// sixty-four tasks with a few buffers each still fit into any server.
pub(super) const BUFFER_LEN: usize = 1 << 20;

/// Most buffers of a task. They are allocated when first wanted, and more than a few are wanted only by
/// an output that stalls: 64 MiB are half a second of a full 1 Gb/s link, and as much as all rings.
pub(super) const BUFFERS: usize = 64;

/// Whole records for one file.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The file that begins with this chunk.
    pub(super) open: Option<NextFile>,
    /// The records, the file's header among them.
    pub(super) data: Vec<u8>,
    /// Packets in them.
    pub(super) packets: u64,
    /// Bytes kept of these packets.
    pub(super) bytes: u64,
    /// Whether the file ends with this chunk.
    pub(super) close: bool,
}

/// What the reader's side sees of the writer.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    pub(super) counters: Arc<OutputCounters>,
    /// The first failure. The reader looks at it with each packet, and locks nothing.
    failure: OnceLock<Error>,
    closing: OnceLock<Instant>,
    doing: Mutex<Option<Doing>>,
    space: Option<Arc<DiskBudget>>,
}

/// A system call that may take as long as the disk does.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    pub(super) action: Action,
    pub(super) path: PathBuf,
    pub(super) since: Instant,
}

impl fmt::Display for Doing {
    /// `write to /mnt/a.pcapng.part, for 7s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            path,
            since,
        } = self;
        let seconds = since.elapsed().as_secs();
        write!(f, "{action} {}, for {seconds}s", Shown(path))
    }
}

/// Until it is dropped, the writer is doing something.
pub(super) struct DoingGuard<'a>(&'a WriterState);

impl Drop for DoingGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.doing) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WriterState {
    pub(super) fn new(space: Option<Arc<DiskBudget>>) -> Self {
        Self {
            space,
            ..Self::default()
        }
    }

    /// Takes room for bytes that are about to be written.
    pub(super) fn take_space(&self, bytes: usize) -> Result<()> {
        match &self.space {
            Some(space) => space.take(bytes as u64),
            None => Ok(()),
        }
    }

    pub(super) fn give_space_back(&self, bytes: u64) {
        if let Some(space) = &self.space {
            space.give_back(bytes);
        }
    }

    /// Whether the output has failed; as cheap as it has to be for every packet.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// Keeps the first failure.
    pub(super) fn fail(&self, error: Error) {
        let _ = self.failure.set(error);
    }

    /// Says what the writer begins to wait for.
    pub(super) fn doing(&self, action: Action, path: &Path) -> DoingGuard<'_> {
        *lock(&self.doing) = Some(Doing {
            action,
            path: path.to_owned(),
            since: Instant::now(),
        });
        DoingGuard(self)
    }

    /// What the writer is waiting for.
    pub(super) fn waits_for(&self) -> Option<Doing> {
        lock(&self.doing).clone()
    }

    /// Says that no more will come.
    pub(super) fn close(&self) {
        self.closing.get_or_init(Instant::now);
    }

    pub(super) fn closing_since(&self) -> Option<Instant> {
        self.closing.get().copied()
    }
}
