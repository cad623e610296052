//! The record of a task that has ended.

use std::path::Path;

use jiff::Timestamp;

use crate::{
    engine::Ended,
    output::sha256,
    task::{FileRecord, TaskRecord, rfc3339},
};

/// The record with everything that the end has brought.
pub(super) fn final_record(record: TaskRecord, ended: Ended, at: Timestamp) -> TaskRecord {
    let Ended {
        counters,
        mut files,
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
        error,
        ended_at: Some(rfc3339(at)),
        counters,
        verdict: counters.verdict_at(stop_reason),
        files,
        ..record
    }
}

fn fill_digest(file: &mut FileRecord) {
    if file.sha256.is_none() && file.complete && file.name != "-" {
        match sha256(Path::new(&file.name)) {
            Ok(digest) => file.sha256 = Some(digest),
            Err(error) => log::warn!("{}: {error}; its digest is left out", file.name),
        }
    }
}
