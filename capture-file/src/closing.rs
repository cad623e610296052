//! An output after its last packet, while the writer finishes the queue, syncs and renames. The thread that ends the
//! task need not wait for a slow disk, and can say what the writer is waiting for. The report is the end.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use capture_task::task::{FileRecord, StopReason};

use super::{channel::WriterState, error::Error, queue::Queue};

/// The result of an output.
#[derive(Clone, Debug)]
pub struct OutputReport {
    /// The files that exist, in order; those that a ring removed are not among them.
    pub files: Vec<FileRecord>,
    /// What went wrong, where something did; [`Error::stop_reason`] is then why the task ended.
    pub error: Option<Error>,
}

/// An output that is being closed.
pub struct ClosingOutput {
    /// `None` where there are no files.
    files: Option<ClosingFiles>,
    /// A failure on the reader's side.
    fault: Option<Error>,
}

struct ClosingFiles {
    queue: Queue,
    state: Arc<WriterState>,
}

impl ClosingOutput {
    pub(super) fn new(mut queue: Queue, state: Arc<WriterState>, fault: Option<Error>) -> Self {
        queue.close();
        Self {
            files: Some(ClosingFiles { queue, state }),
            fault,
        }
    }

    /// An output without files, which has nothing more to do.
    pub(super) fn ended(fault: Option<Error>) -> Self {
        Self { files: None, fault }
    }

    /// Ready once [`ClosingOutput::report`] does not wait.
    pub fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.files {
            Some(files) => files.queue.poll_ended(context),
            None => Poll::Ready(()),
        }
    }

    /// The system call that the writer is in, and for how long: `write to /mnt/a.pcapng.part, for 7s`.
    pub fn waits_for(&self) -> Option<String> {
        let operation = self.files.as_ref()?.state.waits_for()?;
        Some(operation.to_string())
    }

    /// Waits for the disk, and for the reader of a pipe as long as it reads.
    ///
    /// A pipe that was closed by its reader is no error; [`FileOutput::failure`](super::FileOutput::failure)
    /// says so beforehand.
    pub fn report(self) -> OutputReport {
        let (files, error) = match self.files {
            Some(ClosingFiles { queue, state }) => {
                (queue.finish(), state.failure().cloned().or(self.fault))
            }
            None => (Vec::new(), self.fault),
        };
        OutputReport {
            files,
            error: error.filter(|error| error.stop_reason() != StopReason::User),
        }
    }
}
