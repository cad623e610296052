//! Ends a task, on request or by itself: stop matching, finish and hash its files, write sidecars, store the final
//! record, or keep it in `unstored`.

use std::{
    io,
    time::{Duration, Instant},
};

use capture_engine::{ClosingTask, Ended, TaskHandle};
use capture_store::{
    Change, TaskId,
    access::{Actor, Right},
};
use capture_task::task::{Counters, FileRecord, StopReason, TaskRecord};

use super::{
    engine::figures_of, error::TaskError, inner::Inner, outcome::TaskOutcome,
    retention::ClockReading, task_log,
};

/// How long the files of a task may take to close before that is said, and again when that time has doubled; and
/// how often it is looked at what they wait for.
const CLOSE_NOTICE_AFTER: Duration = Duration::from_secs(5);
const CLOSE_POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Inner {
    /// Gives the task, and whether this has changed anything: it may be ending already, or have ended.
    pub(super) fn stop(&self, id: &TaskId, actor: &Actor) -> Result<(TaskRecord, bool), TaskError> {
        if !actor.may(Right::Stop) {
            return Err(TaskError::Forbidden);
        }
        let stored = self.stored(id)?;
        let waited = self.table().take_waiting(id);
        let mut is_done = true;
        if waited.is_some() {
            self.finish(id, self.off_engine(id, StopReason::User, None));
        } else {
            let mut table = self.table();
            is_done = table.stop_of(id).is_none();
            if table.end(id, StopReason::User).is_none() {
                return Ok((stored.record, false));
            }
            drop(table);
            self.wake.notify_one();
        }
        Ok((self.shown(self.stored(id)?), is_done))
    }

    /// Ends a task that is noted as stopping.
    pub(super) fn end(&self, id: &TaskId, task: TaskHandle, reason: StopReason) {
        let earlier = self.table().earlier(id);
        // One that the end of the daemon interrupts still runs, as far as the store knows.
        let is_interrupted = reason == StopReason::Shutdown;
        let ended = match self.engine.get() {
            Some(engine) => {
                engine.halt([task]);
                let last = figures_of(engine, task).unwrap_or_default();
                self.table().note(id, (last.0 + earlier, last.1.clone()));
                if !is_interrupted && let Err(failure) = self.store.update(id, &Change::Stopping) {
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
        last.counters = last.counters + earlier;
        self.table().note(id, (last.counters, last.files.clone()));
        last.files.retain_mut(|file| self.add_digest(id, file));
        match is_interrupted && last.reason == StopReason::Shutdown {
            true => self.interrupt(id, last),
            false => self.finish(id, last),
        }
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
    fn add_digest(&self, id: &TaskId, file: &mut FileRecord) -> bool {
        if file.sha256.is_some() {
            return true;
        }
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
        // What an earlier daemon has ended keeps its files for what is left of the time that was said then.
        if last.expires_at.is_none() {
            let reading = ClockReading::of(&*self.clock);
            self.retention().ended(*id, reading, kept);
        }
        let expires_at = now.saturating_add(kept).unwrap_or(now);
        self.tally.ended(last.reason);
        let has_files = !last.files.is_empty();
        self.store_or_keep(id, last.end(now, expires_at));
        // Before its place is given up: a deletion waits for that, and then there is no record to tell of.
        if let Some(record) = self.announce(id) {
            task_log::ended(&record);
        }
        self.table().ended(id);
        self.analyze_ended(id, has_files);
        self.wake.notify_one();
    }
}
