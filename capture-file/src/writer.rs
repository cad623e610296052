//! The writer thread of an output: writes the buffers of the queue to files and returns them for reuse. It counts
//! packets as captured once write(2) has taken them, and as dropped after a failure.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
};

use capture_task::{plan::Format, task::FileRecord};

use super::{
    channel::{BUFFER_LEN, Chunk, WriterState},
    counters::count,
    encode::count_whole_records,
    error::{Action, Error, Result},
    file::OutFile,
};

/// The thread's state.
pub(super) struct Writer {
    format: Format,
    state: Arc<WriterState>,
    file: Option<OutFile>,
    next_index: u64,
    /// Targets of the file names that are symbolic links.
    links: HashMap<PathBuf, PathBuf>,
}

impl Writer {
    pub(super) fn new(format: Format, state: Arc<WriterState>, first: OutFile) -> Self {
        let next_index = state.counters.files.next_index();
        state.counters.files.begin(next_index, first.name());
        let links = link_of(&first).into_iter().collect();
        Self {
            format,
            state,
            file: Some(first),
            next_index,
            links,
        }
    }

    /// Runs until the channel is closed, and returns the files that exist.
    pub(super) fn run(
        mut self,
        chunks: &Receiver<Chunk>,
        returned: &SyncSender<Vec<u8>>,
    ) -> Vec<FileRecord> {
        for chunk in chunks {
            if self.state.has_failed() {
                count(&self.state.counters.dropped_write, chunk.packets);
            } else if let Err(fault) = self.chunk(&chunk) {
                self.state.fail(fault);
                // The file keeps the records that were written, under its final name and without statistics.
                self.close(false);
            }
            let mut buffer = chunk.data;
            buffer.clear();
            buffer.shrink_to(2 * BUFFER_LEN);
            // It has room for every buffer; at the end the receiver may be gone.
            let _ = returned.try_send(buffer);
        }
        if let Some(file) = self.file.take() {
            self.abandon(file);
        }
        self.state.counters.files.now()
    }

    /// Lets go of an unfinished file, which is not reported.
    fn abandon(&self, file: OutFile) {
        if file.packets() == 0 {
            self.state.give_space_back(file.size());
        }
        file.abandon();
        self.state.counters.files.abandoned();
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        let counters = &self.state.counters;
        if let Some(next) = &chunk.open {
            for path in &next.evicted {
                evict(&self.state, path, self.links.remove(path));
            }
        }
        if let Err(fault) = self.state.take_space(chunk.data.len()) {
            count(&counters.dropped_write, chunk.packets);
            return Err(fault);
        }
        if let Some(next) = &chunk.open {
            let operation = self.state.begin_operation(Action::Open, &next.name);
            let opened = OutFile::open_rotated(&next.name);
            drop(operation);
            match opened {
                Ok(file) => {
                    counters.files.begin(self.next_index, file.name());
                    self.links.extend(link_of(&file));
                    self.file = Some(file);
                }
                Err(fault) => {
                    count(&counters.dropped_write, chunk.packets);
                    return Err(fault);
                }
            }
        }
        let Some(file) = &mut self.file else {
            count(&counters.dropped_write, chunk.packets);
            return Err(Error::NoFileOpen);
        };
        let at_start = file.size() == 0;
        let operation = self.state.begin_operation(Action::Write, file.name());
        let result = file.write(&chunk.data, chunk.packets, &self.state);
        drop(operation);
        match result {
            Ok(()) => {
                count(&counters.captured, chunk.packets);
                count(&counters.bytes, chunk.bytes);
                counters.files.grown(file.size(), file.packets());
            }
            Err((written, error)) => {
                let whole = count_whole_records(self.format, &chunk.data[..written], at_start);
                count(&counters.captured, whole.packets);
                count(&counters.bytes, whole.bytes);
                count(&counters.dropped_write, chunk.packets - whole.packets);
                if let Err(error) = file.cut_back(written, whole) {
                    log::warn!(
                        "cannot cut {} back to its last whole packet: {error}",
                        file.name().display()
                    );
                }
                let lost = chunk.data.len() - whole.len;
                self.state.give_space_back(lost as u64);
                return Err(Error::io(Action::Write, file.name(), error));
            }
        }
        if chunk.close {
            self.close(true);
        }
        Ok(())
    }

    fn close(&mut self, complete: bool) {
        let Some(file) = self.file.take() else { return };
        if !complete && file.is_discardable() {
            return self.abandon(file);
        }
        let (record, fault) = file.close(self.next_index, complete, &self.state);
        self.next_index += 1;
        self.state.counters.files.closed(record);
        if let Some(fault) = fault {
            self.state.fail(fault);
        }
    }
}

/// Removes a file that leaves the ring; if it is a link, the file that it links to, as that takes the room.
pub(super) fn evict(state: &WriterState, path: &Path, link_target: Option<PathBuf>) {
    let file = link_target.as_deref().unwrap_or(path);
    if let Err(error) = fs::remove_file(file) {
        log::warn!("cannot remove {} from the ring: {error}", file.display());
    }
    state.give_space_back(state.counters.files.evicted(path));
}

/// The name of a file and the path that it links to, if it is a link.
fn link_of(file: &OutFile) -> Option<(PathBuf, PathBuf)> {
    Some((file.name().to_owned(), file.link_target()?.to_owned()))
}
