//! `--analyze`: what is wrong in what was captured, once the files are closed.

use std::path::PathBuf;

use capture_file::{Target, is_descriptor};
use capture_inspector::Analysis;
use capture_task::task::{FileRecord, TaskRecord};
use serde::Serialize;

use super::super::{analyze, task_request::TaskRequest};
use crate::error::{Error, Result};

/// The record of a task and what its files say.
#[derive(Serialize)]
pub(super) struct AnalyzedRecord {
    #[serde(flatten)]
    pub(super) record: TaskRecord,
    /// Only where it was asked for, and the files could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) analysis: Option<Analysis>,
}

/// Refuses outputs that are gone when the capture ends.
pub(super) fn refuse_streams(tasks: &[TaskRequest]) -> Result<()> {
    let output = tasks.iter().find_map(|task| match &task.target {
        Some(Target::Stdout) => Some("standard output".to_owned()),
        Some(Target::Open(open)) => Some(open.name().display().to_string()),
        Some(Target::File(path)) if is_stream(path) => Some(path.display().to_string()),
        _ => None,
    });
    match output {
        Some(output) => Err(Error::usage(format!(
            "--analyze: {output} cannot be read again; write to a file, or send it into `capture-agent analyze -`"
        ))),
        None => Ok(()),
    }
}

fn is_stream(path: &std::path::Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file()) || is_descriptor(path)
}

/// Analyzes the files of a task.
pub(super) fn analyze_files(files: &[FileRecord]) -> Result<Analysis> {
    let paths: Vec<_> = files.iter().map(|file| PathBuf::from(&file.name)).collect();
    analyze::of_files(&paths)
}
