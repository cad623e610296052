//! What people note about packets: kept by the store, and told to who shows the packets.

use capture_inspector::view::ViewNote;
use capture_store::{
    Action, MAX_NOTES, Note, Noted, TaskId,
    access::{Actor, Right},
};

use super::{error::TaskError, inner::Inner};

impl Inner {
    /// Keeps a note about a packet; gives nothing where it says nothing, and so is none.
    pub(super) fn put_note(
        &self,
        id: &TaskId,
        number: u64,
        marked: bool,
        comment: Option<&str>,
        actor: &Actor,
    ) -> Result<Option<Note>, TaskError> {
        self.may_note(id, actor, Action::NoteWrite)?;
        let record = self.shown(self.stored(id)?);
        // In a ring the first file goes, and the next one's packets get other numbers.
        let is_ring = record
            .spec
            .rotate
            .as_ref()
            .is_some_and(|rotate| rotate.files.is_some());
        if is_ring && !record.state.is_final() {
            return Err(TaskError::NotShown {
                code: "unfinished",
                detail: "packets of a ring get other numbers while the task runs; note them when it has ended".to_owned(),
            });
        }
        // The figures of a task that runs are a little older than its file.
        let packets: u64 = record.files.iter().map(|file| file.packets).sum();
        if number == 0 || (record.state.is_final() && number > packets) {
            return Err(TaskError::NotFound);
        }
        let noted = self.store.put_note(id, number, marked, comment, actor)?;
        let note = match noted {
            Noted::Kept(note) => Some(note),
            Noted::Removed => None,
            Noted::NoTask => return Err(TaskError::NotFound),
            Noted::TooMany => return Err(TaskError::TooManyNotes(MAX_NOTES)),
        };
        self.views.noted(
            id,
            ViewNote {
                number,
                marked,
                comment: note.as_ref().and_then(|note| note.comment.clone()),
            },
        );
        Ok(note)
    }

    /// The notes of a task.
    pub(super) fn notes(&self, id: &TaskId, actor: &Actor) -> Result<Vec<Note>, TaskError> {
        self.may_note(id, actor, Action::Access)?;
        self.stored(id)?;
        Ok(self.store.notes(id)?)
    }

    fn may_note(&self, id: &TaskId, actor: &Actor, action: Action) -> Result<(), TaskError> {
        if actor.may(Right::Inspect) {
            return Ok(());
        }
        let refused = TaskError::Forbidden;
        self.audit(actor, action, &id.to_string(), Some(&refused))?;
        Err(refused)
    }

    /// The notes of a task as who shows its packets takes them.
    pub(super) fn view_notes(&self, id: &TaskId) -> Result<Vec<ViewNote>, TaskError> {
        let notes = self.store.notes(id)?.into_iter();
        let notes = notes.map(|note| ViewNote {
            number: note.number,
            marked: note.marked,
            comment: note.comment,
        });
        Ok(notes.collect())
    }
}
