//! Ends and removals that the database could not take. They are shown over the rows and tried again; notes beside
//! the captures are for the next daemon.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use capture_store::{Overlay, StoredTask, TaskEnd, TaskId, access::Actor};
use capture_task::task::{TaskRecord, rfc3339};

/// Time between two tries: the first, and the most after it has doubled again and again.
const MIN_RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(16);

/// An end on its way into the store.
#[derive(Clone, Debug)]
pub(super) struct LateEnd {
    pub(super) end: TaskEnd,
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

impl LateEnd {
    /// An end that is to be stored now.
    pub(super) fn new(end: TaskEnd) -> Self {
        Self {
            end,
            has_sidecars: false,
            is_said: false,
        }
    }

    /// The end of this task: not before its start, though the wall clock may have been set back since, and never
    /// complete where it was interrupted.
    pub(super) fn of(&self, record: &TaskRecord) -> TaskEnd {
        let mut end = self.end.clone();
        let started_at = record.started_at.as_deref();
        if let Some(started_at) = started_at.and_then(|time| time.parse().ok()) {
            end.at = end.at.max(started_at);
        }
        let interrupted = end.counters.verdict_with(&record.interruptions);
        end.verdict = interrupted.or(end.verdict);
        end
    }

    /// The record of a task that has ended so.
    pub(super) fn applied(&self, record: TaskRecord) -> TaskRecord {
        let end = self.of(&record);
        TaskRecord {
            state: end.reason.final_state(),
            stop_reason: Some(end.reason),
            error: end.error,
            ended_at: Some(rfc3339(end.at)),
            expires_at: Some(rfc3339(end.expires_at)),
            counters: end.counters,
            verdict: end.verdict,
            files: end.files,
            ..record
        }
    }
}

impl Unstored {
    /// Whether a task has ended, or is removed, though the store says otherwise.
    pub(super) fn has(&self, id: &TaskId) -> bool {
        self.ends.contains_key(id) || self.removals.contains_key(id)
    }

    /// A task as it is; none where it is removed.
    pub(super) fn overlaid(&self, mut stored: StoredTask) -> Option<StoredTask> {
        if self.removals.contains_key(&stored.id) {
            return None;
        }
        if let Some(late) = self.ends.get(&stored.id) {
            stored.record = late.applied(stored.record);
            stored.expires_at = Some(late.end.expires_at);
            stored.held_bytes = late.end.bytes();
        }
        Some(stored)
    }

    /// What memory knows before the rows do.
    pub(super) fn overlay(&self) -> Overlay {
        let ended = self
            .ends
            .iter()
            .map(|(id, LateEnd { end, .. })| (*id, (end.reason.final_state(), end.bytes())));
        Overlay {
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
            (self.wait * 2).clamp(MIN_RETRY_WAIT, MAX_RETRY_WAIT)
        };
        self.next_try = Some(Instant::now() + self.wait);
    }
}
