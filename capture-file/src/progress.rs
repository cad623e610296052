//! The files of an output as far as write(2) has taken them. The writer notes every change, and any
//! thread may look: a daemon shows the files of a running task and sends what is in them.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use capture_task::task::FileRecord;

/// The files that exist, in order of writing; the last one is not complete while it is written.
///
/// A size is always that of whole records, and what it counts can be read from the file.
#[derive(Debug, Default)]
pub struct OutputFiles(Mutex<Vec<FileRecord>>);

impl OutputFiles {
    /// The files as they are now. One that is not complete lies at its name with `.part` behind it.
    pub fn now(&self) -> Vec<FileRecord> {
        self.lock().clone()
    }

    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        self.lock().iter().map(|file| file.size).sum()
    }

    /// A file was opened.
    pub(super) fn begin(&self, index: u64, name: &Path) {
        self.lock().push(FileRecord {
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
        if let Some(file) = self.lock().last_mut() {
            file.size = size;
            file.packets = packets;
        }
    }

    /// The file that was being written is closed.
    pub(super) fn closed(&self, record: FileRecord) {
        if let Some(file) = self.lock().last_mut() {
            *file = record;
        }
    }

    /// The file that was being written is not reported.
    pub(super) fn abandoned(&self) {
        self.lock().pop();
    }

    /// A file left the ring of a rotation. Gives its size.
    pub(super) fn evicted(&self, path: &Path) -> u64 {
        let name = path.to_string_lossy();
        let mut files = self.lock();
        match files.iter().position(|file| file.name == name) {
            Some(index) => files.remove(index).size,
            None => 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FileRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
