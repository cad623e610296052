//! The writer thread of an output: takes buffers of whole records off the queue, puts them into files,
//! and gives the buffers back. It counts what write(2) has taken, and after a failure what it has not.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
};

use capture_task::{plan::Format, task::FileRecord};

use super::{
    channel::{BUFFER_LEN, Chunk, WriterState},
    counters::count,
    encode::walk,
    error::{Action, Error, Result},
    file::OutFile,
};

/// The thread's state.
pub(super) struct Writer {
    format: Format,
    shared: Arc<WriterState>,
    file: Option<OutFile>,
    next_index: u64,
    /// What the names of files led to that are symbolic links.
    links: HashMap<PathBuf, PathBuf>,
}

impl Writer {
    pub(super) fn new(format: Format, shared: Arc<WriterState>, first: OutFile) -> Self {
        shared.counters.files.begin(0, first.name());
        let links = link_of(&first).into_iter().collect();
        Self {
            format,
            shared,
            file: Some(first),
            next_index: 0,
            links,
        }
    }

    /// Runs until the queue's other end is dropped, and returns the files that exist.
    pub(super) fn run(
        mut self,
        chunks: &Receiver<Chunk>,
        returned: &SyncSender<Vec<u8>>,
    ) -> Vec<FileRecord> {
        for chunk in chunks {
            if self.shared.has_failed() {
                count(&self.shared.counters.dropped_write, chunk.packets);
            } else if let Err(fault) = self.chunk(&chunk) {
                self.shared.fail(fault);
                // The records that got through stay, under the final name, without statistics.
                self.close(false);
            }
            let mut buffer = chunk.data;
            buffer.clear();
            buffer.shrink_to(2 * BUFFER_LEN);
            // The channel has room for every buffer; at the end nobody is there to take them.
            let _ = returned.try_send(buffer);
        }
        if let Some(file) = self.file.take() {
            self.abandon(file);
        }
        self.shared.counters.files.now()
    }

    /// Lets go of a file that is not reported; one without packets goes with it.
    fn abandon(&self, file: OutFile) {
        if file.packets() == 0 {
            self.shared.give_space_back(file.size());
        }
        file.abandon();
        self.shared.counters.files.abandoned();
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        let counters = &self.shared.counters;
        if let Some(next) = &chunk.open {
            for path in &next.evicted {
                // The file and not the link to it: it is the file that takes up room.
                let file = self.links.remove(path);
                let file = file.as_ref().unwrap_or(path);
                if let Err(error) = fs::remove_file(file) {
                    log::warn!("cannot remove {} from the ring: {error}", file.display());
                }
                self.shared.give_space_back(counters.files.evicted(path));
            }
        }
        if let Err(fault) = self.shared.take_space(chunk.data.len()) {
            count(&counters.dropped_write, chunk.packets);
            return Err(fault);
        }
        if let Some(next) = &chunk.open {
            let doing = self.shared.doing(Action::Open, &next.name);
            let opened = OutFile::open_rotated(&next.name);
            drop(doing);
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
        let doing = self.shared.doing(Action::Write, file.name());
        let result = file.write(&chunk.data, chunk.packets, &self.shared);
        drop(doing);
        match result {
            Ok(()) => {
                count(&counters.captured, chunk.packets);
                count(&counters.bytes, chunk.bytes);
                counters.files.grown(file.size(), file.packets());
            }
            Err((written, error)) => {
                let whole = walk(self.format, &chunk.data[..written], at_start);
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
                self.shared.give_space_back(lost as u64);
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
        if !complete && file.can_vanish() {
            return self.abandon(file);
        }
        let (record, fault) = file.close(self.next_index, complete, &self.shared);
        self.next_index += 1;
        self.shared.counters.files.closed(record);
        if let Some(fault) = fault {
            self.shared.fail(fault);
        }
    }
}

/// The name of a file and what it led to, where that is something else.
fn link_of(file: &OutFile) -> Option<(PathBuf, PathBuf)> {
    Some((file.name().to_owned(), file.led_to()?.to_owned()))
}
