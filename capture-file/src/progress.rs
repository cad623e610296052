//! The files of an output as far as they are written. The writer notes each change, and any thread may read: a daemon
//! lists the files of a running task and serves what is in them.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use capture_task::task::FileRecord;

/// The files that exist, in order of writing; the last one is not complete while it is written.
///
/// Sizes are of whole records that can be read from the file.
#[derive(Debug, Default)]
pub struct OutputFiles(Mutex<VecDeque<FileRecord>>);

impl OutputFiles {
    /// A copy of the list. The path of an incomplete file is its name with `.part` appended.
    pub fn now(&self) -> Vec<FileRecord> {
        self.lock().iter().cloned().collect()
    }

    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        self.lock().iter().map(|file| file.size).sum()
    }

    /// Files that an earlier output of the task has written.
    pub(super) fn seed(&self, files: &[FileRecord]) {
        self.lock().extend(files.iter().cloned());
    }

    /// Number of the next file.
    pub(super) fn next_index(&self) -> u64 {
        self.lock().back().map_or(0, |last| last.index + 1)
    }

    /// A file was opened.
    pub(super) fn begin(&self, index: u64, name: &Path) {
        self.lock().push_back(FileRecord {
            index,
            name: name.to_string_lossy().into_owned(),
            size: 0,
            packets: 0,
            complete: false,
            sha256: None,
        });
    }

    /// So much is in the file that is being written.
    pub(super) fn grown(&self, size: u64, packets: u64) {
        if let Some(file) = self.lock().back_mut() {
            file.size = size;
            file.packets = packets;
        }
    }

    /// The file that was being written is closed.
    pub(super) fn closed(&self, record: FileRecord) {
        if let Some(file) = self.lock().back_mut() {
            *file = record;
        }
    }

    /// The file that was being written is not reported.
    pub(super) fn abandoned(&self) {
        self.lock().pop_back();
    }

    /// A file left the ring of a rotation. Returns its size.
    pub(super) fn evicted(&self, path: &Path) -> u64 {
        let name = path.to_string_lossy();
        let mut files = self.lock();
        // It is the oldest, so the search ends at once.
        let index = files.iter().position(|file| file.name == name);
        let file = index.and_then(|index| files.remove(index));
        file.map_or(0, |file| file.size)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<FileRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
