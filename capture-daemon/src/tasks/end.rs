//! The end of a task: it stops matching, its files are finished and hashed, a sidecar is put beside each,
//! and the store gets the final record. What it cannot take is kept in `unstored`.

use std::{
    io,
    time::{Duration, Instant},
};

use capture_engine::{ClosingTask, Ended, TaskHandle};
use capture_task::task::{Counters, FileRecord, StopReason, time_of};
use jiff::Timestamp;

use super::{Inner, files, retention::ParsedTask, unstored::End};
use crate::{
    error::Error,
    storage::Leftover,
    store::{Change, TaskId},
};

/// How long the files of a task may take to close before that is said, and again when that time has doubled; and
/// how often it is looked at what they wait for.
const CLOSE_NOTICE_AFTER: Duration = Duration::from_secs(5);
const CLOSE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What is known at the end.
#[derive(Clone, Debug)]
pub(crate) struct TaskOutcome {
    pub(super) reason: StopReason,
    pub(super) error: Option<String>,
    pub(super) counters: Counters,
    pub(super) verdict: Option<String>,
    pub(super) files: Vec<FileRecord>,
    /// When, by the clock of its packets, where it had any; of a task that was interrupted, when it last wrote.
    pub(super) ended_at: Option<Timestamp>,
    /// When its files are to be removed, where that was said before.
    pub(super) expires_at: Option<Timestamp>,
}

impl TaskOutcome {
    /// Of a task that captured nothing.
    pub(super) fn before_start(reason: StopReason, error: Option<String>) -> Self {
        let counters = Counters::default();
        Self {
            reason,
            error,
            counters,
            // Nobody can say that it is complete.
            verdict: None,
            files: Vec::new(),
            ended_at: None,
            expires_at: None,
        }
    }

    /// Of a task that the last daemon did not end. What it lost, nobody knows.
    pub(super) fn interrupted(leftover: Leftover) -> Self {
        let Leftover {
            files,
            counters,
            written_at,
            ended: _,
        } = leftover;
        let error = format!(
            "the daemon ended without ending this task; {} packets were found in its files, and how \
             many were lost is not known",
            counters.captured
        );
        Self {
            reason: StopReason::Interrupted,
            error: Some(error),
            counters,
            verdict: counters.verdict_at(StopReason::Interrupted),
            files,
            ended_at: written_at,
            expires_at: None,
        }
    }

    /// Of a task that the last daemon did end, as the record beside its files says; none where there is no such
    /// record.
    pub(super) fn beside_files(leftover: &mut Leftover) -> Option<Self> {
        let ended = leftover.ended.take()?;
        Some(Self {
            reason: ended.stop_reason,
            error: ended.error,
            counters: ended.counters,
            verdict: ended.verdict,
            files: std::mem::take(&mut leftover.files),
            ended_at: ended.ended_at.and_then(|time| time.parse().ok()),
            expires_at: ended.expires_at.and_then(|time| time.parse().ok()),
        })
    }

    fn of(ended: Ended) -> Self {
        let Ended {
            counters,
            files,
            ended_ns,
            stop_reason,
            error,
            malformed: _,
        } = ended;
        Self {
            reason: stop_reason,
            error: error.map(|error| Error::from(error).message),
            counters,
            verdict: counters.verdict_at(stop_reason),
            files: files::named(files),
            ended_at: time_of(ended_ns),
            expires_at: None,
        }
    }
}

impl Inner {
    /// Ends a task that is noted as stopping.
    pub(super) fn end(&self, id: &TaskId, task: TaskHandle, reason: StopReason) {
        let ended = match self.engine.get() {
            Some(engine) => {
                engine.halt([task]);
                let last = files::figures(engine, task).unwrap_or_default();
                self.table().note(id, last.clone());
                if let Err(failure) = self.store.update(id, &Change::Stopping) {
                    log::warn!("task {id} is stopping, and that cannot be stored: {failure}");
                    self.table().stops_unstored(id);
                }
                self.announce(id);
                match engine.leave(task, reason) {
                    Ok(leaving) => self.closed(id, leaving),
                    Err(error) => Ended::broken(error, last.0, last.1),
                }
            }
            // A task that was started has an engine.
            None => Ended::broken(
                capture_engine::Error::NoSuchTask,
                Counters::default(),
                Vec::new(),
            ),
        };
        let mut last = TaskOutcome::of(ended);
        self.table().note(id, (last.counters, last.files.clone()));
        last.files.retain_mut(|file| self.digest(id, file));
        self.finish(id, last);
    }

    /// Waits until the files are closed, and says what that waits for where it takes long.
    fn closed(&self, id: &TaskId, mut leaving: ClosingTask) -> Ended {
        let since = Instant::now();
        let mut patience = CLOSE_NOTICE_AFTER;
        while !leaving.closed_within(CLOSE_POLL_INTERVAL) {
            let what = leaving.waits_for();
            let what = what.unwrap_or_else(|| "writing".to_owned());
            let waited = since.elapsed();
            if waited >= patience {
                patience *= 2;
                log::warn!(
                    "task {id}: its output is not closed after {}s ({what})",
                    waited.as_secs()
                );
            }
            self.table().waits_for(id, what);
        }
        leaving.ended()
    }

    /// Adds a file's digest; `false` where there is no file, as one that got no packet is not kept when its
    /// task fails.
    fn digest(&self, id: &TaskId, file: &mut FileRecord) -> bool {
        match self.storage.digest(id, file) {
            Ok(digest) => file.sha256 = Some(digest),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.packets == 0 => {
                return false;
            }
            Err(error) => {
                log::warn!("task {id}: {}: {error}; its digest is left out", file.name);
            }
        }
        true
    }

    /// Stores the end of a task, whatever it was before, and tells everybody. Where it cannot be stored it is
    /// kept, and the task has ended all the same.
    pub(super) fn finish(&self, id: &TaskId, last: TaskOutcome) {
        // By the wall clock, as whoever removes them.
        let now = self.clock.now();
        let kept = self.config().limits.retention;
        let reading = ParsedTask::of(&*self.clock);
        self.retention().ended(*id, reading, kept);
        let expires_at = now.saturating_add(kept).unwrap_or(now);
        self.store_or_keep(id, End::new(last, now, expires_at));
        // Before its place is given up: a deletion waits for that, and then there is no record to tell of.
        self.announce(id);
        self.table().ended(id);
        self.wake.notify_one();
    }
}
