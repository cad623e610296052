//! One CPU's ring, read in place. The programs put records into it (`capture-ebpf/src/ring.rs`), and both ends of
//! it lie in memory of maps that is ours too. [`merge`](super::merge) merges several of these.

use std::{
    slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use aya::maps::Map;
use capture_common::{
    CHUNK_LEN, NEXT_CHUNK, RECORD_ALIGN, RECORD_HEADER_LEN, RecordHeader, RingEnds,
};
use nix::sys::mman::ProtFlags;

use super::mmap::Mapping;

/// Most bytes that were read and are not given back yet: a CPU that looks for room has to fetch the position
/// anew each time that it was written.
const HELD_BACK: u64 = 64 << 10;

/// Memory of all rings.
pub(super) struct RingMemory {
    chunks: Mapping,
    order: Mapping,
    ends: Mapping,
    /// Kept open: programs that are not loaded yet name their maps by descriptor.
    _maps: [Map; 3],
}

impl RingMemory {
    /// Maps the chunks, the order and the ends of `rings` rings of `bytes` bytes each.
    pub(super) fn of(maps: [Map; 3], rings: usize, bytes: u32) -> Result<Arc<Self>> {
        let [chunks, order, ends] = &maps;
        let map =
            |map, len, protection| Mapping::new(map, len, protection).context("mapping the rings");
        let read_write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = rings * bytes as usize;
        let count = len / CHUNK_LEN;
        let memory = Self {
            chunks: map(chunks, len, ProtFlags::PROT_READ)?,
            order: map(order, count * size_of::<u64>(), read_write)?,
            ends: map(ends, rings * size_of::<RingEnds>(), read_write)?,
            _maps: maps,
        };
        for place in 0..count {
            memory.order(place).store(place as u64, Ordering::Relaxed);
        }
        Ok(Arc::new(memory))
    }

    /// The chunk at a place in a ring, those of ring 0 first.
    fn order(&self, place: usize) -> &AtomicU64 {
        let word = self.order.at(place * size_of::<u64>());
        // SAFETY: mapped for as long as self lives, aligned, and written by whole words on both sides.
        unsafe { word.cast().as_ref() }
    }

    /// A word of the ends of a ring.
    fn end(&self, ring: usize, field: usize) -> &AtomicU64 {
        let end = self.ends.at(ring * size_of::<RingEnds>() + field);
        // SAFETY: mapped for as long as self lives, aligned, and written by whole words on both sides.
        unsafe { end.cast().as_ref() }
    }

    fn producer_pos(&self, ring: usize) -> &AtomicU64 {
        self.end(ring, std::mem::offset_of!(RingEnds, producer_pos))
    }

    fn consumer_pos(&self, ring: usize) -> &AtomicU64 {
        self.end(ring, std::mem::offset_of!(RingEnds, consumer_pos))
    }
}

/// A ring as its reader has it.
pub(super) struct Ring {
    memory: Arc<RingMemory>,
    index: usize,
    /// Bytes of the ring, a power of two.
    bytes: u64,
    /// Where the reader is; what lies before it and is not given back may still be in use.
    at: u64,
    /// Bytes of the record at the head, once it was looked at; 0 where there is none.
    head_len: u64,
    consumer_pos: u64,
    /// The programs' end when last looked at.
    seen: u64,
    /// Until where may be read.
    producer_pos: u64,
}

impl Ring {
    /// The ring of CPU `index`, which has `bytes` bytes.
    pub(super) fn of(memory: Arc<RingMemory>, index: usize, bytes: u32) -> Self {
        let at = memory.consumer_pos(index).load(Ordering::Acquire);
        Self {
            memory,
            index,
            bytes: bytes.into(),
            at,
            head_len: 0,
            consumer_pos: at,
            seen: at,
            producer_pos: at,
        }
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> &RingMemory {
        &self.memory
    }

    /// Looks how far the programs are; true where there is more than may be read.
    #[inline]
    pub(super) fn look(&mut self) -> bool {
        self.seen = self.memory.producer_pos(self.index).load(Ordering::Acquire);
        self.seen != self.producer_pos
    }

    /// Lets be read what was there at the last look. On machines that do not keep stores in order, that is only
    /// once the programs that ran then have ended.
    #[inline]
    pub(super) fn let_read(&mut self) {
        self.producer_pos = self.seen;
    }

    /// The record at the head, if there is one that may be read.
    #[inline]
    pub(super) fn head(&mut self) -> Option<(RecordHeader, &[u8])> {
        self.head_len = 0;
        loop {
            if self.at >= self.producer_pos {
                return None;
            }
            let left = CHUNK_LEN as u64 - self.at % CHUNK_LEN as u64;
            let within = left.min(self.producer_pos - self.at) as usize;
            let place = (self.index as u64 * self.bytes + self.at % self.bytes) / CHUNK_LEN as u64;
            let chunk = self.memory.order(place as usize).load(Ordering::Relaxed);
            let start = chunk * CHUNK_LEN as u64 + self.at % CHUNK_LEN as u64;
            let start = self.memory.chunks.at(start as usize);
            // SAFETY: within a chunk, and programs leave alone what lies before their end and is not given back.
            if within >= RECORD_HEADER_LEN && unsafe { start.cast::<u64>().read() } != NEXT_CHUNK {
                // SAFETY: as above; the mapping outlives self.
                let record = unsafe { slice::from_raw_parts(start.as_ptr(), within) };
                if let Some((header, frame)) = RecordHeader::split(record) {
                    let len = (RECORD_HEADER_LEN + frame.len()).next_multiple_of(RECORD_ALIGN);
                    self.head_len = len as u64;
                    return Some((header, frame));
                }
            }
            // The rest of a chunk. A record that is not whole would be skipped like it, and there is none.
            self.at += within as u64;
        }
    }

    /// Goes on to what comes after the head. Does nothing where there is none.
    #[inline]
    pub(super) fn next(&mut self) {
        self.at += std::mem::take(&mut self.head_len);
        if self.at - self.consumer_pos > HELD_BACK {
            self.give_back();
        }
    }

    /// Gives everything that was read back to the programs.
    pub(super) fn give_back(&mut self) {
        if self.consumer_pos != self.at {
            // Release: read before it is written over. The programs look at it before they write there.
            let at = self.at;
            self.memory
                .consumer_pos(self.index)
                .store(at, Ordering::Release);
            self.consumer_pos = at;
        }
    }
}

/// How full a ring is. The reader is not asked.
pub(super) struct RingGauge {
    memory: Arc<RingMemory>,
    index: usize,
    bytes: u32,
}

impl RingGauge {
    /// Of the ring of CPU `index`, which has `bytes` bytes.
    pub(super) fn of(memory: Arc<RingMemory>, index: usize, bytes: u32) -> Self {
        Self {
            memory,
            index,
            bytes,
        }
    }

    /// The part of the ring that is in use, 0–1.
    pub(super) fn used(&self) -> f64 {
        // The reader's end first: what is written meanwhile makes it fuller, and never less than empty.
        let consumer_pos = self.memory.consumer_pos(self.index).load(Ordering::Acquire);
        let producer_pos = self.memory.producer_pos(self.index).load(Ordering::Acquire);
        let used = producer_pos
            .wrapping_sub(consumer_pos)
            .min(self.bytes.into());
        used as f64 / f64::from(self.bytes)
    }
}

#[cfg(test)]
mod tests;
