//! The removal of a task where the database has no room for it: the files go first, which makes some, and the
//! record follows as soon as it can.

use capture_task::task::State;

use super::{Inner, TaskError};
use crate::{
    access::Actor,
    error::Error,
    store::{Deletion, Failure, TaskId},
};

impl Inner {
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
        if !self.storage.decide(id)? {
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
