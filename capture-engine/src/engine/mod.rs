//! The engine: executes validated plans on live interfaces, one task of `run` or many. It owns the
//! kernel side (tables, hooks, rings), the reader thread that drains it, one output for each task,
//! and a watch on the interfaces that come and go.

mod closing;
mod link_monitor;
mod stats;
mod task;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use capture_file::{InterfaceInfo, Output, OutputConfig};
use capture_task::{
    error::{Error, Result},
    plan::Plan,
    task::{Counters, FileRecord, StopReason},
};
use tokio::sync::Notify;

pub(crate) use self::stats::{LocalStats, SharedStats};
pub use self::{
    closing::{ClosingTask, Ended},
    stats::{EngineStats, InterfaceTotals, Volume},
};
use self::{link_monitor::LinkMonitor, stats::Past, task::Task};
use crate::{
    clock::monotonic_ns,
    interfaces,
    interfaces::InterfaceEntry,
    kernel::{Kernel, TaskEntry},
    reader::{EndSignal, ReaderThread, TaskChannel},
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

/// What the engine's callers and the watch on interfaces share.
struct EngineCore {
    state: Mutex<State>,
    reader: ReaderThread,
    stats: Arc<SharedStats>,
    past: Arc<Past>,
    changed: Arc<Notify>,
}

struct State {
    kernel: Kernel,
    tasks: BTreeMap<TaskHandle, Task>,
    next_id: u64,
}

/// A task whose hooks are attached, and what its output is to know of the interfaces.
type Attaching = (Task, Vec<InterfaceInfo>);

/// A task that the engine executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskHandle(u64);

/// One hook that is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Interface name at the time.
    pub interface: String,
    /// What the task asked for or got: `tc`, `xdp`, `xdp-generic`.
    pub hook: &'static str,
    /// How: `tcx ingress+egress`, `clsact ingress`, `native ingress, tcx egress`.
    pub mode: String,
}

/// When and why a task is to be removed.
#[derive(Clone, Debug)]
pub struct TaskStatus {
    end_signal: Arc<EndSignal>,
    started_ns: u64,
    deadline_ns: Option<u64>,
}

impl TaskStatus {
    /// As [`Engine::ended`].
    pub fn reason(&self) -> Option<StopReason> {
        let over = self
            .deadline_ns
            .is_some_and(|deadline| monotonic_ns() >= deadline);
        self.end_signal
            .reason()
            .or(over.then_some(StopReason::Duration))
    }

    /// When it began by the clock of its packets, nanoseconds since the Unix epoch, as [`Ended::ended_ns`].
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// When its time is over.
    pub fn deadline(&self) -> Option<Instant> {
        let left_ns = self.deadline_ns?.saturating_sub(monotonic_ns());
        Instant::now().checked_add(Duration::from_nanos(left_ns))
    }
}

impl Engine {
    /// Loads the kernel programs and starts the reader, in the network namespace of the caller.
    ///
    /// # Errors
    /// A missing privilege or kernel feature, and whatever keeps tables or threads from being made.
    pub fn start(options: EngineOptions) -> Result<Self> {
        let (kernel, reader_side) = Kernel::load(options.ring_size)?;
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

    /// Adds a task; when this returns, its output is open and every hook is attached.
    ///
    /// # Errors
    /// After an error nothing of the task is left: no slot, no hook, no file.
    pub fn add(&self, plan: &Plan, output: OutputConfig) -> Result<TaskHandle> {
        match self.add_all(&[(plan, output)]) {
            Ok(tasks) => Ok(tasks[0]),
            Err((_, error)) => Err(error),
        }
    }

    /// Adds several tasks, all or none. No task matches before the hooks of all are attached.
    ///
    /// Waits for the disks of the outputs, and other tasks do not wait with it.
    ///
    /// # Errors
    /// The index of the first task that cannot be added, and why. After an error nothing of any of
    /// them is left.
    pub fn add_all(
        &self,
        tasks: &[(&Plan, OutputConfig)],
    ) -> Result<Vec<TaskHandle>, (usize, Error)> {
        let mut attached = self.attach_all(tasks)?;
        // Hooks first: what fails last leaves the least behind.
        let opened = tasks.iter().zip(&attached).enumerate();
        let opened = opened.map(|(index, ((plan, output), (_, infos)))| {
            Output::files(plan, output, infos).map_err(|error| (index, error.into()))
        });
        // An output that is dropped again is without packets, and no file stays of it.
        let outputs: Result<Vec<_>, _> = opened.collect();

        let mut state = self.shared.lock();
        let state = &mut *state;
        let placed = outputs.and_then(|outputs| {
            let channels = attached.iter_mut().zip(outputs).enumerate();
            let mut placed = channels.map(|(index, ((task, _), output))| {
                let generation = state.kernel.tables.generation();
                self.place(task, output, generation)
                    .map_err(|error| (index, error))
            });
            placed.try_for_each(std::convert::identity)
        });
        if let Err(error) = placed {
            for (task, _) in attached {
                self.undo(&mut state.kernel, task);
            }
            return Err(error);
        }
        // Deadlines count from here, and a task is active as soon as it has one.
        let ids = attached.into_iter().map(|(mut task, _)| {
            task.activate(&mut state.kernel);
            let id = TaskHandle(state.next_id);
            state.next_id += 1;
            state.tasks.insert(id, task);
            id
        });
        Ok(ids.collect())
    }

    /// Enters tasks into the tables and attaches their hooks, all or none.
    fn attach_all(
        &self,
        tasks: &[(&Plan, OutputConfig)],
    ) -> Result<Vec<Attaching>, (usize, Error)> {
        let entries = interfaces::list().map_err(|error| (0, error))?;
        let mut state = self.shared.lock();
        let kernel = &mut state.kernel;
        let mut attached = Vec::with_capacity(tasks.len());
        for (index, (plan, _)) in tasks.iter().enumerate() {
            match attach(kernel, plan, &entries) {
                Ok(task) => attached.push(task),
                Err(error) => {
                    for (task, _) in attached {
                        self.undo(kernel, task);
                    }
                    return Err((index, error));
                }
            }
        }
        Ok(attached)
    }

    /// Gives a task that does not match yet its place at the reader.
    fn place(&self, task: &mut Task, output: Output, generation: u32) -> Result<()> {
        task.output = Some(output.counters());
        let channel = TaskChannel {
            output,
            end_signal: Arc::clone(&task.end_signal),
            generation,
        };
        self.shared.reader.add(task.slot, channel)
    }

    /// Takes back a task that has not matched anything. Its output is dropped, and as that is without
    /// packets, no file stays.
    fn undo(&self, kernel: &mut Kernel, mut task: Task) {
        if task.output.is_some()
            && let Err(error) = self.shared.reader.remove(task.slot, monotonic_ns())
        {
            log::warn!("undoing a task: {error}");
        }
        task.give_up(kernel);
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

    fn take_off(&self, id: TaskHandle, reason: StopReason) -> Result<ClosingTask> {
        let broken = |error: anyhow::Error| {
            Error::runtime(format!("cannot end the task in order: {error:#}"))
        };
        let mut state = self.shared.lock();
        let State { kernel, tasks, .. } = &mut *state;
        let mut task = tasks
            .remove(&id)
            .ok_or_else(|| Error::not_found("the engine has no such task"))?;
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
            .map_err(broken)?;
        let figures = figures.map_err(broken)?;
        Ok(ClosingTask::new(
            task,
            figures,
            drained,
            reason,
            (Arc::clone(&self.shared.past), id),
        ))
    }
}

/// Enters one task into the tables and attaches its hooks; after an error nothing of it is left.
fn attach(kernel: &mut Kernel, plan: &Plan, entries: &[InterfaceEntry]) -> Result<Attaching> {
    let slot = kernel
        .tables
        .add(TaskEntry::from(plan), monotonic_ns())
        .map_err(|error| {
            Error::runtime(format!(
                "cannot enter the task into the kernel's tables: {error:#}"
            ))
        })?
        .ok_or_else(|| Error::runtime("64 tasks are running already, and that is the limit"))?;
    let mut task = Task::new(plan, slot);
    match task.attach_all(kernel, entries) {
        Ok(infos) => Ok((task, infos)),
        Err(error) => {
            task.give_up(kernel);
            Err(error)
        }
    }
}

impl EngineCore {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug; those who come later go on with what is there, and end their tasks.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a task should end.
    fn end(&self, end_signal: &EndSignal, reason: StopReason) {
        if end_signal.set(reason) {
            self.changed.notify_one();
        }
    }
}
