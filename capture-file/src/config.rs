//! What an output to files needs apart from the plan.

use std::sync::Arc;

use capture_task::task::FileRecord;

use super::{disk_budget::DiskBudget, owner::Owner, target::Target};

/// Target and surroundings of an output.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// Where the packets go.
    pub target: Target,
    /// Identifier of the task (ULID), for the file's comment.
    pub task_id: String,
    /// The disk space that it shares with other outputs, if that is limited.
    pub space: Option<Arc<DiskBudget>>,
    /// The user whose the files become, where root captures for another.
    pub owner: Option<Owner>,
    /// What an earlier output of the same task has written, where the task is taken up again.
    pub earlier: EarlierFiles,
}

/// Files that an earlier output of a task has written. A further output goes on behind them: it takes the next number,
/// and they count for the limits and are part of the ring.
#[derive(Clone, Debug, Default)]
pub struct EarlierFiles {
    /// The files that exist, in order, each with its path as its name.
    pub files: Vec<FileRecord>,
    /// How many of them were not full when the output before ended: each time it was interrupted, one.
    pub unfinished: u64,
}
