//! Figures of tasks.

use capture_task::task::{Counters, FileRecord, State, StopReason, TaskRecord};
use serde::Serialize;

/// Of a task, what tells nothing of whose packets it has.
#[derive(Debug, Serialize)]
pub struct TaskFigures {
    id: String,
    state: State,
    stop_reason: Option<StopReason>,
    error: Option<String>,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    counters: Counters,
    verdict: Option<String>,
    hook: Option<String>,
    interfaces: usize,
    file_bytes: Vec<u64>,
}

impl From<TaskRecord> for TaskFigures {
    fn from(task: TaskRecord) -> Self {
        let size = |FileRecord { size, .. }: &FileRecord| *size;
        Self {
            id: task.id,
            state: task.state,
            stop_reason: task.stop_reason,
            error: task.error,
            created_at: task.created_at,
            started_at: task.started_at,
            ended_at: task.ended_at,
            counters: task.counters,
            verdict: task.verdict,
            hook: task.spec.hook,
            interfaces: task.spec.interfaces.len(),
            file_bytes: task.files.iter().map(size).collect(),
        }
    }
}
