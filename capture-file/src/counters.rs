//! The counters of an output. The reader's side and the writer add to them, and any thread may read them.

use std::sync::atomic::{AtomicU64, Ordering};

use capture_task::task::Counters;

use super::progress::OutputFiles;

/// Counters of an output, readable from any thread at any time.
///
/// Once [`ClosingOutput::report`](super::ClosingOutput::report) has returned, the packets given to [`Output::packet`](super::Output::packet) are exactly
/// `captured + over_limit + dropped_queue + dropped_write`.
#[derive(Debug, Default)]
pub struct OutputCounters {
    pub(super) captured: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) over_limit: AtomicU64,
    pub(super) dropped_queue: AtomicU64,
    pub(super) dropped_write: AtomicU64,
    pub(super) files: OutputFiles,
}

impl OutputCounters {
    /// Packets that write(2) has taken whole, or a program's [`Sink`](super::Sink).
    pub fn captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }

    /// Bytes kept of those packets, file format overhead not counted.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Packets that came after a limit was reached, or after a [`Sink`](super::Sink) wanted no more.
    pub fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Packets lost because no buffer was free.
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

    /// Fills in its part of the task's counters; the kernel's part is left alone.
    pub fn fill(&self, counters: &mut Counters) {
        counters.captured = self.captured();
        counters.bytes = self.bytes();
        counters.over_limit = self.over_limit();
        counters.dropped.queue = self.dropped_queue();
        counters.dropped.write = self.dropped_write();
    }
}

/// Adds to a counter that has one writer and readers that want no order.
pub(super) fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
