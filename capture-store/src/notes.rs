//! Notes about packets of a task: marks and comments. They lie beside the captured files, which stay as they are, and go
//! with the task.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    audit,
    audit_event::{Action, AuditEvent},
    database::{Need, Store},
    failure::{Abort, Failure},
    tasks::TaskId,
    values::{millis, time, whole},
};
use crate::{access::Actor, error::Result};

/// Most bytes of a comment.
pub const MAX_COMMENT_BYTES: usize = 4096;

/// Most notes of a task.
pub const MAX_NOTES: u64 = 10_000;

/// A note about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The packet's number, from 1 over all files of the task.
    pub number: u64,
    /// Whether it is marked.
    pub marked: bool,
    /// What somebody says about it, at most [`MAX_COMMENT_BYTES`].
    pub comment: Option<String>,
    /// Who wrote it last: `uid 1000`, `token NAME ID`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What came of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is kept.
    Kept(Note),
    /// It says nothing, and so an earlier one is gone.
    Removed,
    /// The task has [`MAX_NOTES`] of them.
    TooMany,
    /// There is no such task.
    NoTask,
}

impl Store {
    /// Keeps a note about a packet, in the place of an earlier one. One without a mark and a comment takes that away.
    /// It is one line in the audit log, without the comment.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn put_note(
        &self,
        task: &TaskId,
        number: u64,
        marked: bool,
        comment: Option<&str>,
        actor: &Actor,
    ) -> Result<Noted, Failure> {
        let comment = comment.filter(|comment| !comment.is_empty());
        let object = format!("{task} packet {number}");
        let event = AuditEvent::done(Action::NoteWrite, &object);
        let has_line = self.admits(&actor.caller, event);
        self.write(Need::CanWait, |transaction, now| {
            let Some(row) = row(transaction, task)? else {
                return Ok(Noted::NoTask);
            };
            let noted = match marked || comment.is_some() {
                true => keep(
                    transaction,
                    row,
                    &Note {
                        number,
                        marked,
                        comment: comment.map(str::to_owned),
                        by: actor.caller.who.to_string(),
                        at: now,
                    },
                )?,
                false => {
                    transaction
                        .prepare_cached("DELETE FROM notes WHERE task = ? AND number = ?")?
                        .execute([row, whole(number)])?;
                    Noted::Removed
                }
            };
            if has_line && noted != Noted::TooMany {
                audit::append(transaction, now, &actor.caller, event)?;
            }
            Ok(noted)
        })
    }

    /// The notes of a task, by packet.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn notes(&self, task: &TaskId) -> Result<Vec<Note>> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT number, marked, comment, who, at FROM notes \
                 WHERE task = (SELECT seq FROM tasks WHERE id = ?) ORDER BY number",
            )?;
            let rows = statement.query_map([task.to_string()], |row| {
                Ok(Note {
                    number: row.get::<_, i64>(0)?.unsigned_abs(),
                    marked: row.get(1)?,
                    comment: row.get(2)?,
                    by: row.get(3)?,
                    at: time(row.get(4)?)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn row(transaction: &Transaction<'_>, task: &TaskId) -> Result<Option<i64>, Abort> {
    let found = transaction
        .prepare_cached("SELECT seq FROM tasks WHERE id = ?")?
        .query_row([task.to_string()], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn keep(transaction: &Transaction<'_>, row: i64, note: &Note) -> Result<Noted, Abort> {
    let others: i64 = transaction
        .prepare_cached("SELECT count(*) FROM notes WHERE task = ? AND number <> ?")?
        .query_row([row, whole(note.number)], |row| row.get(0))?;
    if others.unsigned_abs() >= MAX_NOTES {
        return Ok(Noted::TooMany);
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![
            row,
            whole(note.number),
            note.marked,
            note.comment,
            note.by,
            millis(note.at),
        ])?;
    // As it will be read.
    let at = time(millis(note.at))?;
    let kept = Note { at, ..note.clone() };
    Ok(Noted::Kept(kept))
}
