//! What the engine's callers and its watch on interfaces share, and the lock on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capture_task::task::{Counters, StopReason};
use tokio::sync::Notify;

use super::{handle::TaskHandle, stats::Past, task::Task};
use crate::{
    kernel::Kernel,
    reader::{EndSignal, ReaderThread},
    volume::SharedStats,
};

/// An engine without the watch on interfaces, which holds it too.
pub(super) struct EngineCore {
    pub(super) state: Mutex<State>,
    pub(super) reader: ReaderThread,
    pub(super) stats: Arc<SharedStats>,
    pub(super) past: Arc<Past>,
    pub(super) changed: Arc<Notify>,
}

/// What the lock of an engine protects.
pub(super) struct State {
    pub(super) kernel: Kernel,
    pub(super) tasks: BTreeMap<TaskHandle, Task>,
    pub(super) next_id: u64,
}

impl EngineCore {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug; those who come later go on with what is there, and end their tasks.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a task should end.
    pub(super) fn end(&self, end_signal: &EndSignal, reason: StopReason) {
        if end_signal.set(reason) {
            self.changed.notify_one();
        }
    }
}

impl State {
    /// The figures of all tasks together, those that have ended included. Under the lock of the state a task is
    /// among those that run or in the past, and not in both.
    pub(super) fn counters(&self, past: &Past) -> Counters {
        let running = self.tasks.values().map(|task| task.counters(&self.kernel));
        running.fold(past.counters(), std::ops::Add::add)
    }
}
