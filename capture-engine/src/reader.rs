//! The reader: one thread that drains the rings in order of time and hands every record to the
//! outputs of the tasks that matched. It waits for no other thread: outputs have bounded queues, what
//! the control path wants comes by a bounded channel that is looked at between batches, and figures that
//! somebody is reading are handed over with the next batch. The locks that it takes are those inside channels
//! and wake-ups, which are held for some instructions, and that of the log, for faults.

mod task;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use capture_common::MAX_SLOTS;
use capture_file::{InterfaceInfo, Output};
use capture_task::task::StopReason;
use tokio::sync::Notify;

pub(crate) use self::task::{EndSignal, TaskChannel};
use self::task::{TaskState, deliver};
use crate::{
    clock::{ClockReading, monotonic_ns},
    error::{Error, Result},
    kernel::{ReaderSide, SlotId},
    volume::{LocalStats, SharedStats},
};

/// How long a record may take from its time stamp to the ring: younger ones wait for the next look,
/// so that an older one of another CPU can still come before them. The copy takes microseconds; a
/// virtual CPU that loses its core in between takes longer.
const REORDER_WINDOW: Duration = Duration::from_millis(2);

/// Poll interval: about the longest time that a packet waits in the ring on an idle link.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Records between two looks at the commands and the clock.
const BATCH: usize = 4096;

/// Time between two readings of the clocks and of the kernel's losses.
const HOUSEKEEPING: Duration = Duration::from_millis(200);

/// Commands under way to the reader.
const COMMANDS: usize = 64;

/// The control path's hold on the reader.
pub(crate) struct ReaderThread {
    /// `None` once the reader was told to go.
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// A task's output with everything in it.
pub(crate) struct DrainedTask {
    /// The output.
    pub(crate) output: Output,
    /// The end by the task's clock, nanoseconds since the Unix epoch: that of its packets.
    pub(crate) ended_ns: u64,
}

enum Command {
    Add {
        slot: SlotId,
        channel: Box<TaskChannel>,
    },
    AddInterface {
        slot: SlotId,
        interface: InterfaceInfo,
    },
    /// Hands what was captured up to `until_ns` to the writers.
    Flush { until_ns: u64 },
    /// Sends the output back once every record up to `until_ns` is in it.
    Remove {
        slot: SlotId,
        until_ns: u64,
        reply: SyncSender<DrainedTask>,
    },
}

impl ReaderThread {
    /// Starts the thread.
    pub(crate) fn start(
        kernel: ReaderSide,
        stats: Arc<SharedStats>,
        changed: Arc<Notify>,
    ) -> Result<Self> {
        let (commands, receiver) = sync_channel(COMMANDS);
        let drain = Drain {
            kernel,
            stats,
            local: LocalStats::default(),
            changed,
            commands: receiver,
            tasks: [const { None }; MAX_SLOTS],
            removals: Vec::new(),
            flush_at_ns: None,
        };
        let thread = thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || drain.run())
            .map_err(Error::system("start the reader thread"))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Gives a task to the reader; done before the task is active.
    pub(crate) fn add(&self, slot: SlotId, channel: TaskChannel) -> Result<()> {
        self.send(Command::Add {
            slot,
            channel: Box::new(channel),
        })
    }

    /// Tells a task's output of one more interface; done before the first packet from there.
    pub(crate) fn add_interface(&self, slot: SlotId, interface: InterfaceInfo) -> Result<()> {
        self.send(Command::AddInterface { slot, interface })
    }

    /// Takes a task's output back, with every record up to `until_ns` (monotonic) in it.
    pub(crate) fn remove(&self, slot: SlotId, until_ns: u64) -> Result<DrainedTask> {
        let (reply, drained) = sync_channel(1);
        self.send(Command::Remove {
            slot,
            until_ns,
            reply,
        })?;
        drained.recv().map_err(|_| Error::ReaderGone)
    }

    /// Has what was captured until now written, as soon as it is drained. Waits for nobody: a reader that is so
    /// far behind that it takes no more commands has nothing in its buffers for long.
    pub(crate) fn flush(&self) {
        if let Some(commands) = &self.commands {
            let until_ns = monotonic_ns();
            let _ = commands.try_send(Command::Flush { until_ns });
        }
    }

    fn send(&self, command: Command) -> Result<()> {
        let commands = self.commands.as_ref().ok_or(Error::ReaderGone)?;
        commands.send(command).map_err(|_| Error::ReaderGone)
    }
}

impl Drop for ReaderThread {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the reader thread has panicked");
        }
    }
}

/// The thread's state.
struct Drain {
    kernel: ReaderSide,
    stats: Arc<SharedStats>,
    local: LocalStats,
    changed: Arc<Notify>,
    commands: Receiver<Command>,
    tasks: [Option<TaskState>; MAX_SLOTS],
    removals: Vec<PendingRemoval>,
    /// What was captured up to this monotonic time is to be handed to the writers.
    flush_at_ns: Option<u64>,
}

struct PendingRemoval {
    slot: SlotId,
    until_ns: u64,
    reply: SyncSender<DrainedTask>,
}

impl Drain {
    fn run(mut self) {
        let mut flushed = Instant::now();
        let mut housekept = Instant::now();
        loop {
            // Before the commands are looked at: a task is added before it can match, so
            // that every record up to the horizon finds it.
            let horizon_ns = monotonic_ns().saturating_sub(REORDER_WINDOW.as_nanos() as u64);
            if !self.handle_commands() {
                return;
            }
            let now = Instant::now();
            // Before the rings are drained: what they have no room for is known where the gap is, also
            // when this thread was long away.
            if now.duration_since(housekept) >= HOUSEKEEPING {
                self.housekeeping();
                housekept = now;
            }
            let tasks = &mut self.tasks;
            let changed = &self.changed;
            let local = &mut self.local;
            let drained = self.kernel.rings.drain(horizon_ns, BATCH, |header, frame| {
                deliver(tasks, local, changed, header, frame);
            });
            self.local.merge_into(&self.stats);
            self.complete_removals(drained.up_to_ns);
            let now = Instant::now();
            let is_asked = self.flush_at_ns.is_some_and(|at| at <= drained.up_to_ns);
            if is_asked || drained.records == 0 || now.duration_since(flushed) >= POLL_INTERVAL {
                self.flush();
                flushed = now;
            }
            if is_asked {
                self.flush_at_ns = None;
            }
            if drained.records == 0 {
                let is_awaited = !self.removals.is_empty() || self.flush_at_ns.is_some();
                let rest = if is_awaited {
                    REORDER_WINDOW
                } else {
                    POLL_INTERVAL
                };
                self.kernel.rings.wait(rest);
            }
        }
    }

    /// Carries out what was commanded; false once there is nobody to command.
    fn handle_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Add { slot, channel }) => {
                    let lost = self
                        .kernel
                        .losses
                        .read()
                        .map_or(0, |lost| lost[slot.index()]);
                    self.tasks[slot.index()] = Some(TaskState::new(*channel, lost));
                }
                Ok(Command::AddInterface { slot, interface }) => {
                    if let Some(task) = &mut self.tasks[slot.index()] {
                        task.channel.output.add_interface(interface);
                    }
                }
                Ok(Command::Flush { until_ns }) => self.flush_at_ns = Some(until_ns),
                Ok(Command::Remove {
                    slot,
                    until_ns,
                    reply,
                }) => {
                    self.removals.push(PendingRemoval {
                        slot,
                        until_ns,
                        reply,
                    });
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Sends back the outputs that have got everything.
    fn complete_removals(&mut self, drained_to_ns: u64) {
        let tasks = &mut self.tasks;
        let losses = &self.kernel.losses;
        self.removals.retain(
            |PendingRemoval {
                 slot,
                 until_ns,
                 reply,
             }| {
                if *until_ns > drained_to_ns {
                    return true;
                }
                if let Some(mut task) = tasks[slot.index()].take() {
                    if let Some(lost) = losses.read() {
                        task.note_losses(lost[slot.index()], 0);
                    }
                    task.close_gaps(u64::MAX);
                    // Whoever asked is waiting, unless it has panicked: then the output is closed here.
                    let _ = reply.send(DrainedTask {
                        output: task.channel.output,
                        ended_ns: task.clock.unix_ns(*until_ns),
                    });
                }
                false
            },
        );
    }

    fn flush(&mut self) {
        let now = monotonic_ns();
        for task in self.tasks.iter_mut().flatten() {
            task.channel.output.flush();
            if let Some(reason) = task.channel.output.tick(task.clock.unix_ns(now))
                && task.channel.end_signal.set(reason)
            {
                self.changed.notify_one();
            }
        }
    }

    fn housekeeping(&mut self) {
        self.kernel.log.show();
        let reading = ClockReading::now();
        // Before the reading: a packet from after this was certainly not there for it.
        let read_ns = monotonic_ns();
        let lost = self.kernel.losses.read();
        for (index, task) in self.tasks.iter_mut().enumerate() {
            let Some(task) = task else { continue };
            task.clock.follow(reading);
            if let Some(lost) = &lost {
                task.note_losses(lost[index], read_ns);
            }
        }
    }
}

impl Drop for Drain {
    /// Tasks that are left here have lost their reader, with the engine or by a panic: they end, and at once.
    fn drop(&mut self) {
        for task in self.tasks.iter().flatten() {
            if task.channel.end_signal.set(StopReason::Error) {
                self.changed.notify_one();
            }
        }
    }
}
