//! Stores ends and removals, keeps in `unstored` those that the database does not take, and tries these again.

use capture_store::{Change, Failure, TaskEnd, TaskId};

use super::{inner::Inner, unstored::LateEnd};

impl Inner {
    /// Stores an end, or keeps it until it can be stored.
    pub(super) fn store_or_keep(&self, id: &TaskId, end: TaskEnd) {
        let mut late = LateEnd::new(end);
        match self.store_end(id, &mut late) {
            Ok(()) => {}
            Err(failure) if failure.may_pass() => {
                log::error!(
                    "task {id} has ended, and that cannot be stored yet: {failure}; it is kept and \
                     tried again"
                );
                let note = serde_json::to_vec(&late.end).unwrap_or_default();
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
            .ok_or_else(|| Failure::Refused(capture_store::Error::not_found("the task is gone")))?
            .record;
        // Before the state is final: who sees that finds the sidecar.
        if !late.has_sidecars {
            let last = late.applied(record.clone());
            match self.storage.write_sidecars(id, &last) {
                Ok(()) => late.has_sidecars = true,
                Err(_) if late.is_said => {}
                Err(error) => {
                    late.is_said = true;
                    log::warn!("task {id}: its record cannot be written beside its files: {error}");
                }
            }
        }
        self.store.update(id, &Change::Ended(late.of(&record)))
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
