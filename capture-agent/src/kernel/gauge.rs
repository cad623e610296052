//! How full the rings are: the positions of their two ends, which the kernel keeps in the pages in
//! front of the data (struct bpf_ringbuf in kernel/bpf/ringbuf.c). The reader is not asked.

use std::{
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use nix::sys::mman::ProtFlags;

use super::mapping::{Mapping, page_len};

/// The positions of a ring's ends. The kernel has them as `unsigned long`, which is 64 bits here.
pub(super) struct RingGauge {
    /// The consumer's page, and the producer's.
    pages: Mapping,
    page: usize,
    /// Bytes of the ring.
    size: u32,
}

impl RingGauge {
    /// Maps the positions of the ring `map`, which has `size` bytes.
    pub(super) fn of(map: impl AsFd, size: u32) -> Result<Self> {
        const { assert!(size_of::<libc::c_ulong>() == 8) };
        let page = page_len()?;
        let pages = Mapping::new(map, 0, 2 * page, ProtFlags::PROT_READ)
            .context("mapping the positions of a ring")?;
        Ok(Self { pages, page, size })
    }

    /// The part of the ring that is in use, 0–1.
    pub(super) fn used(&self) -> f64 {
        // The consumer's first: what is written meanwhile makes it fuller, and never less than empty.
        let consumer = self.position(0);
        let producer = self.position(self.page);
        let used = producer.wrapping_sub(consumer).min(self.size.into());
        used as f64 / f64::from(self.size)
    }

    fn position(&self, offset: usize) -> u64 {
        // SAFETY: both pages are mapped for as long as self lives, and a position is at the start of
        // each, aligned.
        let position = unsafe { self.pages.at(offset).cast::<AtomicU64>().as_ref() };
        position.load(Ordering::Acquire)
    }
}
