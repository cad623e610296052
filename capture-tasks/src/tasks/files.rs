//! Opens the files of a task for readers, also while they are written.

use std::{fs::File, io};

use capture_store::{
    TaskId,
    access::{Actor, Right},
};
use capture_task::{Cause, download_stem, download_suffix, task::FileRecord};

use super::{engine::figures_of, error::TaskError, inner::Inner};
use crate::error::{Error, Result};

/// A file of a task, opened.
#[derive(Debug)]
pub struct OpenFile {
    /// The file, open for reading.
    pub file: File,
    /// Bytes of it that are whole packets; more may follow while the task runs.
    pub len: u64,
    /// The name under which it is saved.
    pub task_name: String,
    /// What follows the name where the file is saved: `.pcapng`, `_00001.pcapng`.
    pub suffix: String,
    /// SHA-256 in hexadecimal, once the file does not change any more.
    pub sha256: Option<String>,
}

impl Inner {
    pub(super) fn open_file(
        &self,
        id: &TaskId,
        index: u64,
        actor: &Actor,
    ) -> Result<OpenFile, TaskError> {
        if !actor.may(Right::Download) {
            return Err(TaskError::Forbidden);
        }
        let stored = self.stored(id)?;
        if stored.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        let has_ended = stored.record.stop_reason.is_some();
        let files = self.files_now(id);
        let files = files.unwrap_or_else(|| stored.record.files.clone());
        let record = files.into_iter().find(|file| file.index == index);
        let record = record.ok_or(TaskError::NotFound)?;
        let file = self
            .storage
            .open_file(id, &record)
            .map_err(|error| match error.kind() {
                // Of one that has ended nothing leaves by itself.
                io::ErrorKind::NotFound if has_ended => {
                    TaskError::FilesMissing(self.storage.missing(id))
                }
                // It has just left the ring of a rotation.
                io::ErrorKind::NotFound => TaskError::NotFound,
                _ => TaskError::Broken(Error::runtime(format!(
                    "cannot open {} of task {id}: {}",
                    record.name,
                    Cause(&error)
                ))),
            })?;
        Ok(OpenFile {
            file,
            len: record.size,
            task_name: download_stem(&stored.record),
            suffix: download_suffix(&stored.record, &record),
            sha256: record.sha256,
        })
    }

    /// Says once how many tasks should have files here and have none.
    pub(super) fn note_missing_files(&self) -> Result<()> {
        let mut kept = self.store.kept()?;
        kept.retain(|task| task.has_files);
        let mut missing = kept.iter().filter(|task| !self.storage.has(&task.id));
        if let Some(first) = missing.next() {
            let (count, all) = (1 + missing.count(), kept.len());
            let why = self.storage.missing(&first.id);
            log::warn!(
                "{count} of {all} tasks with files have none; of task {} {why}",
                first.id
            );
        }
        Ok(())
    }

    /// The files of a task that has not ended, as they are now and not a moment ago.
    pub(super) fn files_now(&self, id: &TaskId) -> Option<Vec<FileRecord>> {
        let known = self.table().of_engine(id);
        let (task, last) = known?;
        let engine = self.engine.get()?;
        let now = figures_of(engine, task).or(last);
        now.map(|(_, files)| files)
    }
}

/// What follows the stem that all our files have.
pub(super) fn suffix(name: &str) -> &str {
    let name = name.strip_suffix(".part").unwrap_or(name);
    name.strip_prefix(crate::storage::STEM).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_tell_the_files_of_a_task_apart() {
        assert_eq!(suffix("capture.pcapng"), ".pcapng");
        assert_eq!(suffix("capture_00012.pcap"), "_00012.pcap");
        assert_eq!(suffix("capture_interrupted.pcapng"), "_interrupted.pcapng");
        assert_eq!(suffix("capture.pcapng.part"), ".pcapng");
    }
}
