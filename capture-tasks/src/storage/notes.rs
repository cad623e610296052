//! Notes in the root of the captures, for the next start, about what the database could not take:
//!
//! - `.ended-ID`, a file: the end of a task, as JSON. A full disk may leave it empty or truncated; then it is known
//!   that the task ended, and not how.
//! - `.deleted-ID`, a directory: the task is being removed; its files are gone, or about to be.

use std::{fs, io, path::PathBuf};

use capture_store::TaskId;
use capture_task::Cause;

use super::{Storage, id_of, remove_error, size_below, sync_directory, write_new};
use crate::error::{Error, Result};

/// Before the ID of a task whose end is not stored.
const ENDED_PREFIX: &str = ".ended-";

/// Before the name of a directory whose task is to go too.
const DELETED_PREFIX: &str = ".deleted-";

impl Storage {
    /// Where the end of a task is noted.
    pub fn ended_note(&self, id: &TaskId) -> PathBuf {
        self.root.join(format!("{ENDED_PREFIX}{id}"))
    }

    /// Notes the end of a task. Where there is no room the note may be empty, or cut.
    pub fn note_end(&self, id: &TaskId, note: &[u8]) -> io::Result<()> {
        let path = self.ended_note(id);
        // A whole one must not be lost to a disk that is full now.
        if fs::read(&path).is_ok_and(|there| there == note) {
            return Ok(());
        }
        let size = || fs::metadata(&path).map_or(0, |there| there.len());
        self.space.give_back(size());
        let written = write_new(&path, note);
        self.space.add(size());
        written?;
        sync_directory(&path)
    }

    /// Removes the note on an end that is stored.
    pub fn forget_end(&self, id: &TaskId) {
        let path = self.ended_note(id);
        let size = fs::metadata(&path).map_or(0, |there| there.len());
        match fs::remove_file(&path) {
            Ok(()) => self.space.give_back(size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("{}", remove_error(&path, &error)),
        }
    }

    /// The notes that are there.
    pub fn noted_ends(&self) -> Result<Vec<(TaskId, Vec<u8>)>> {
        let ids = self.ids_behind(ENDED_PREFIX)?.into_iter();
        let notes = ids.map(|id| {
            let path = self.ended_note(&id);
            let note = fs::read(&path).unwrap_or_else(|error| {
                log::warn!("{}: {error}", path.display());
                Vec::new()
            });
            (id, note)
        });
        Ok(notes.collect())
    }

    /// Commits the removal that [`Storage::hide`] has begun, and removes the files: a start removes what is
    /// left of the task, its record included. `false` where there is nothing to remove.
    pub fn commit_removal(&self, id: &TaskId) -> Result<bool> {
        let (hidden, committed) = (self.hidden(id), self.committed(id));
        match fs::rename(&hidden, &committed) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(remove_error(&hidden, &error)),
        }
        // From here on it is a removal, whatever is left: the next step, or a start, tries again.
        if let Err(error) = sync_directory(&committed).and_then(|()| self.empty(id)) {
            log::error!("{}", remove_error(&committed, &error));
        }
        Ok(true)
    }

    /// Removes the files of a committed removal; the directory stays as its note.
    fn empty(&self, id: &TaskId) -> io::Result<()> {
        let directory = self.committed(id);
        let size = size_below(&directory)?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        self.space.give_back(size);
        Ok(())
    }

    /// The removals that were committed and did not come to their end; their files are gone now.
    pub fn committed_removals(&self) -> Result<Vec<TaskId>> {
        let ids = self.ids_behind(DELETED_PREFIX)?;
        for id in &ids {
            if let Err(error) = self.empty(id) {
                log::warn!("{}", remove_error(&self.committed(id), &error));
            }
        }
        Ok(ids)
    }

    /// Removes what is left of a removal whose record is gone.
    pub fn forget_removal(&self, id: &TaskId) {
        let path = self.committed(id);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{}", remove_error(&path, &error));
            }
            _ => {}
        }
    }

    fn committed(&self, id: &TaskId) -> PathBuf {
        self.root.join(format!("{DELETED_PREFIX}{id}"))
    }

    fn ids_behind(&self, prefix: &str) -> Result<Vec<TaskId>> {
        let entries = || -> io::Result<Vec<TaskId>> {
            let mut ids = Vec::new();
            for entry in fs::read_dir(&self.root)? {
                let name = entry?.file_name();
                let name = name.to_str().and_then(|name| name.strip_prefix(prefix));
                ids.extend(name.and_then(id_of));
            }
            ids.sort_unstable();
            Ok(ids)
        };
        entries().map_err(|error| {
            Error::runtime(format!(
                "the directory of captures {}: {}",
                self.root.display(),
                Cause(&error)
            ))
        })
    }
}
