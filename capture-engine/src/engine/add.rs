//! The way of a task into a running engine: its place in the kernel's tables, its hooks, its output, and last the
//! bit that lets it match. Several come together, all or none.

use std::sync::Arc;

use capture_file::{InterfaceInfo, Output, OutputConfig, Sink};
use capture_task::plan::Plan;

use super::{Engine, handle::TaskHandle, task::Task};
use crate::{
    clock::monotonic_ns,
    error::{Error, Result},
    interfaces::Links,
    kernel::{Kernel, TaskEntry},
    reader::TaskChannel,
};

/// Where the packets of a task are to go.
enum Destination<'a> {
    Files(&'a OutputConfig),
    Program(Box<dyn Sink>),
}

impl Destination<'_> {
    fn open(self, plan: &Plan, interfaces: &[InterfaceInfo]) -> Result<Output> {
        Ok(match self {
            Self::Files(config) => Output::files(plan, config, interfaces)?,
            Self::Program(sink) => Output::program(plan, sink, interfaces)?,
        })
    }
}

/// A task whose hooks are attached, and what its output is to know of the interfaces.
type Attaching = (Task, Vec<InterfaceInfo>);

impl Engine {
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
        let tasks = tasks
            .iter()
            .map(|(plan, config)| (*plan, Destination::Files(config)));
        self.add_each(tasks.collect())
    }

    /// Adds a task whose packets go to a program: `sink` is called with each, by the thread that serves all
    /// tasks, and must not wait.
    ///
    /// # Errors
    /// As [`Engine::add`]; a plan that limits or rotates files.
    pub fn add_sink(&self, plan: &Plan, sink: impl Sink + 'static) -> Result<TaskHandle> {
        let task = (plan, Destination::Program(Box::new(sink)));
        match self.add_each(vec![task]) {
            Ok(tasks) => Ok(tasks[0]),
            Err((_, error)) => Err(error),
        }
    }

    fn add_each(
        &self,
        tasks: Vec<(&Plan, Destination<'_>)>,
    ) -> Result<Vec<TaskHandle>, (usize, Error)> {
        let mut attached = self.attach_all(tasks.iter().map(|(plan, _)| *plan))?;
        // Hooks first: what fails last leaves the least behind.
        let opened = tasks.into_iter().zip(&attached).enumerate();
        let opened = opened.map(|(index, ((plan, destination), (_, infos)))| {
            let opened = destination.open(plan, infos);
            opened.map_err(|error| (index, error))
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
    fn attach_all<'a>(
        &self,
        plans: impl Iterator<Item = &'a Plan>,
    ) -> Result<Vec<Attaching>, (usize, Error)> {
        let mut state = self.shared.lock();
        let links = Links::list().map_err(|error| (0, error))?;
        let kernel = &mut state.kernel;
        let mut attached = Vec::new();
        for (index, plan) in plans.enumerate() {
            match attach(kernel, plan, &links) {
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
}

/// Enters one task into the tables and attaches its hooks; after an error nothing of it is left.
fn attach(kernel: &mut Kernel, plan: &Plan, links: &Links) -> Result<Attaching> {
    let slot = kernel
        .tables
        .add(TaskEntry::from(plan), monotonic_ns())
        .map_err(Error::kernel("enter the task into the kernel's tables"))?
        .ok_or(Error::NoSlot)?;
    let mut task = Task::new(plan, slot);
    match task.attach_all(kernel, links) {
        Ok(infos) => Ok((task, infos)),
        Err(error) => {
            task.give_up(kernel);
            Err(error)
        }
    }
}
