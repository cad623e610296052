//! A task at the reader: its output, its clock, and the losses that its output does not know of yet.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use capture_common::{MAX_SLOTS, RecordHeader};
use capture_file::{Output, Packet};
use capture_task::task::StopReason;
use tokio::sync::Notify;

use crate::{
    clock::{ClockReading, TaskClock},
    volume::LocalStats,
};

/// What the reader says of a task to the control path.
#[derive(Debug, Default)]
pub(crate) struct EndSignal {
    reason: OnceLock<StopReason>,
}

impl EndSignal {
    /// Why the task should end, once it should.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// Says why; the first reason stays.
    pub(crate) fn set(&self, reason: StopReason) -> bool {
        self.reason.set(reason).is_ok()
    }
}

/// What the control path gives the reader of a task.
pub(crate) struct TaskChannel {
    /// Its output.
    pub(crate) output: Output,
    /// Where the reader says that the task should end.
    pub(crate) end_signal: Arc<EndSignal>,
    /// Generation at which the task was added. Older records belong to a previous owner of the slot.
    pub(crate) generation: u32,
}

/// What the reader knows of a task.
pub(super) struct TaskState {
    pub(super) channel: TaskChannel,
    pub(super) clock: TaskClock,
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

impl TaskState {
    /// A task that begins now, when the kernel has lost `lost` packets of its slot.
    pub(super) fn new(channel: TaskChannel, lost: u64) -> Self {
        Self {
            channel,
            clock: TaskClock::new(ClockReading::now()),
            lost,
            gaps: VecDeque::new(),
        }
    }

    /// Losses of the slot as they were read at this monotonic time.
    pub(super) fn note_losses(&mut self, lost: u64, read_ns: u64) {
        let new = lost.wrapping_sub(self.lost);
        if new != 0 {
            self.gaps.push_back(Gap { lost: new, read_ns });
            self.lost = lost;
        }
    }

    /// Tells the output of the losses that lie before a packet of this monotonic time.
    pub(super) fn close_gaps(&mut self, timestamp_ns: u64) {
        while let Some(gap) = self.gaps.pop_front_if(|gap| gap.read_ns <= timestamp_ns) {
            self.channel.output.note_drops(gap.lost);
        }
    }
}

/// Gives one record to the outputs of its tasks.
pub(super) fn deliver(
    tasks: &mut [Option<TaskState>; MAX_SLOTS],
    local: &mut LocalStats,
    changed: &Notify,
    header: &RecordHeader,
    frame: &[u8],
) {
    let Some(direction) = header.direction() else {
        return;
    };
    local.add(header.ifindex, direction, frame.len());
    let mut slots = header.slots;
    while slots != 0 {
        let slot = slots.trailing_zeros() as usize;
        slots &= slots - 1;
        let Some(task) = &mut tasks[slot] else {
            continue;
        };
        // A record of before the slot was this task's. Generations are compared as serial numbers.
        if (header.generation.wrapping_sub(task.channel.generation) as i32) < 0 {
            continue;
        }
        if !task.gaps.is_empty() {
            task.close_gaps(header.timestamp_ns);
        }
        let packet = Packet {
            timestamp_ns: task.clock.stamp(header.timestamp_ns),
            ifindex: header.ifindex,
            direction,
            original_len: header.original_len,
            vlan: header.vlan,
            data: frame,
        };
        if let Some(reason) = task.channel.output.packet(&packet)
            && task.channel.end_signal.set(reason)
        {
            changed.notify_one();
        }
    }
}
