//! One ring of the kernel, read in place. Like `aya::maps::RingBuf`, but what was read is given back to the
//! kernel in larger pieces: each time the position of the reader is written, the CPU that fills the ring has
//! to fetch it anew with its next record. [`rings`](super::rings) merges several of these.

use std::{
    os::fd::AsFd,
    slice,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result};
use aya::maps::MapData;
use aya_obj::generated::{BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ};
use nix::sys::mman::ProtFlags;

use super::mapping::{Mapping, page_len};

/// Most bytes that were read and are not given back yet.
const HELD_BACK: usize = 64 << 10;

/// A ring as `kernel/bpf/ringbuf.c` lays it out: a page with the reader's position, a page with the
/// producers', and the data twice in a row, so that no record is ever torn at the end.
pub(super) struct Ring {
    /// Kept open, for those who wait for it.
    _map: MapData,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    mask: usize,
    /// Where the reader is.
    at: usize,
    /// Where the kernel believes that it is.
    given_back: usize,
    /// The producers' position when last looked at.
    filled_to: usize,
}

impl Ring {
    /// Maps a ring of `bytes` bytes, a power of two of whole pages.
    pub(super) fn of(map: MapData, bytes: u32) -> Result<Self> {
        let page = page_len()?;
        let bytes = bytes as usize;
        let read_write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let consumer =
            Mapping::new(map.fd().as_fd(), 0, page, read_write).context("mapping a ring")?;
        let producer = Mapping::new(
            map.fd().as_fd(),
            page,
            page + 2 * bytes,
            ProtFlags::PROT_READ,
        )
        .context("mapping a ring")?;
        let mut ring = Self {
            _map: map,
            consumer,
            producer,
            page,
            mask: bytes - 1,
            at: 0,
            given_back: 0,
            filled_to: 0,
        };
        ring.at = position(&ring.consumer).load(Ordering::Acquire);
        ring.given_back = ring.at;
        ring.filled_to = ring.at;
        Ok(ring)
    }

    /// The record at the head, if one is there and whole.
    #[inline]
    pub(super) fn head(&mut self) -> Option<&[u8]> {
        loop {
            if self.at == self.filled_to {
                self.filled_to = position(&self.producer).load(Ordering::Acquire);
                if self.at == self.filled_to {
                    return None;
                }
            }
            let header = self.header();
            if header & BPF_RINGBUF_BUSY_BIT != 0 {
                return None;
            }
            if header & BPF_RINGBUF_DISCARD_BIT == 0 {
                let start = self.page + (self.at & self.mask) + BPF_RINGBUF_HDR_SZ as usize;
                // SAFETY: the kernel keeps the positions within the ring and a record no longer than it,
                // the data is mapped twice behind the page, and the kernel leaves a record alone that
                // is not busy and not given back.
                return Some(unsafe {
                    slice::from_raw_parts(self.producer.at(start).as_ptr(), header as usize)
                });
            }
            self.at += taken(header);
        }
    }

    /// Goes on to what comes after the head. Does nothing where there is none.
    #[inline]
    pub(super) fn next(&mut self) {
        if self.at != self.filled_to {
            self.at += taken(self.header());
            if self.at.wrapping_sub(self.given_back) > HELD_BACK.min(self.mask / 8) {
                self.give_back();
            }
        }
    }

    /// Gives everything that was read back to the kernel.
    pub(super) fn give_back(&mut self) {
        if self.given_back != self.at {
            // Release: read before it is written over; the kernel acquires in `__bpf_ringbuf_reserve`.
            position(&self.consumer).store(self.at, Ordering::Release);
            self.given_back = self.at;
        }
    }

    /// Length and flags of the record at the head.
    fn header(&self) -> u32 {
        let start = self.page + (self.at & self.mask);
        // SAFETY: as in `head`; records begin at multiples of eight, and the kernel writes the word
        // atomically. Acquire: the record is written before it is no longer busy.
        unsafe { self.producer.at(start).cast::<AtomicU32>().as_ref() }.load(Ordering::Acquire)
    }
}

/// Bytes of the ring that a record with this header takes.
fn taken(header: u32) -> usize {
    let len = header & !(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    (len + BPF_RINGBUF_HDR_SZ).next_multiple_of(8) as usize
}

/// The position in the first word of the reader's or of the producers' page.
fn position(mapping: &Mapping) -> &AtomicUsize {
    // SAFETY: page-aligned, mapped for as long as the reference lives, and written by atomics on both sides.
    unsafe { mapping.at(0).cast().as_ref() }
}
