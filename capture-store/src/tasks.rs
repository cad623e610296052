//! Types of the store's calls about tasks.

use std::{collections::HashMap, fmt};

use capture_task::{
    interruption::InterruptionCause,
    task::{Counters, FileRecord, State, StopReason, TaskRecord, TaskSpec},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{failure::Failure, glob::Glob, values};
use crate::{
    access::Account,
    edition::{Edition, QuotaRules},
};

/// The ID of a task.
pub type TaskId = Ulid;

/// A task that somebody wants.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// 1 to 128 printable characters.
    pub name: String,
    /// The request as it came, valid.
    pub spec: TaskSpec,
    /// What it captures, for the audit log: interfaces, filter, limits.
    pub summary: String,
    /// When it shall start, where not at once.
    pub start_at: Option<Timestamp>,
    /// Most bytes of its files, which are taken from the disk budget until it has ended.
    pub max_file_bytes: u64,
    /// A name for this request, which makes its repetition harmless.
    pub key: Option<IdempotencyKey>,
}

/// What the client calls its request: 1–255 visible ASCII characters. Remembered per account and for a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A key, unless it is empty, too long, or holds other characters.
    pub fn new(text: &str) -> Option<Self> {
        let is_key = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned()))
    }

    /// As the client sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a creation must stay within; from the configuration as it is at that moment.
#[derive(Clone, Debug)]
pub struct CreateLimits {
    /// Tasks a day.
    pub quota: QuotaRules,
    /// Most bytes of all captures together.
    pub disk_budget: u64,
    /// Bytes of them that are on the disk now, those of running tasks among them.
    pub used_bytes: u64,
    /// Whether the files of tasks that have ended make room for others.
    pub evicts: bool,
    /// Why no capture could write anything now, a sentence.
    pub full_disk: Option<String>,
}

/// A task that was created, now or by an earlier request with the same key.
#[derive(Clone, Debug, PartialEq)]
pub enum Creation {
    /// The task that is there now.
    New(TaskRecord),
    /// The first answer to this key once more: the task as it was then.
    Repeated(TaskRecord),
}

/// Why a task was not created. Whatever it is, nothing of the task is left but a line in the audit log.
#[derive(Debug)]
pub enum Refusal {
    /// The edition may not capture at all.
    NotAllowed(Edition),
    /// The tasks of the day are used up.
    Quota {
        /// Seconds until the next day, rounded up.
        retry_after: u64,
        /// Tasks created today.
        used: u32,
        /// Tasks a day.
        limit: u32,
        /// The edition that sets the limit.
        edition: Edition,
    },
    /// There is no room for so many bytes.
    Budget {
        /// The most that the task may write.
        needed: u64,
        /// What is left of the budget.
        available: u64,
        /// Bytes of all captures together.
        budget: u64,
    },
    /// The file system of the captures has no more than is kept free: a sentence.
    FullDisk(String),
    /// The key was used for another request.
    KeyReused,
    /// The key was used for this very request, and its task, of this ID, is removed.
    KeyOfRemoved(String),
    /// The store failed.
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
    /// What of its row this version cannot read, a sentence; the record has the rest.
    pub unread: Option<String>,
}

/// A task that has ended, and whose files are not removed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedTask {
    /// The ID.
    pub id: TaskId,
    /// When it ended, where that is known.
    pub ended_at: Option<Timestamp>,
    /// When its files are to be removed.
    pub expires_at: Timestamp,
    /// Whether there is any byte of them.
    pub has_files: bool,
}

/// Files of tasks that have ended, and that are not removed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptFiles {
    /// The tasks that have any.
    pub tasks: u64,
    /// The files.
    pub files: u64,
    /// When the next ones are to be removed.
    pub next_expiry: Option<Timestamp>,
}

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Only tasks in one of these states; all where there is none.
    pub states: Vec<State>,
    /// Only tasks whose name has this in it, in capitals or not.
    pub search: Option<String>,
    /// Only tasks whose name is as this pattern says.
    pub name: Option<Glob>,
    /// Only tasks whose ID begins or ends with this: letters and digits in upper case.
    pub id: Option<String>,
    /// Only tasks created then or later.
    pub since: Option<Timestamp>,
    /// Only tasks of this account.
    pub account: Option<Account>,
    /// Most tasks of a page; 1–1000, and 0 is 100.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// Bytes of JSON at which a page ends, however few tasks it has: lists of ports, interfaces and files make a
/// task as long as a thousand others.
pub const PAGE_BYTES: usize = 2 << 20;

/// What a task weighs there without its request and its files.
pub(super) const RECORD_BYTES: usize = 1000;

/// What each of its files weighs there.
pub const FILE_BYTES: usize = 200;

/// Changes that are not in the rows yet, as if they were.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// The tasks that have ended, with their final state and the bytes of their files.
    pub ended: HashMap<TaskId, (State, u64)>,
    /// The tasks that were removed.
    pub removed: Vec<TaskId>,
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
    /// Reads what [`Display`](fmt::Display) wrote, and no other form.
    pub fn parse(text: &str) -> Option<Self> {
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
pub struct Page {
    /// The tasks.
    pub tasks: Vec<StoredTask>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<Cursor>,
}

/// A step in the life of a task. One that its state does not allow is an error, and changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `pending` → `running`: every hook is attached.
    Started {
        /// When that was.
        at: Timestamp,
    },
    /// `running` → `stopping`: detached.
    Stopping,
    /// `running` or `stopping` → `running`: the daemon ends, or an earlier one did, and the task is to be taken up
    /// again.
    Interrupted(Pause),
    /// It is: every hook is attached again.
    TakenUp {
        /// When that was.
        at: Timestamp,
    },
    /// `pending`, `running` or `stopping` → `completed` or `failed`, as the reason says.
    Ended(TaskEnd),
    /// The files of a task that has ended were removed.
    FilesRemoved {
        /// When that was.
        at: Timestamp,
    },
}

/// What is known of a task between two daemons.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// When it stopped matching.
    pub at: Timestamp,
    /// Why.
    pub cause: InterruptionCause,
    /// The figures until then.
    pub counters: Counters,
    /// Its files, in order.
    pub files: Vec<FileRecord>,
}

/// How a task ended. As JSON it has the words of a task's record.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct TaskEnd {
    /// When it stopped matching.
    #[serde(rename = "ended_at", serialize_with = "values::as_rfc3339")]
    pub at: Timestamp,
    /// Why.
    #[serde(rename = "stop_reason")]
    pub reason: StopReason,
    /// One sentence, where something went wrong.
    pub error: Option<String>,
    /// The final figures.
    pub counters: Counters,
    /// `complete`, or `lost N of M`; none where nobody knows.
    pub verdict: Option<String>,
    /// Its files, in order.
    pub files: Vec<FileRecord>,
    /// When they are to be removed.
    #[serde(serialize_with = "values::as_rfc3339")]
    pub expires_at: Timestamp,
}

impl TaskEnd {
    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The record is gone; the files are the caller's to remove.
    Deleted,
    /// There is no such task.
    NotFound,
    /// It has not ended yet.
    Unfinished,
}

/// All tasks together: how many are in each state, those without files included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskTotals {
    /// Tasks in state `pending`.
    pub pending: u64,
    /// Tasks in state `running`.
    pub running: u64,
    /// Tasks in state `stopping`.
    pub stopping: u64,
    /// Tasks in state `completed`.
    pub completed: u64,
    /// Tasks in state `failed`.
    pub failed: u64,
    /// Bytes of the files of tasks that have ended.
    pub stored_bytes: u64,
    /// Most bytes that the other tasks may write.
    pub reserved_bytes: u64,
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
