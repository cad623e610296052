//! What an output to files is opened with, apart from the plan.

use std::sync::Arc;

use super::{disk_budget::DiskBudget, target::Target};

/// All that an output is opened with.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// Where to.
    pub target: Target,
    /// Identifier of the task (ULID), for the file's comment.
    pub task_id: String,
    /// The room that it shares with other outputs, where there is such a limit.
    pub space: Option<Arc<DiskBudget>>,
}
