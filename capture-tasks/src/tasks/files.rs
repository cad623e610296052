//! Opens the files of a task for readers, also while they are written.

use std::{fs::File, io};

use capture_store::{
    TaskId,
    access::{Actor, Right},
};
use capture_task::{Cause, download_stem, download_suffix, task::FileRecord};

use super::{engine::figures_of, error::TaskError, inner::Inner};
use crate::error::Error;

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
        let files = self.files_now(id);
        let files = files.unwrap_or_else(|| stored.record.files.clone());
        let record = files.into_iter().find(|file| file.index == index);
        let record = record.ok_or(TaskError::NotFound)?;
        let file = self
            .storage
            .open_file(id, &record)
            .map_err(|error| match error.kind() {
                // It has just left the ring of a rotation, or was removed.
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
