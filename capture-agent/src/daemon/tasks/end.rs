//! The end of a task: it stops matching, its files are finished and hashed, a sidecar is put beside each,
//! and the store gets the final record.

use std::{
    io,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Inner, files};
use crate::{
    daemon::{
        storage::Leftover,
        store::{Change, Failure, TaskUlid},
    },
    engine::{Ended, Leaving, TaskId},
    error::{Error, Result},
    task::{Counters, FileRecord, StopReason, TaskRecord, rfc3339, time_of},
};

/// How often, and how long apart, the final record is tried to be stored: it must not be lost to a
/// database that is busy or out of room for a moment.
const ATTEMPTS: usize = 5;
const BETWEEN: Duration = Duration::from_millis(500);

/// How long the files of a task may take to close before that is said, and again when that time has doubled; and
/// how often it is looked at what they wait for.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);

/// What is known at the end.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Final {
    reason: StopReason,
    error: Option<String>,
    counters: Counters,
    verdict: Option<String>,
    files: Vec<FileRecord>,
    /// When, by the clock of its packets, where it had any; of a task that was interrupted, when it last wrote.
    ended_at: Option<Timestamp>,
}

impl Final {
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
        }
    }

    /// Of a task that the last daemon did not end. What it lost, nobody knows.
    pub(super) fn interrupted(leftover: Leftover) -> Self {
        let Leftover {
            files,
            counters,
            written_at,
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
        }
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
            error,
            counters,
            verdict: counters.verdict_at(stop_reason),
            files: files::named(files),
            ended_at: time_of(ended_ns),
        }
    }
}

impl Inner {
    /// Ends a task that is noted as stopping.
    pub(super) fn end(&self, id: &TaskUlid, task: TaskId, reason: StopReason) {
        let ended = match self.engine.get() {
            Some(engine) => {
                engine.halt([task]);
                let last = files::figures(engine, task).unwrap_or_default();
                self.live().note(id, last.clone());
                if let Err(error) = self.store.update(id, &Change::Stopping) {
                    log::error!("task {id} is stopping, and that cannot be noted: {error}");
                }
                self.announce(id);
                match engine.leave(task, reason) {
                    Ok(leaving) => self.closed(id, leaving),
                    Err(error) => Ended::broken(error, last.0, last.1),
                }
            }
            None => {
                let error = Error::runtime("there is no engine");
                Ended::broken(error, Counters::default(), Vec::new())
            }
        };
        let mut last = Final::of(ended);
        self.live().note(id, (last.counters, last.files.clone()));
        last.files.retain_mut(|file| self.digest(id, file));
        if let Err(error) = self.finish(id, last) {
            log::error!("task {id} has ended, and that cannot be noted: {error}");
        }
    }

    /// Waits until the files are closed, and says what that waits for where it takes long.
    fn closed(&self, id: &TaskUlid, mut leaving: Leaving) -> Ended {
        let since = Instant::now();
        let mut patience = PATIENCE;
        while !leaving.closed_within(LOOK) {
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
            self.live().waits_for(id, what);
        }
        leaving.ended()
    }

    /// Adds a file's digest; `false` where there is no file, as one that got no packet is not kept when its
    /// task fails.
    fn digest(&self, id: &TaskUlid, file: &mut FileRecord) -> bool {
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

    /// Stores the end of a task, whatever it was before, and tells everybody.
    pub(super) fn finish(&self, id: &TaskUlid, last: Final) -> Result<()> {
        // By the wall clock, as whoever removes them.
        let now = self.clock.now();
        let kept = self.config().limits.retention;
        let expires_at = now.saturating_add(kept).unwrap_or(now);
        let finished = self.store.task(id).and_then(|stored| {
            let stored = stored.ok_or_else(|| Error::not_found("the task is gone"))?;
            // The wall clock may have been set back since the start.
            let started_at = stored.record.started_at.as_deref();
            let started_at = started_at.and_then(|time| time.parse::<Timestamp>().ok());
            let at = last.ended_at.unwrap_or(now);
            let at = started_at.map_or(at, |started_at| at.max(started_at));
            // Before the state is final: who sees that finds the sidecar.
            let record = TaskRecord {
                state: last.reason.final_state(),
                stop_reason: Some(last.reason),
                error: last.error.clone(),
                ended_at: Some(rfc3339(at)),
                expires_at: Some(rfc3339(expires_at)),
                counters: last.counters,
                verdict: last.verdict.clone(),
                files: last.files.clone(),
                ..stored.record
            };
            if let Err(error) = self.storage.write_sidecars(id, &record) {
                log::warn!("task {id}: its record cannot be written beside its files: {error}");
            }
            self.store_end(
                id,
                &Change::Ended {
                    at,
                    reason: last.reason,
                    error: last.error,
                    counters: last.counters,
                    verdict: last.verdict,
                    files: last.files,
                    expires_at,
                },
            )
            .map_err(Into::into)
        });
        // Before its place is given up: a deletion waits for that, and then there is no record to tell of.
        self.announce(id);
        self.live().ended(id);
        self.wake.notify_one();
        finished
    }

    fn store_end(&self, id: &TaskUlid, change: &Change) -> Result<(), Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.store.update(id, change) {
                Err(error) if tried < ATTEMPTS && error.may_pass() => {
                    log::warn!("task {id}: {error}; trying again");
                    std::thread::sleep(BETWEEN);
                }
                result => return result,
            }
        }
    }
}
