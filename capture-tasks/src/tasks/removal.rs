//! Removes a task: hide its files, delete its record, delete the files. If the database is full, the files go first
//! to make room, and the record follows.

use capture_store::{
    Deletion, Failure, StoredTask, TaskId,
    access::{Account, Actor, Right},
};
use capture_task::task::State;

use super::{error::TaskError, inner::Inner, task_log};
use crate::error::Error;

impl Inner {
    pub(super) fn may_delete(
        &self,
        id: &TaskId,
        force: bool,
        actor: &Actor,
    ) -> Result<(), TaskError> {
        let StoredTask {
            account, record, ..
        } = self.stored_for(id, actor)?;
        if !actor.may_delete(&account) {
            return Err(TaskError::Forbidden);
        }
        // One whose end is in the record already has only its place in memory to give up.
        let runs = matches!(record.state, State::Running | State::Stopping);
        let goes_on = {
            let table = self.table();
            table.is_active(id) || table.is_interrupted(id)
        };
        if runs && goes_on && !force {
            return Err(TaskError::Unfinished(record.state));
        }
        Ok(())
    }

    /// A task for somebody who may delete something at all; others do not learn whether it is there.
    fn stored_for(&self, id: &TaskId, actor: &Actor) -> Result<StoredTask, TaskError> {
        if actor.may(Right::DeleteOwn) {
            self.stored(id)
        } else {
            Err(TaskError::Forbidden)
        }
    }

    pub(super) fn delete(&self, id: &TaskId, actor: &Actor) -> Result<(), TaskError> {
        let waiting = self.table().take_waiting(id);
        let stored = self.stored(id).ok();
        let account = stored.as_ref().map(|stored| stored.account.clone());
        let name = stored.map(|stored| stored.record.name);
        let deleted = self.storage.hide(id).map_err(TaskError::from);
        let deleted = deleted.and_then(|()| {
            let has_ended = self.unstored().has(id);
            let deletion = match has_ended {
                true => self.store.delete_ended(id, actor),
                false => self.store.delete(id, actor),
            };
            let deletion = match deletion {
                Err(Failure::NoSpace(error)) => self.delete_files_first(id, actor, error.into())?,
                deletion => deletion?,
            };
            match deletion {
                Deletion::Deleted => Ok(()),
                Deletion::NotFound => Err(TaskError::NotFound),
                Deletion::Unfinished => Err(TaskError::Unfinished(State::Running)),
            }
        });
        match deleted {
            Ok(()) => {
                self.retention().gone(id);
                self.analyses.forget(id);
                self.views.forget(id);
                let account = account.as_ref().map(Account::as_str);
                self.events.deleted(&id.to_string(), account);
                task_log::deleted(id, &name.unwrap_or_default(), actor);
                // The task is gone, whatever becomes of its files: the next start finds them.
                if let Err(error) = self.storage.purge(id) {
                    log::error!("{error}");
                }
                // Unless its record is on its way.
                if self.store.task(id).is_ok_and(|stored| stored.is_none()) {
                    self.forget(id);
                }
                self.store.replenish();
                Ok(())
            }
            Err(TaskError::NotFound) => {
                self.storage.purge(id)?;
                Err(TaskError::NotFound)
            }
            Err(error) => {
                if let Err(error) = self.storage.restore(id) {
                    log::error!(
                        "the files of task {id} are put aside and cannot be put back: {error}"
                    );
                }
                if let Some(waiting) = waiting {
                    self.table().put_back(waiting);
                }
                Err(error)
            }
        }
    }

    /// Makes the room for a deletion that finds none by removing the files first. Where its record stays all
    /// the same, that is on its way: the files are gone for good.
    pub(super) fn delete_files_first(
        &self,
        id: &TaskId,
        actor: &Actor,
        no_space: Error,
    ) -> Result<Deletion, TaskError> {
        let state = self.stored(id)?.record.state;
        if matches!(state, State::Running | State::Stopping) {
            return Err(TaskError::Unfinished(state));
        }
        if !self.storage.commit_removal(id)? {
            return Err(TaskError::NoSpace(no_space));
        }
        let removed = self.store_removal(id, actor);
        removed.or_else(|failure| {
            self.keep_removal(id, actor, &failure);
            Ok(Deletion::Deleted)
        })
    }

    /// Keeps a removal whose files are gone until its record is too.
    pub(super) fn keep_removal(&self, id: &TaskId, actor: &Actor, failure: &Failure) {
        log::error!(
            "the files of task {id} are removed, and its record cannot be yet: {failure}; it is tried again"
        );
        self.unstored().keep_removal(*id, actor.clone());
    }

    /// Removes the record of a task whose files are gone.
    pub(super) fn store_removal(&self, id: &TaskId, actor: &Actor) -> Result<Deletion, Failure> {
        let deletion = self.store.delete_ended(id, actor)?;
        self.storage.forget_removal(id);
        self.forget(id);
        Ok(deletion)
    }
}
