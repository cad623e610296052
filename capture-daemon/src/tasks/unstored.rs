//! What has happened to tasks and is not in the store yet, as the database could not be written: ends and
//! removals. Memory is then ahead of the rows, and shown in their place; each is tried again until it is
//! stored. Beside the captures there is a note of each, for a daemon that is ended before.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use capture_task::task::{Counters, FileRecord, StopReason, TaskRecord, rfc3339};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::TaskOutcome;
use crate::{
    access::Actor,
    store::{Change, Known, StoredTask, TaskId},
};

/// Time between two tries: the first, and the most after it has doubled again and again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(16);

/// The end of a task as it is stored.
#[derive(Clone, Debug)]
pub(super) struct End {
    reason: StopReason,
    error: Option<String>,
    counters: Counters,
    verdict: Option<String>,
    files: Vec<FileRecord>,
    at: Timestamp,
    expires_at: Timestamp,
}

/// The same on disk, in the words of a task's record.
#[derive(Deserialize, Serialize)]
pub(super) struct Note {
    stop_reason: StopReason,
    error: Option<String>,
    ended_at: String,
    expires_at: String,
    counters: Counters,
    verdict: Option<String>,
    files: Vec<FileRecord>,
}

/// An end on its way into the store.
#[derive(Clone, Debug)]
pub(super) struct LateEnd {
    pub(super) end: End,
    pub(super) has_sidecars: bool,
    /// Whether it was said that they cannot be written.
    pub(super) is_said: bool,
}

/// What is not stored yet.
#[derive(Debug, Default)]
pub(super) struct Unstored {
    pub(super) ends: HashMap<TaskId, LateEnd>,
    /// With whoever asked for it.
    pub(super) removals: HashMap<TaskId, Actor>,
    pub(super) next_try: Option<Instant>,
    wait: Duration,
}

impl End {
    /// What is known at the end, with what was not said of it.
    pub(super) fn new(last: TaskOutcome, now: Timestamp, expires_at: Timestamp) -> Self {
        let TaskOutcome {
            reason,
            error,
            counters,
            verdict,
            files,
            ended_at,
            expires_at: kept_until,
        } = last;
        Self {
            reason,
            error,
            counters,
            verdict,
            files,
            at: ended_at.unwrap_or(now),
            expires_at: kept_until.unwrap_or(expires_at),
        }
    }

    /// When it ended: not before its start, though the wall clock may have been set back since.
    fn at(&self, record: &TaskRecord) -> Timestamp {
        let started_at = record.started_at.as_deref();
        let started_at = started_at.and_then(|time| time.parse().ok());
        started_at.map_or(self.at, |started_at| self.at.max(started_at))
    }

    /// The record of a task that has ended so.
    pub(super) fn applied(&self, record: TaskRecord) -> TaskRecord {
        TaskRecord {
            state: self.reason.final_state(),
            stop_reason: Some(self.reason),
            error: self.error.clone(),
            ended_at: Some(rfc3339(self.at(&record))),
            expires_at: Some(rfc3339(self.expires_at)),
            counters: self.counters,
            verdict: self.verdict.clone(),
            files: self.files.clone(),
            ..record
        }
    }

    pub(super) fn change(&self, record: &TaskRecord) -> Change {
        Change::Ended {
            at: self.at(record),
            reason: self.reason,
            error: self.error.clone(),
            counters: self.counters,
            verdict: self.verdict.clone(),
            files: self.files.clone(),
            expires_at: self.expires_at,
        }
    }

    fn bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }

    pub(super) fn note(&self) -> Note {
        Note {
            stop_reason: self.reason,
            error: self.error.clone(),
            ended_at: rfc3339(self.at),
            expires_at: rfc3339(self.expires_at),
            counters: self.counters,
            verdict: self.verdict.clone(),
            files: self.files.clone(),
        }
    }
}

impl TaskOutcome {
    /// What a note says; none where it could not be written in full.
    pub(super) fn noted(note: &[u8]) -> Option<Self> {
        let note: Note = serde_json::from_slice(note).ok()?;
        Some(Self {
            reason: note.stop_reason,
            error: note.error,
            counters: note.counters,
            verdict: note.verdict,
            files: note.files,
            ended_at: note.ended_at.parse().ok(),
            expires_at: note.expires_at.parse().ok(),
        })
    }
}

impl Unstored {
    /// Whether a task has ended, or is removed, though the store says otherwise.
    pub(super) fn has(&self, id: &TaskId) -> bool {
        self.ends.contains_key(id) || self.removals.contains_key(id)
    }

    /// A task as it is; none where it is removed.
    pub(super) fn as_known(&self, mut stored: StoredTask) -> Option<StoredTask> {
        if self.removals.contains_key(&stored.id) {
            return None;
        }
        if let Some(LateEnd { end, .. }) = self.ends.get(&stored.id) {
            stored.record = end.applied(stored.record);
            stored.expires_at = Some(end.expires_at);
            stored.held_bytes = end.bytes();
        }
        Some(stored)
    }

    /// What memory knows before the rows do.
    pub(super) fn known(&self) -> Known {
        let ended = self.ends.iter().map(|(id, LateEnd { end, .. })| {
            let known = (end.reason.final_state(), end.bytes());
            (*id, known)
        });
        Known {
            ended: ended.collect(),
            removed: self.removals.keys().copied().collect(),
        }
    }

    /// A task is removed, but for its row.
    pub(super) fn keep_removal(&mut self, id: TaskId, actor: Actor) {
        self.removals.insert(id, actor);
    }

    /// Whether it is time for another try.
    pub(super) fn is_due(&self) -> bool {
        self.next_try.is_none_or(|next| next <= Instant::now())
    }

    pub(super) fn tried(&mut self, is_stored: bool) {
        self.wait = if is_stored {
            Duration::ZERO
        } else {
            (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT)
        };
        self.next_try = Some(Instant::now() + self.wait);
    }
}
