//! What an output to files needs apart from the plan.

use std::sync::Arc;

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
}
