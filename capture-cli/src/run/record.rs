//! The record of a task that has ended.

use std::path::Path;

use capture_engine::Ended;
use capture_file::{is_descriptor, sha256};
use capture_task::task::{FileRecord, TaskRecord, rfc3339, time_of};

use crate::error::Error;

/// The record with everything that the end has brought.
pub(super) fn final_record(record: TaskRecord, ended: Ended) -> TaskRecord {
    let Ended {
        counters,
        mut files,
        ended_ns,
        stop_reason,
        error,
        malformed: _,
    } = ended;
    for file in &mut files {
        fill_digest(file);
    }
    TaskRecord {
        state: stop_reason.final_state(),
        stop_reason: Some(stop_reason),
        error: error.map(|error| Error::from(error).message),
        ended_at: time_of(ended_ns).map(rfc3339),
        counters,
        verdict: counters.verdict_at(stop_reason),
        files,
        ..record
    }
}

/// Fills in the digest of a file that is there to be read again. A FIFO is not: opening it would wait
/// for a writer. Nor is an open descriptor, whose file may have held something before.
pub(super) fn fill_digest(file: &mut FileRecord) {
    let path = Path::new(&file.name);
    let is_file =
        || path.metadata().is_ok_and(|metadata| metadata.is_file()) && !is_descriptor(path);
    if file.sha256.is_none() && file.complete && file.name != "-" && is_file() {
        match sha256(path) {
            Ok(digest) => file.sha256 = Some(digest),
            Err(error) => log::warn!("{}: {error}; its digest is left out", file.name),
        }
    }
}
