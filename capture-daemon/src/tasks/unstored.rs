//! What has happened to tasks and is not in the store yet, as the database could not be written: ends and
//! removals. Memory is then ahead of the rows, and shown in their place; each is tried again until it is
//! stored. Beside the captures there is a note of each, for a daemon that is ended before.

use std::{
    collections::HashMap,
    sync::MutexGuard,
    time::{Duration, Instant},
};

use capture_task::task::{Counters, FileRecord, StopReason, TaskRecord, rfc3339};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Inner, end::TaskOutcome, lock};
use crate::{
    access::Actor,
    error::Error,
    store::{Change, Failure, Known, StoredTask, TaskId},
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
struct Note {
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
    end: End,
    has_sidecars: bool,
    /// Whether it was said that they cannot be written.
    is_said: bool,
}

/// What is not stored yet.
#[derive(Debug, Default)]
pub(super) struct Unstored {
    ends: HashMap<TaskId, LateEnd>,
    /// With whoever asked for it.
    removals: HashMap<TaskId, Actor>,
    next_try: Option<Instant>,
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
    fn applied(&self, record: TaskRecord) -> TaskRecord {
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

    fn change(&self, record: &TaskRecord) -> Change {
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

    fn note(&self) -> Note {
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

    /// A task is removed, but for its row.
    pub(super) fn keep_removal(&mut self, id: TaskId, actor: Actor) {
        self.removals.insert(id, actor);
    }

    /// Whether it is time for another try.
    pub(super) fn is_due(&self) -> bool {
        self.next_try.is_none_or(|next| next <= Instant::now())
    }

    fn tried(&mut self, is_stored: bool) {
        self.wait = if is_stored {
            Duration::ZERO
        } else {
            (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT)
        };
        self.next_try = Some(Instant::now() + self.wait);
    }
}

impl Inner {
    pub(super) fn unstored(&self) -> MutexGuard<'_, Unstored> {
        lock(&self.unstored)
    }

    /// A task as it is; none where it is removed.
    pub(super) fn as_known(&self, mut stored: StoredTask) -> Option<StoredTask> {
        let unstored = self.unstored();
        if unstored.removals.contains_key(&stored.id) {
            return None;
        }
        if let Some(LateEnd { end, .. }) = unstored.ends.get(&stored.id) {
            stored.record = end.applied(stored.record);
            stored.expires_at = Some(end.expires_at);
            stored.held_bytes = end.bytes();
        }
        Some(stored)
    }

    /// What memory knows before the rows do.
    pub(super) fn known(&self) -> Known {
        let unstored = self.unstored();
        let ended = unstored.ends.iter().map(|(id, LateEnd { end, .. })| {
            let known = (end.reason.final_state(), end.bytes());
            (*id, known)
        });
        Known {
            ended: ended.collect(),
            removed: unstored.removals.keys().copied().collect(),
        }
    }

    /// Stores an end, or keeps it until it can be stored.
    pub(super) fn store_or_keep(&self, id: &TaskId, end: End) {
        let mut late = LateEnd {
            end,
            has_sidecars: false,
            is_said: false,
        };
        match self.store_end(id, &mut late) {
            Ok(()) => {}
            Err(failure) if failure.may_pass() => {
                log::error!(
                    "task {id} has ended, and that cannot be stored yet: {failure}; it is kept and \
                     tried again"
                );
                let note = serde_json::to_vec(&late.end.note()).unwrap_or_default();
                if let Err(error) = self.storage.note_end(id, &note) {
                    log::warn!("task {id}: its end cannot be noted beside its files: {error}");
                }
                self.unstored().ends.insert(*id, late);
            }
            Err(failure) => {
                log::error!("task {id} has ended, and that cannot be stored: {failure}");
            }
        }
    }

    fn store_end(&self, id: &TaskId, late: &mut LateEnd) -> Result<(), Failure> {
        let stored = self.store.task(id).map_err(Failure::Broken)?;
        let record = stored
            .ok_or_else(|| Failure::Refused(Error::not_found("the task is gone")))?
            .record;
        // Before the state is final: who sees that finds the sidecar.
        if !late.has_sidecars {
            let last = late.end.applied(record.clone());
            match self.storage.write_sidecars(id, &last) {
                Ok(()) => late.has_sidecars = true,
                Err(_) if late.is_said => {}
                Err(error) => {
                    late.is_said = true;
                    log::warn!("task {id}: its record cannot be written beside its files: {error}");
                }
            }
        }
        self.store.update(id, &late.end.change(&record))
    }

    /// Forgets what was to be stored of a task that is gone.
    pub(super) fn forget(&self, id: &TaskId) {
        let mut unstored = self.unstored();
        let is_late = unstored.ends.remove(id).is_some();
        unstored.removals.remove(id);
        // Its room may be what the others wait for.
        unstored.next_try = None;
        drop(unstored);
        if is_late {
            self.storage.forget_end(id);
        }
    }

    /// Stores what could not be stored before, as far as that works now.
    pub(super) fn catch_up(&self) {
        let done = self.store_late();
        self.unstored().tried(done.is_ok());
    }

    fn store_late(&self) -> Result<(), Failure> {
        self.store.replenish();
        let ends: Vec<_> = {
            let unstored = self.unstored();
            let ends = unstored.ends.iter();
            ends.map(|(id, late)| (*id, late.clone())).collect()
        };
        for (id, mut late) in ends {
            match self.store_end(&id, &mut late) {
                Err(failure) if failure.may_pass() => {
                    if let Some(kept) = self.unstored().ends.get_mut(&id) {
                        *kept = late;
                    }
                    return Err(failure);
                }
                outcome => self.end_is_stored(&id, outcome),
            }
        }
        let removals: Vec<_> = {
            let unstored = self.unstored();
            let removals = unstored.removals.iter();
            removals.map(|(id, actor)| (*id, actor.clone())).collect()
        };
        for (id, actor) in removals {
            self.store_removal(&id, &actor)?;
        }
        self.store.catch_up()
    }

    fn end_is_stored(&self, id: &TaskId, outcome: Result<(), Failure>) {
        let kept = self.unstored().ends.remove(id);
        self.storage.forget_end(id);
        match outcome {
            Ok(()) => log::info!("the end of task {id} is stored now"),
            // It was deleted meanwhile.
            Err(_) if kept.is_none() => {}
            Err(failure) => {
                log::error!("task {id} has ended, and that cannot be stored: {failure}");
            }
        }
    }

    /// Tries everything once more, at the end of the daemon, and says what the next one has to do.
    pub(super) fn last_try(&self) {
        let Err(failure) = self.store_late() else {
            return;
        };
        let unstored = self.unstored();
        for id in unstored.ends.keys() {
            log::error!(
                "the end of task {id} could not be stored: {failure}; the next start looks for it in the \
                 record beside its files, and in {}",
                self.storage.ended_note(id).display()
            );
        }
        for id in unstored.removals.keys() {
            log::error!(
                "the record of task {id}, whose files are removed, could not be removed: {failure}; the \
                 next start does it"
            );
        }
        for line in self.store.take_late() {
            log::error!("missing in the audit log: {line}");
        }
    }
}
