//! How full the rings are: the positions of their two ends, which the kernel keeps in the pages in
//! front of the data (struct bpf_ringbuf in kernel/bpf/ringbuf.c). The reader is not asked.

use std::{
    num::NonZeroUsize,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{SysconfVar, sysconf},
};

/// The positions of a ring's ends. The kernel has them as `unsigned long`, which is 64 bits here.
pub(super) struct RingGauge {
    pages: NonNull<AtomicU64>,
    page: NonZeroUsize,
    /// Bytes of the ring.
    size: u32,
}

// SAFETY: the memory is shared with the kernel anyway, and only read, by atomics.
unsafe impl Send for RingGauge {}
// SAFETY: as above.
unsafe impl Sync for RingGauge {}

impl RingGauge {
    /// Maps the positions of the ring `map`, which has `size` bytes.
    pub(super) fn of(map: impl AsFd, size: u32) -> Result<Self> {
        const { assert!(size_of::<libc::c_ulong>() == 8) };
        let page = sysconf(SysconfVar::PAGE_SIZE)?.unwrap_or(4096);
        let page = usize::try_from(page).ok().and_then(NonZeroUsize::new);
        let page = page.context("the system has no page size")?;
        // The consumer's page, and the producer's.
        let both = page.saturating_mul(const { NonZeroUsize::new(2).unwrap() });
        // SAFETY: a new mapping that is only read, at an address of the kernel's choice.
        let pages = unsafe {
            mmap(
                None,
                both,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                map,
                0,
            )
        }
        .context("mapping the positions of a ring")?;
        Ok(Self {
            pages: pages.cast(),
            page,
            size,
        })
    }

    /// The part of the ring that is in use, 0–1.
    pub(super) fn used(&self) -> f64 {
        // The consumer's first: what is written meanwhile makes it fuller, and never less than empty.
        let consumer = self.position(0);
        let producer = self.position(self.page.get());
        let used = producer.wrapping_sub(consumer).min(self.size.into());
        used as f64 / f64::from(self.size)
    }

    fn position(&self, offset: usize) -> u64 {
        // SAFETY: both pages are mapped for as long as self lives, and a position is at the start of
        // each, aligned.
        let position = unsafe { self.pages.byte_add(offset).as_ref() };
        position.load(Ordering::Acquire)
    }
}

impl Drop for RingGauge {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody has a reference into it any more.
        if let Err(error) = unsafe { munmap(self.pages.cast(), 2 * self.page.get()) } {
            log::debug!("unmapping the positions of a ring: {error}");
        }
    }
}
