//! Takes over the last daemon's tasks at a start: stores ends and removals that were not stored, recovers
//! unfinished captures, lets waiting tasks wait on.

use capture_store::{StoredTask, access::Actor};
use capture_task::task::{State, StopReason};

use super::{inner::Inner, outcome::TaskOutcome, task_table::TaskTable};
use crate::error::Result;

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
        for task in self.store.unfinished()? {
            if self.unstored().has(&task.id) {
                continue;
            }
            let mut leftover = self.storage.recover(&task.id);
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
                    log::warn!(
                        "task {} {name:?} was running when the last daemon ended; {} packets of it are there",
                        task.id,
                        leftover.counters.captured
                    );
                    TaskOutcome::interrupted(leftover)
                }
            };
            self.finish(&task.id, last);
        }
        let mut pending = self.store.pending()?;
        pending.retain(|task| !self.unstored().has(&task.id));
        *self.table() = TaskTable::of(pending);
        Ok(())
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
