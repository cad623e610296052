//! Types of the store's calls about tasks.

use std::{collections::HashMap, fmt};

use capture_task::task::{Counters, FileRecord, State, StopReason, TaskRecord, TaskSpec};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{failure::Failure, values};
use crate::{
    access::Account,
    config::{Edition, QuotaRules},
};

/// The ID of a task.
pub type TaskId = Ulid;

/// A task that somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct NewTask {
    pub(crate) name: String,
    /// The request as it came, valid.
    pub(crate) spec: TaskSpec,
    /// When it shall start, where not at once.
    pub(crate) start_at: Option<Timestamp>,
    /// Most bytes of its files, which are taken from the disk budget until it has ended.
    pub(crate) max_file_bytes: u64,
    /// A name for this request, which makes its repetition harmless.
    pub(crate) key: Option<IdempotencyKey>,
}

/// What the client calls its request: 1–255 visible ASCII characters. Overlay per account and for a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_key = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a creation must stay within; from the configuration as it is at that moment.
#[derive(Clone, Debug)]
pub(crate) struct CreateLimits {
    /// Tasks a day.
    pub(crate) quota: QuotaRules,
    /// Most bytes of all captures together.
    pub(crate) disk_budget: u64,
    /// Bytes of them that are on the disk now, those of running tasks among them.
    pub(crate) used_bytes: u64,
}

/// A task that was created, now or by an earlier request with the same key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Creation {
    New(TaskRecord),
    /// The first answer to this key once more: the task as it was then.
    Repeated(TaskRecord),
}

/// Why a task was not created. Whatever it is, nothing of the task is left but a line in the audit log.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The edition may not capture at all.
    NotAllowed(Edition),
    /// The tasks of the day are used up.
    Quota {
        /// Seconds until the next day, rounded up.
        retry_after: u64,
        used: u32,
        limit: u32,
        edition: Edition,
    },
    /// There is no room for so many bytes.
    Budget {
        needed: u64,
        available: u64,
        budget: u64,
    },
    /// The key was used for another request.
    KeyReused,
    Broken(Failure),
}

/// A task as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTask {
    /// The ID, as in the record.
    pub id: TaskId,
    /// Its place in the list: what comes behind it is the next page of one that ends with it.
    pub cursor: Cursor,
    /// What people see.
    pub record: TaskRecord,
    /// Whose it is.
    pub account: Account,
    /// When it shall start, where not at once.
    pub start_at: Option<Timestamp>,
    /// When its files are to be removed, once it has ended.
    pub expires_at: Option<Timestamp>,
    /// When its files were removed, once they were; the record stays.
    pub files_removed_at: Option<Timestamp>,
    /// The most bytes that it may write, and once it has ended those that it wrote and that are still there.
    pub held_bytes: u64,
}

/// A task that has ended, and whose files are not removed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetainedTask {
    pub(crate) id: TaskId,
    pub(crate) ended_at: Option<Timestamp>,
    /// When its files are to be removed.
    pub(crate) expires_at: Timestamp,
    /// Whether there is any byte of them.
    pub(crate) has_files: bool,
}

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskFilter {
    pub(crate) state: Option<State>,
    /// Most tasks of a page; 1–1000, and 0 is 100.
    pub(crate) limit: u32,
    /// Where the page before ended.
    pub(crate) cursor: Option<Cursor>,
}

/// Bytes of JSON at which a page ends, however few tasks it has: lists of ports, interfaces and files make a
/// task as long as a thousand others.
pub(crate) const PAGE_BYTES: usize = 2 << 20;

/// What a task weighs there without its request and its files, and what each file does.
pub(super) const RECORD_BYTES: usize = 1000;
pub(crate) const FILE_BYTES: usize = 200;

/// Changes that are not in the rows yet, as if they were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// The tasks that have ended, with their final state and the bytes of their files.
    pub(crate) ended: HashMap<TaskId, (State, u64)>,
    pub(crate) removed: Vec<TaskId>,
}

/// Where a page ended. Its text is for clients to hand back, not to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) i64);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}

impl Cursor {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = i64::from_str_radix(text.strip_prefix('t')?, 16).ok()?;
        let cursor = Self(number);
        // Only the form that we write: no sign, no capitals, every digit.
        (number >= 0 && cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{:016x}", self.0)
    }
}

/// A page of tasks, newest first; it ends at `PAGE_BYTES`, with one task at least.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) tasks: Vec<StoredTask>,
    /// Where the next page begins, if there is one.
    pub(crate) next_cursor: Option<Cursor>,
}

/// A step in the life of a task. One that its state does not allow is an error, and changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// `pending` → `running`: every hook is attached.
    Started { at: Timestamp },
    /// `running` → `stopping`: detached.
    Stopping,
    /// `pending`, `running` or `stopping` → `completed` or `failed`, as the reason says.
    Ended(TaskEnd),
    /// The files of a task that has ended were removed.
    FilesRemoved { at: Timestamp },
}

/// How a task ended. As JSON it has the words of a task's record.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct TaskEnd {
    /// When it stopped matching.
    #[serde(rename = "ended_at", serialize_with = "values::as_rfc3339")]
    pub(crate) at: Timestamp,
    #[serde(rename = "stop_reason")]
    pub(crate) reason: StopReason,
    /// One sentence, where something went wrong.
    pub(crate) error: Option<String>,
    pub(crate) counters: Counters,
    /// `complete`, or `lost N of M`; none where nobody knows.
    pub(crate) verdict: Option<String>,
    pub(crate) files: Vec<FileRecord>,
    /// When they are to be removed.
    #[serde(serialize_with = "values::as_rfc3339")]
    pub(crate) expires_at: Timestamp,
}

impl TaskEnd {
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// The record is gone; the files are the caller's to remove.
    Deleted,
    NotFound,
    Unfinished,
}

/// All tasks together: how many are in each state, those without files included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskTotals {
    pub(crate) pending: u64,
    pub(crate) running: u64,
    pub(crate) stopping: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// Bytes of the files of tasks that have ended.
    pub(crate) stored_bytes: u64,
    /// Most bytes that the other tasks may write.
    pub(crate) reserved_bytes: u64,
}

impl TaskTotals {
    pub(super) fn add(&mut self, state: State, count: u64, held: u64) {
        let (counter, bytes) = match state {
            State::Pending => (&mut self.pending, &mut self.reserved_bytes),
            State::Running => (&mut self.running, &mut self.reserved_bytes),
            State::Stopping => (&mut self.stopping, &mut self.reserved_bytes),
            State::Completed => (&mut self.completed, &mut self.stored_bytes),
            State::Failed => (&mut self.failed, &mut self.stored_bytes),
        };
        *counter += count;
        *bytes += held;
    }
}
