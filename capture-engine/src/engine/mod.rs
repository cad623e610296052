//! The engine: executes validated plans on live interfaces, one task of `run` or many. It owns the
//! kernel side (tables, hooks, rings), the reader thread that drains it, one output for each task,
//! and a watch on the interfaces that come and go.

mod add;
mod closing;
mod handle;
mod link_monitor;
mod planned;
mod state;
mod stats;
mod task;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use capture_task::{
    plan::Hook,
    task::{Counters, FileRecord, StopReason},
};
use tokio::sync::Notify;

pub use self::{
    closing::{ClosingTask, Ended},
    handle::{TaskHandle, TaskStatus},
    planned::{PlannedHook, conflicts, planned_hooks},
    stats::{EngineStats, InterfaceTotals},
    task::Attachment,
};
use self::{
    link_monitor::LinkMonitor,
    state::{EngineCore, State},
};
use crate::{
    clock::monotonic_ns,
    error::{Error, Result},
    kernel::{Kernel, REMOVED, loader::StartLoader},
    reader::ReaderThread,
    volume::SharedStats,
};

/// What the engine is started with.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Bytes of all rings together; each CPU's share is rounded down to a power of two.
    pub ring_size: u64,
}

/// A running engine. Dropping it detaches every hook, also while a [`ClosingTask`] of it is still there. Below kernel 6.6
/// that is to be done in the network namespace that it was started in, where its tc filters are looked for.
pub struct Engine {
    // In the order in which they go: nothing is attached any more when the reader ends.
    _watch: LinkMonitor,
    shared: Arc<EngineCore>,
}

impl Engine {
    /// Loads the kernel programs and starts the reader, in the network namespace of the caller.
    ///
    /// # Errors
    /// A missing privilege or kernel feature, and whatever keeps tables or threads from being made.
    pub fn start(options: EngineOptions) -> Result<Self> {
        Self::start_by(options, None)
    }

    /// The same in a process without capabilities, by a [`loader`](crate::loader) if there is one. It loads what these hooks take, and
    /// tasks can ask for no others then.
    ///
    /// # Errors
    /// As [`Engine::start`], and where the loader does not answer.
    pub fn start_by(
        options: EngineOptions,
        loader: Option<(&StartLoader, &[Hook])>,
    ) -> Result<Self> {
        let (kernel, reader_side) = Kernel::load(options.ring_size, loader)?;
        let changed = Arc::new(Notify::new());
        let stats = Arc::new(SharedStats::default());
        let reader = ReaderThread::start(reader_side, Arc::clone(&stats), Arc::clone(&changed))?;
        let state = Mutex::new(State {
            kernel,
            tasks: BTreeMap::new(),
            next_id: 0,
        });
        let shared = Arc::new(EngineCore {
            state,
            reader,
            stats,
            past: Arc::default(),
            changed,
        });
        let watch = LinkMonitor::start(Arc::clone(&shared))?;
        Ok(Self {
            _watch: watch,
            shared,
        })
    }

    /// Stops tasks from matching, all at the same moment: a packet is seen by all of them or by none. Each is still
    /// to be removed.
    pub fn halt(&self, tasks: impl IntoIterator<Item = TaskHandle>) {
        let state = self.shared.lock();
        let there = tasks.into_iter().filter_map(|id| state.tasks.get(&id));
        state
            .kernel
            .tables
            .deactivate_all(there.map(|task| task.slot));
    }

    /// The hooks that serve a task.
    pub fn attachments(&self, task: TaskHandle) -> Vec<Attachment> {
        let state = self.shared.lock();
        state
            .tasks
            .get(&task)
            .map(|task| task.attachments(&state.kernel))
            .unwrap_or_default()
    }

    /// The figures of a task so far.
    pub fn counters(&self, task: TaskHandle) -> Counters {
        let state = self.shared.lock();
        state
            .tasks
            .get(&task)
            .map(|task| task.counters(&state.kernel))
            .unwrap_or_default()
    }

    /// Figures and files of a task so far, see [`OutputFiles`](capture_file::OutputFiles); `None` once it
    /// is removed.
    pub fn figures(&self, task: TaskHandle) -> Option<(Counters, Vec<FileRecord>)> {
        let state = self.shared.lock();
        let task = state.tasks.get(&task)?;
        let counters = task.counters(&state.kernel);
        let output = task.output.clone();
        drop(state);
        Some((
            counters,
            output.map_or_else(Vec::new, |output| output.files().now()),
        ))
    }

    /// Has what all tasks have captured until now written to their files, without waiting for it. It would be
    /// some milliseconds later anyway.
    pub fn flush(&self) {
        self.shared.reader.flush();
    }

    /// When and why a task is to be removed, to be asked again and again without waiting for anybody.
    pub fn status(&self, task: TaskHandle) -> Option<TaskStatus> {
        let state = self.shared.lock();
        let task = state.tasks.get(&task)?;
        Some(TaskStatus {
            end_signal: Arc::clone(&task.end_signal),
            started_ns: task.started_ns,
            deadline_ns: task.deadline_ns,
        })
    }

    /// Why a task should now be removed, once there is a reason: a limit, the deadline, a fault.
    pub fn ended(&self, task: TaskHandle) -> Option<StopReason> {
        self.status(task)?.reason()
    }

    /// Signalled when [`Engine::ended`] may have changed for any task; the deadline apart, which the
    /// caller knows.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.changed)
    }

    /// Ends a task in order: stop matching, detach, drain, close, report. Waits for its disk; who
    /// has other tasks to look after calls [`Engine::leave`].
    ///
    /// # Errors
    /// Where there is no such task, or the kernel no longer answers.
    pub fn remove(&self, id: TaskHandle, reason: StopReason) -> Result<Ended> {
        Ok(self.leave(id, reason)?.ended())
    }

    /// The same up to the drain. What is left, closing the files, is its writer's.
    ///
    /// # Errors
    /// As [`Engine::remove`].
    pub fn leave(&self, id: TaskHandle, reason: StopReason) -> Result<ClosingTask> {
        let left = self.take_off(id, reason);
        if left.is_err() {
            self.shared.past.end(id, None);
        }
        left
    }

    /// The figures since the start.
    pub fn totals(&self) -> EngineStats {
        let (traffic, dropped, ring_used) = {
            let mut state = self.shared.lock();
            let traffic = state.kernel.traffic();
            let counters = state.counters(&self.shared.past);
            (traffic, counters.dropped, state.kernel.ring_used())
        };
        let volumes = self
            .shared
            .stats
            .of_interfaces(|ifindex| traffic.contains_key(&ifindex), REMOVED);
        EngineStats {
            dropped,
            interfaces: stats::by_name(&traffic, &volumes),
            ring_used,
        }
    }

    /// The figures of all tasks together since the start, those that have ended included.
    pub fn sum(&self) -> Counters {
        self.shared.lock().counters(&self.shared.past)
    }

    fn take_off(&self, id: TaskHandle, reason: StopReason) -> Result<ClosingTask> {
        let broken = Error::kernel("end the task in order");
        let mut state = self.shared.lock();
        let State { kernel, tasks, .. } = &mut *state;
        let mut task = tasks.remove(&id).ok_or(Error::NoSuchTask)?;
        kernel.tables.deactivate(task.slot);
        self.shared.past.begin(id, task.counters(kernel));
        let barrier = kernel.barrier();
        drop(state);

        // Without the lock, as this takes the kernel some milliseconds. Afterwards nothing new of this
        // task comes into the rings. Whatever the kernel answers, the hooks are let go and the output
        // is taken back.
        let waited = barrier.wait();
        let mut state = self.shared.lock();
        let kernel = &mut state.kernel;
        let figures = waited.and_then(|()| {
            task.read_interfaces(kernel);
            task.figures(kernel)
        });
        let until_ns = monotonic_ns();
        task.detach(kernel);
        drop(state);

        // Without the lock: this waits for the reader.
        let drained = self.shared.reader.remove(task.slot, until_ns)?;
        self.shared
            .lock()
            .kernel
            .tables
            .remove(task.slot)
            .map_err(&broken)?;
        let figures = figures.map_err(&broken)?;
        Ok(ClosingTask::new(
            task,
            figures,
            drained,
            reason,
            (Arc::clone(&self.shared.past), id),
        ))
    }
}
