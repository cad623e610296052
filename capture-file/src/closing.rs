//! An output that has got all it gets, while its writer still has work: the rest of the queue, fsync,
//! the final name. Whoever ends the task need not wait for a disk that does not answer, and can say
//! what it is that takes so long. Comes after the sink; the report is the end.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use capture_task::task::{FileRecord, StopReason};

use super::{channel::WriterState, error::Error, queue::Queue};

/// The end of an output.
#[derive(Clone, Debug)]
pub struct OutputReport {
    /// The files that exist, in order; those that a ring removed are not among them.
    pub files: Vec<FileRecord>,
    /// What went wrong, where something did; [`Error::stop_reason`] is then why the task ended.
    pub error: Option<Error>,
}

/// The end of an output, under way.
pub struct ClosingOutput {
    /// `None` where there are no files.
    files: Option<ClosingFiles>,
    /// A fault on the sink's side.
    fault: Option<Error>,
}

struct ClosingFiles {
    queue: Queue,
    shared: Arc<WriterState>,
}

impl ClosingOutput {
    pub(super) fn new(mut queue: Queue, shared: Arc<WriterState>, fault: Option<Error>) -> Self {
        queue.close();
        Self {
            files: Some(ClosingFiles { queue, shared }),
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

    /// What the writer is waiting for, and for how many seconds: `write to /mnt/a.pcapng.part, for 7s`.
    pub fn waits_for(&self) -> Option<String> {
        let doing = self.files.as_ref()?.shared.waits_for()?;
        Some(doing.to_string())
    }

    /// Waits for the disk, and for the reader of a pipe only as long as that reads.
    ///
    /// A pipe that was closed by its reader is no error; [`TaskSink::failure`](super::TaskSink::failure)
    /// says so beforehand.
    pub fn report(self) -> OutputReport {
        let (files, error) = match self.files {
            Some(ClosingFiles { queue, shared }) => {
                (queue.finish(), shared.failure().cloned().or(self.fault))
            }
            None => (Vec::new(), self.fault),
        };
        OutputReport {
            files,
            error: error.filter(|error| error.stop_reason() != StopReason::User),
        }
    }
}
