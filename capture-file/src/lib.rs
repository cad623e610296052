//! The output of one task, from the drain to the disk: [`TaskSink`] (limits, encoding, rotation) on
//! the reader's thread, a bounded channel of buffers, and a writer thread that only does I/O. A program takes
//! the packets itself as a [`Sink`].
//!
//! In the order of flow: `output` is either way, `program` the one to a [`Sink`]. `sink` takes the packets, `encode` turns them into records, `layout` knows
//! what the current file holds, `sizes` what one takes without packets, `rotation` says which file is next, `queue` carries
//! buffers to the thread in `writer`, and `file` opens, syncs and names. `target` and `destination` say what a name stands for
//! and leads to, `part` makes and names the provisional file. `progress` is what others see of the files meanwhile, `disk_budget` what
//! all outputs share of the
//! disk. `closing` is an output whose writer alone is still at work, `recovery` repairs what a killed agent left behind.

mod closing;
mod destination;
mod disk_budget;
mod encode;
mod error;
mod file;
mod layout;
mod output;
mod part;
mod program;
mod progress;
mod queue;
mod recovery;
mod rotation;
mod sink;
mod sizes;
mod target;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use capture_common::{Direction, VlanTag};
use capture_task::task::{Counters, FileRecord, StopReason};

pub use self::{
    closing::ClosingOutput,
    destination::{followed, is_descriptor, replaceable},
    disk_budget::DiskBudget,
    file::sha256,
    output::Output,
    part::{part_of, rename, sync_directory},
    program::{ProgramOutput, Sink},
    progress::OutputFiles,
    recovery::{RecoveredFile, Scan, leftovers, recover, scan},
    sink::TaskSink,
    sizes::size_faults,
    target::{OpenTarget, Target},
};

/// A packet on its way from the drain to a task's output.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since the Unix epoch, UTC; never less than the packet's before it.
    pub timestamp_ns: u64,
    /// Interface index in its network namespace, a key of the [`InterfaceInfo`]s known to the sink.
    pub ifindex: u32,
    /// Ingress or egress.
    pub direction: Direction,
    /// Bytes that the hook saw, the tag in metadata not included.
    pub original_len: u32,
    /// Tag in metadata, to be put back behind the source address (`protocol` 0: none).
    pub vlan: VlanTag,
    /// The frame's first bytes; may be longer than the task's `max_bytes`, and is cut by the sink.
    pub data: &'a [u8],
}

/// What a capture file says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Interface index.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// LINKTYPE_ value (tcpdump.org/linktypes.html): 1 Ethernet, 101 raw IP.
    pub link_type: u16,
}

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

/// What is known of a task once it is detached and drained, for the statistics in the last file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalFigures {
    /// When the last hook was attached, nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// When the capture ended, nanoseconds since the Unix epoch.
    pub ended_ns: u64,
    /// Statistics of each interface that has some.
    pub interfaces: Vec<InterfaceStats>,
    /// Packets that matched in the kernel.
    pub matched: u64,
    /// Packets longer than `max_bytes` under `oversize: discard`.
    pub oversize_discarded: u64,
    /// Packets for which the ring had no room.
    pub dropped_ring: u64,
    /// Packets whose bytes the kernel could not read.
    pub dropped_copy: u64,
}

/// Statistics of one interface, from the start of the task to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStats {
    /// Interface index.
    pub ifindex: u32,
    /// Packets that the hooks saw, matching or not (pcapng `isb_ifrecv`).
    pub seen: u64,
    /// Packets that the interface itself dropped (`isb_ifdrop`); `None` where nobody knows.
    pub dropped: Option<u64>,
}

/// The end of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReport {
    /// The files that exist, in order; those that a ring removed are not among them.
    pub files: Vec<FileRecord>,
    /// What went wrong, where something did.
    pub error: Option<(StopReason, String)>,
}

/// The figures of an output, readable from any thread at any time.
///
/// Once [`ClosingOutput::report`] has returned, the packets given to [`Output::packet`] are exactly
/// `captured + over_limit + dropped_queue + dropped_write`.
#[derive(Debug, Default)]
pub struct OutputCounters {
    captured: AtomicU64,
    bytes: AtomicU64,
    over_limit: AtomicU64,
    dropped_queue: AtomicU64,
    dropped_write: AtomicU64,
    files: OutputFiles,
}

impl OutputCounters {
    /// Packets that write(2) has taken whole, or a program's [`Sink`].
    pub fn captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }

    /// Bytes kept of those packets, file format overhead not counted.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Packets that came after a limit was reached, or after a [`Sink`] wanted no more.
    pub fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Packets for which no buffer was free.
    pub fn dropped_queue(&self) -> u64 {
        self.dropped_queue.load(Ordering::Relaxed)
    }

    /// Packets lost to a failed output.
    pub fn dropped_write(&self) -> u64 {
        self.dropped_write.load(Ordering::Relaxed)
    }

    /// The files, as far as they are written.
    pub fn files(&self) -> &OutputFiles {
        &self.files
    }

    /// Puts the figures into those of the task, and leaves the kernel's figures there alone.
    pub fn fill(&self, counters: &mut Counters) {
        counters.captured = self.captured();
        counters.bytes = self.bytes();
        counters.over_limit = self.over_limit();
        counters.dropped.queue = self.dropped_queue();
        counters.dropped.write = self.dropped_write();
    }
}

/// Adds to a counter that has one writer and readers that want no order.
fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
