//! What the reader's thread and the writer's share: chunks of whole records, which go over a bounded channel, and
//! the state of the writer. Used by `queue` and `writer`.

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
    owner::Owner,
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

/// The state of the writer, as the reader's side sees it.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    pub(super) counters: Arc<OutputCounters>,
    /// The first failure. The reader looks at it with each packet, and locks nothing.
    failure: OnceLock<Error>,
    closing: OnceLock<Instant>,
    operation: Mutex<Option<Operation>>,
    space: Option<Arc<DiskBudget>>,
    owner: Option<Owner>,
}

/// A system call of the writer that may take long.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) action: Action,
    pub(super) path: PathBuf,
    pub(super) since: Instant,
}

impl fmt::Display for Operation {
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

/// The operation lasts until this is dropped.
pub(super) struct OperationGuard<'a>(&'a WriterState);

impl Drop for OperationGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.operation) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WriterState {
    pub(super) fn new(space: Option<Arc<DiskBudget>>, owner: Option<Owner>) -> Self {
        Self {
            space,
            owner,
            ..Self::default()
        }
    }

    /// Whose finished files become, where that is not this user.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// Takes room in the disk budget for bytes that are about to be written.
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

    /// Notes that the writer enters a system call.
    pub(super) fn begin_operation(&self, action: Action, path: &Path) -> OperationGuard<'_> {
        *lock(&self.operation) = Some(Operation {
            action,
            path: path.to_owned(),
            since: Instant::now(),
        });
        OperationGuard(self)
    }

    /// The system call that the writer is in.
    pub(super) fn waits_for(&self) -> Option<Operation> {
        lock(&self.operation).clone()
    }

    /// Notes that the output is being closed.
    pub(super) fn close(&self) {
        self.closing.get_or_init(Instant::now);
    }

    pub(super) fn closing_since(&self) -> Option<Instant> {
        self.closing.get().copied()
    }
}
