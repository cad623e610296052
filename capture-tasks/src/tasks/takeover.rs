//! Takes over the last daemon's tasks at a start: stores ends and removals that were not stored, recovers
//! unfinished captures, lets waiting tasks wait on.

use capture_store::{Change, StoredTask, access::Actor};
use capture_task::{
    interruption::InterruptionCause,
    task::{State, StopReason},
};
use jiff::Timestamp;
use log::Level;

use super::{inner::Inner, outcome::TaskOutcome, resume, task_table::TaskTable};
use crate::{error::Result, storage::Leftover};

impl Inner {
    /// Takes over the tasks of the store. Called once, before anything runs.
    pub(super) fn take_over(&self) -> Result<()> {
        for id in self.storage.committed_removals()? {
            // Whoever asked for it is not known any more.
            let actor = Actor::daemon();
            match self.store.task(&id)? {
                Some(_) => match self.store_removal(&id, &actor) {
                    Ok(_) => log::info!("the removal of task {id} is finished"),
                    Err(failure) => self.keep_removal(&id, &actor, &failure),
                },
                None => self.storage.forget_removal(&id),
            }
        }
        for (id, note) in self.storage.noted_ends()? {
            let last = match self.store.task(&id)? {
                Some(stored) => end_of(&stored, &note),
                None => None,
            };
            if let Some(last) = last {
                log::info!("task {id} had ended, and that could not be stored");
                self.finish(&id, last);
            }
            if !self.unstored().has(&id) {
                self.storage.forget_end(&id);
            }
        }
        let now = self.clock.now();
        let mut interrupted = Vec::new();
        for mut task in self.store.unfinished()? {
            if self.unstored().has(&task.id) {
                continue;
            }
            let known = &task.record;
            let mut leftover = self.storage.recover(&task.id, &known.files);
            leftover.counters = known.counters + leftover.counters;
            let name = &task.record.name;
            let last = match TaskOutcome::beside_files(&mut leftover) {
                Some(last) => {
                    log::info!(
                        "task {} {name:?} had ended, as the record beside its files says",
                        task.id
                    );
                    last
                }
                None => {
                    // An orderly end has said so itself.
                    let level = match task.record.open_interruption() {
                        Some(_) => Level::Debug,
                        None => Level::Warn,
                    };
                    log::log!(
                        level,
                        "task {} {name:?} was running when the last daemon ended; {} packets of it are there",
                        task.id,
                        leftover.counters.captured
                    );
                    let is_running = task.record.state == State::Running;
                    match is_running && self.can_go_on(&mut task, &leftover, now) {
                        true => {
                            interrupted.push(task);
                            continue;
                        }
                        false => TaskOutcome::interrupted(leftover).cut_short(&task.record),
                    }
                }
            };
            self.finish(&task.id, last);
        }
        let mut pending = self.store.pending()?;
        pending.retain(|task| !self.unstored().has(&task.id));
        *self.table() = TaskTable::of(interrupted, pending, now);
        Ok(())
    }

    /// Stores what is known of a task that was running, and says whether it can go on.
    fn can_go_on(&self, task: &mut StoredTask, leftover: &Leftover, now: Timestamp) -> bool {
        let outcome = TaskOutcome::interrupted(leftover.clone());
        let mut pause = outcome.pause(InterruptionCause::Interrupted, now);
        // The clock of files is coarser than that of the start.
        let started = task.record.started_at.as_deref();
        if let Some(started) = started.and_then(|time| time.parse().ok()) {
            pause.at = pause.at.max(started);
        }
        let stored = self.store.update(&task.id, &Change::Interrupted(pause));
        let stored = stored
            .map_err(|failure| failure.to_string())
            .and_then(|()| {
                let stored = self
                    .store
                    .task(&task.id)
                    .map_err(|error| error.to_string())?;
                stored.ok_or_else(|| "it is gone".to_owned())
            });
        match stored {
            Ok(stored) => *task = stored,
            Err(why) => {
                log::error!("task {} cannot be taken up again: {why}", task.id);
                return false;
            }
        }
        let plan = self.plan(&task.record.spec);
        let rest = plan.map(|plan| resume::rest_of(plan, &task.record, now));
        task.unread.is_none() && matches!(rest, Ok(Some(_)))
    }
}

/// The end of a task of which there is a note; none where it is stored already, or where its files tell more.
fn end_of(stored: &StoredTask, note: &[u8]) -> Option<TaskOutcome> {
    match stored.record.state {
        State::Completed | State::Failed => None,
        State::Running | State::Stopping => TaskOutcome::noted(note),
        State::Pending => Some(TaskOutcome::noted(note).unwrap_or_else(|| {
            TaskOutcome::before_start(
                StopReason::Error,
                Some(
                    "the task had ended when the database could not be written, and why is not known"
                        .to_owned(),
                ),
            )
        })),
    }
}
