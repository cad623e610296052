//! Copies of captures without what another must not see. An inspector makes them, as it reads packets; here are only
//! bytes.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
};

use capture_inspector::{
    PseudonymKey, Redaction,
    process::{Error as InspectorError, Inspector, Limits},
};
use capture_store::{
    TaskId,
    access::{Actor, Right},
};
use capture_task::{download_stem, task::FileRecord};
use tokio::sync::{mpsc, oneshot};

use super::{error::TaskError, inner::Inner};
use crate::{error::Error, storage::SharedCopy};

/// Copies that are made at once while somebody takes them.
const MOST_COPIES: usize = 4;

/// Pieces that wait for whoever takes them.
const MOST_PIECES: usize = 4;

/// What is left out of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Nothing but what says of this machine and of people what packets do not.
    Nothing,
    /// The payload.
    Payload,
    /// The payload, and addresses, in whose place are the pseudonyms of the task.
    Addresses,
}

/// A copy that is made as it is taken.
#[derive(Debug)]
pub struct CopiedFile {
    /// Name of the task.
    pub task_name: String,
    /// What follows the name where the file is saved: `.pcapng`, `_00001.pcapng`.
    pub suffix: String,
    /// The file, piece by piece. An error breaks it off.
    pub pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

/// One of those that are made at once.
struct Turn(Arc<Inner>);

impl Turn {
    fn take(inner: &Arc<Inner>) -> Result<Self, TaskError> {
        let one_more = |copies| (copies < MOST_COPIES).then_some(copies + 1);
        let copies = &inner.copies;
        copies
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| TaskError::Busy)?;
        Ok(Self(Arc::clone(inner)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.copies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Begins a copy of files of a task, all or one of them, and waits for its first piece.
pub(super) async fn begin(
    inner: &Arc<Inner>,
    id: TaskId,
    index: Option<u64>,
    left_out: LeftOut,
) -> Result<CopiedFile, TaskError> {
    let turn = Turn::take(inner)?;
    let (send, pieces) = mpsc::channel(MOST_PIECES);
    let (begun, answered) = oneshot::channel();
    let work = move || {
        let inner = &turn.0;
        match inner.start_copy(&id, index, left_out) {
            Ok((task_name, suffix, inspector)) => {
                // Whoever asked may be gone.
                let _ = begun.send(Ok((task_name, suffix)));
                inner.copy_to(inspector, &send);
            }
            Err(error) => {
                let _ = begun.send(Err(error));
            }
        }
    };
    // The inspector ends with the thread that starts it.
    thread::Builder::new()
        .name("copy".to_owned())
        .spawn(work)
        .map_err(|error| Error::runtime(format!("copying a capture: {error}")))?;
    let answered = answered.await;
    let (task_name, suffix) =
        answered.unwrap_or_else(|_| Err(Error::runtime("the copy was not made").into()))?;
    Ok(CopiedFile {
        task_name,
        suffix,
        pieces,
    })
}

impl Inner {
    /// What a redaction is with the pseudonyms of a task.
    fn redaction(&self, id: &TaskId, left_out: LeftOut) -> Result<Redaction, TaskError> {
        Ok(match left_out {
            LeftOut::Nothing => Redaction::None,
            LeftOut::Payload => Redaction::Payload,
            LeftOut::Addresses => {
                let key = self.store.pseudonym_key(id)?;
                Redaction::Addresses(PseudonymKey(key.ok_or(TaskError::NotFound)?))
            }
        })
    }

    /// An inspector that copies files of a task, with the task's name and what follows it.
    fn start_copy(
        &self,
        id: &TaskId,
        index: Option<u64>,
        left_out: LeftOut,
    ) -> Result<(String, String, Inspector), TaskError> {
        let stored = self.stored(id)?;
        if stored.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        let stem = download_stem(&stored.record);
        let files = self.files_now(id).unwrap_or(stored.record.files);
        let is_chosen = |file: &FileRecord| index.is_none_or(|index| file.index == index);
        let files: Vec<_> = files.into_iter().filter(is_chosen).collect();
        if index.is_some() && files.is_empty() {
            return Err(TaskError::NotFound);
        }
        let suffix = match (index, files.first()) {
            (Some(_), Some(file)) => super::files::suffix(&file.name).to_owned(),
            _ => ".pcapng".to_owned(),
        };
        // Whatever the capture is, the copy is pcapng.
        let suffix = match suffix.strip_suffix(".pcap") {
            Some(stem) => format!("{stem}.pcapng"),
            None => suffix,
        };
        let inspector = self.copier(id, &files, self.redaction(id, left_out)?)?;
        let stem = match left_out {
            LeftOut::Payload => format!("{stem}_headers"),
            LeftOut::Nothing | LeftOut::Addresses => stem,
        };
        Ok((stem, suffix, inspector))
    }

    /// An inspector that has begun to copy files.
    fn copier(
        &self,
        id: &TaskId,
        files: &[FileRecord],
        redaction: Redaction,
    ) -> Result<Inspector, TaskError> {
        let analysis = self.config().analysis;
        let limits = Limits {
            memory: analysis.memory,
            answer: analysis.seconds,
            // It works for as long as somebody takes what it makes.
            processor: None,
        };
        let failed = |error: InspectorError| Error::runtime(copying(&error));
        let mut inspector = Inspector::start(&limits).map_err(failed)?;
        for file in files {
            let opened = self.storage.open_file(id, file).map_err(|error| {
                Error::runtime(format!("cannot open {} of task {id}: {error}", file.name))
            })?;
            inspector.add(&file.name, &opened).map_err(failed)?;
        }
        inspector.redact(redaction).map_err(failed)?;
        Ok(inspector)
    }

    /// Sends a copy to whoever takes it, to the end or until they are gone.
    fn copy_to(&self, mut inspector: Inspector, send: &mpsc::Sender<io::Result<Vec<u8>>>) {
        while !self.analyses.is_closing() {
            let piece = inspector.piece();
            let is_last = !matches!(&piece, Ok(piece) if !piece.is_empty());
            let piece = match piece {
                Ok(piece) if piece.is_empty() => return,
                piece => piece.map_err(|error| io::Error::other(copying(&error))),
            };
            if let Err(error) = &piece {
                log::warn!("{error}");
            }
            if send.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
        let ending = io::Error::other("the daemon is ending");
        let _ = send.blocking_send(Err(ending));
    }

    /// Makes a copy of all files of a task that stays beside them, unless it is there. One is made at a time. Must be called
    /// on a thread that stays for so long.
    pub(super) fn keep_copy(&self, id: &TaskId, copy: SharedCopy) -> Result<(), TaskError> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull => TaskError::NoSpace(Error::runtime(error.to_string())),
            _ => TaskError::Broken(Error::runtime(format!("a copy of task {id}: {error}"))),
        };
        if self
            .storage
            .open_copy(id, copy)
            .map_err(unreadable)?
            .is_some()
        {
            return Ok(());
        }
        let written = match copy {
            SharedCopy::Headers | SharedCopy::Anonymous => {
                let left_out = match copy {
                    SharedCopy::Headers => LeftOut::Payload,
                    _ => LeftOut::Addresses,
                };
                let (_, _, mut inspector) = self.start_copy(id, None, left_out)?;
                self.storage.write_copy(id, copy, || {
                    if self.analyses.is_closing() {
                        return Err(io::Error::other("the daemon is ending"));
                    }
                    inspector
                        .piece()
                        .map_err(|error| io::Error::other(copying(&error)))
                })
            }
            SharedCopy::AnonymousFindings => {
                let mut report = self.analyze_copy(id)?;
                let next = || Ok(std::mem::take(&mut report).into_bytes());
                self.storage.write_copy(id, copy, next)
            }
        };
        written.map_err(unreadable)
    }

    /// What is found in the copy without addresses: nothing of an address can be in it.
    fn analyze_copy(&self, id: &TaskId) -> Result<String, TaskError> {
        let opened = self.storage.open_copy(id, SharedCopy::Anonymous);
        let file = opened
            .map_err(|error| Error::runtime(format!("a copy of task {id}: {error}")))?
            .ok_or(TaskError::NotFound)?;
        let failed = |error: InspectorError| TaskError::NotAnalyzed {
            code: "analysis_failed",
            detail: error.to_string(),
        };
        let mut inspector = self.inspector(true).map_err(failed)?;
        inspector.add("capture.pcapng", &file).map_err(failed)?;
        let report = inspector.analyze().map_err(failed)?;
        Ok(report.get().to_owned())
    }

    /// Whether somebody may have files of a task.
    pub(super) fn may_download(&self, actor: &Actor) -> Result<(), TaskError> {
        match actor.may(Right::Download) {
            true => Ok(()),
            false => Err(TaskError::Forbidden),
        }
    }
}

/// What went wrong with an inspector, in words that go with a copy.
fn copying(error: &InspectorError) -> String {
    let said = error.to_string();
    let said = said.strip_prefix("analysis ended: ").unwrap_or(&said);
    format!("the capture cannot be copied: {said}")
}
