//! The reader: one thread that drains the rings in order of time and hands every record to the
//! outputs of the tasks that matched. It waits for no other thread: outputs have bounded queues, what
//! the control path wants comes by a bounded channel that is looked at between batches, and figures that
//! somebody is reading are handed over with the next batch. The locks that it takes are those inside channels
//! and wake-ups, which are held for some instructions, and that of the log, for faults.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use capture_common::{MAX_SLOTS, RecordHeader};
use capture_file::{InterfaceInfo, Packet, TaskSink};
use capture_task::{
    error::{Error, Result},
    task::StopReason,
};
use tokio::sync::Notify;

use crate::{
    clock::{ClockReading, TaskClock, monotonic_ns},
    engine::{Batch, Taken},
    kernel::{ReaderSide, SlotId},
};

/// How long a record may take from its time stamp to the ring: younger ones wait for the next look,
/// so that an older one of another CPU can still come before them. The copy takes microseconds; a
/// virtual CPU that loses its core in between takes longer.
const SETTLE: Duration = Duration::from_millis(2);

/// Longest rest of the reader, and so about the age at which a packet of a quiet link leaves for its file.
const REST: Duration = Duration::from_millis(10);

/// Records between two looks at the commands and the clock.
const BATCH: usize = 4096;

/// Time between two readings of the clocks and of the kernel's losses.
const HOUSEKEEPING: Duration = Duration::from_millis(200);

/// Commands under way to the reader.
const COMMANDS: usize = 64;

/// What the reader says of a task to the control path.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    reason: OnceLock<StopReason>,
}

impl Ending {
    /// Why the task should end, once it should.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// Says why; the first reason stays.
    pub(crate) fn set(&self, reason: StopReason) -> bool {
        self.reason.set(reason).is_ok()
    }
}

/// The control path's hold on the reader.
pub(crate) struct Reader {
    /// `None` once the reader was told to go.
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// A task's place at the reader.
pub(crate) struct Lane {
    /// Its output.
    pub(crate) sink: TaskSink,
    /// Where the reader says that the task should end.
    pub(crate) ending: Arc<Ending>,
    /// State of the slots since when records may be for this task.
    pub(crate) generation: u32,
}

/// A task's output with everything in it.
pub(crate) struct Drained {
    /// The output.
    pub(crate) sink: TaskSink,
    /// The end by the task's clock, nanoseconds since the Unix epoch: that of its packets.
    pub(crate) ended_ns: u64,
}

enum Command {
    Add {
        slot: SlotId,
        lane: Box<Lane>,
    },
    AddInterface {
        slot: SlotId,
        interface: InterfaceInfo,
    },
    /// Hands what was captured up to `until_ns` to the writers.
    Flush {
        until_ns: u64,
    },
    /// Sends the output back once every record up to `until_ns` is in it.
    Remove {
        slot: SlotId,
        until_ns: u64,
        reply: SyncSender<Drained>,
    },
}

impl Reader {
    /// Starts the thread.
    pub(crate) fn start(
        kernel: ReaderSide,
        taken: Arc<Taken>,
        changed: Arc<Notify>,
    ) -> Result<Self> {
        let (commands, receiver) = sync_channel(COMMANDS);
        let drain = Drain {
            kernel,
            taken,
            batch: Batch::default(),
            changed,
            commands: receiver,
            places: [const { None }; MAX_SLOTS],
            leaving: Vec::new(),
            flush_at_ns: None,
        };
        let thread = thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || drain.run())
            .map_err(|error| Error::runtime(format!("cannot start the reader thread: {error}")))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Gives a task its place; done before the task is active.
    pub(crate) fn add(&self, slot: SlotId, lane: Lane) -> Result<()> {
        self.send(Command::Add {
            slot,
            lane: Box::new(lane),
        })
    }

    /// Tells a task's output of one more interface; done before the first packet from there.
    pub(crate) fn add_interface(&self, slot: SlotId, interface: InterfaceInfo) -> Result<()> {
        self.send(Command::AddInterface { slot, interface })
    }

    /// Takes a task's output back, with every record up to `until_ns` (monotonic) in it.
    pub(crate) fn remove(&self, slot: SlotId, until_ns: u64) -> Result<Drained> {
        let (reply, drained) = sync_channel(1);
        self.send(Command::Remove {
            slot,
            until_ns,
            reply,
        })?;
        drained.recv().map_err(|_| gone())
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
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        commands.send(command).map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::runtime("the reader thread has ended before its time; this is a bug")
}

impl Drop for Reader {
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
    taken: Arc<Taken>,
    batch: Batch,
    changed: Arc<Notify>,
    commands: Receiver<Command>,
    places: [Option<Place>; MAX_SLOTS],
    leaving: Vec<Leaving>,
    /// What was captured up to this monotonic time is to be handed to the writers.
    flush_at_ns: Option<u64>,
}

struct Place {
    lane: Lane,
    clock: TaskClock,
    /// Packets that the kernel could not give us, as far as we have looked.
    lost: u64,
    gaps: VecDeque<Gap>,
}

/// Packets lost that the output does not know of yet. Losses are read while the ring still holds what
/// came before them: they belong to the first packet from after the reading.
struct Gap {
    lost: u64,
    /// Monotonic time of the reading.
    read_ns: u64,
}

struct Leaving {
    slot: SlotId,
    until_ns: u64,
    reply: SyncSender<Drained>,
}

impl Drain {
    fn run(mut self) {
        let mut flushed = Instant::now();
        let mut kept_house = Instant::now();
        loop {
            // Before the commands are looked at: a task's place is commanded before it can match, so
            // that every record up to the horizon finds its place.
            let horizon_ns = monotonic_ns().saturating_sub(SETTLE.as_nanos() as u64);
            if !self.obey() {
                return;
            }
            let now = Instant::now();
            // Before the rings are drained: what they have no room for is known where the gap is, also
            // when this thread was long away.
            if now.duration_since(kept_house) >= HOUSEKEEPING {
                self.keep_house();
                kept_house = now;
            }
            let places = &mut self.places;
            let changed = &self.changed;
            let batch = &mut self.batch;
            let drained = self.kernel.rings.drain(horizon_ns, BATCH, |header, frame| {
                deliver(places, batch, changed, header, frame);
            });
            self.batch.hand_over(&self.taken);
            self.let_go(drained.up_to_ns);
            let now = Instant::now();
            let is_asked = self.flush_at_ns.is_some_and(|at| at <= drained.up_to_ns);
            if is_asked || drained.records == 0 || now.duration_since(flushed) >= REST {
                self.flush();
                flushed = now;
            }
            if is_asked {
                self.flush_at_ns = None;
            }
            if drained.records == 0 {
                let is_awaited = !self.leaving.is_empty() || self.flush_at_ns.is_some();
                let rest = if is_awaited { SETTLE } else { REST };
                self.kernel.rings.wait(rest);
            }
        }
    }

    /// Carries out what was commanded; false once there is nobody to command.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Add { slot, lane }) => {
                    let clock = TaskClock::new(ClockReading::now());
                    let lost = self
                        .kernel
                        .losses
                        .read()
                        .map_or(0, |lost| lost[slot.index()]);
                    self.places[slot.index()] = Some(Place {
                        lane: *lane,
                        clock,
                        lost,
                        gaps: VecDeque::new(),
                    });
                }
                Ok(Command::AddInterface { slot, interface }) => {
                    if let Some(place) = &mut self.places[slot.index()] {
                        place.lane.sink.add_interface(interface);
                    }
                }
                Ok(Command::Flush { until_ns }) => self.flush_at_ns = Some(until_ns),
                Ok(Command::Remove {
                    slot,
                    until_ns,
                    reply,
                }) => {
                    self.leaving.push(Leaving {
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
    fn let_go(&mut self, drained_to_ns: u64) {
        let places = &mut self.places;
        let losses = &self.kernel.losses;
        self.leaving.retain(
            |Leaving {
                 slot,
                 until_ns,
                 reply,
             }| {
                if *until_ns > drained_to_ns {
                    return true;
                }
                if let Some(mut place) = places[slot.index()].take() {
                    if let Some(lost) = losses.read() {
                        place.note_losses(lost[slot.index()], 0);
                    }
                    place.close_gaps(u64::MAX);
                    // Whoever asked is waiting, unless it has panicked: then the output is closed here.
                    let _ = reply.send(Drained {
                        sink: place.lane.sink,
                        ended_ns: place.clock.unix_ns(*until_ns),
                    });
                }
                false
            },
        );
    }

    fn flush(&mut self) {
        let now = monotonic_ns();
        for place in self.places.iter_mut().flatten() {
            place.lane.sink.flush();
            if let Some(reason) = place.lane.sink.tick(place.clock.unix_ns(now))
                && place.lane.ending.set(reason)
            {
                self.changed.notify_one();
            }
        }
    }

    fn keep_house(&mut self) {
        self.kernel.log.show();
        let reading = ClockReading::now();
        // Before the reading: a packet from after this was certainly not there for it.
        let read_ns = monotonic_ns();
        let lost = self.kernel.losses.read();
        for (index, place) in self.places.iter_mut().enumerate() {
            let Some(place) = place else { continue };
            place.clock.follow(reading);
            if let Some(lost) = &lost {
                place.note_losses(lost[index], read_ns);
            }
        }
    }
}

impl Drop for Drain {
    /// Tasks that are left here have lost their reader, with the engine or by a panic: they end, and at once.
    fn drop(&mut self) {
        for place in self.places.iter().flatten() {
            if place.lane.ending.set(StopReason::Error) {
                self.changed.notify_one();
            }
        }
    }
}

impl Place {
    fn note_losses(&mut self, lost: u64, read_ns: u64) {
        let new = lost.wrapping_sub(self.lost);
        if new != 0 {
            self.gaps.push_back(Gap { lost: new, read_ns });
            self.lost = lost;
        }
    }

    /// Tells the output of the losses that lie before a packet of this monotonic time.
    fn close_gaps(&mut self, timestamp_ns: u64) {
        while let Some(gap) = self.gaps.pop_front_if(|gap| gap.read_ns <= timestamp_ns) {
            self.lane.sink.note_drops(gap.lost);
        }
    }
}

/// Gives one record to the outputs of its tasks.
fn deliver(
    places: &mut [Option<Place>; MAX_SLOTS],
    batch: &mut Batch,
    changed: &Notify,
    header: &RecordHeader,
    frame: &[u8],
) {
    let Some(direction) = header.direction() else {
        return;
    };
    batch.add(header.ifindex, direction, frame.len());
    let mut slots = header.slots;
    while slots != 0 {
        let slot = slots.trailing_zeros() as usize;
        slots &= slots - 1;
        let Some(place) = &mut places[slot] else {
            continue;
        };
        // A record of before the slot was this task's. Generations are compared as serial numbers.
        if (header.generation.wrapping_sub(place.lane.generation) as i32) < 0 {
            continue;
        }
        if !place.gaps.is_empty() {
            place.close_gaps(header.timestamp_ns);
        }
        let packet = Packet {
            timestamp_ns: place.clock.stamp(header.timestamp_ns),
            ifindex: header.ifindex,
            direction,
            original_len: header.original_len,
            vlan: header.vlan,
            data: frame,
        };
        if let Some(reason) = place.lane.sink.packet(&packet)
            && place.lane.ending.set(reason)
        {
            changed.notify_one();
        }
    }
}
