//! Array maps in our own memory, so that single words change while programs read them. The tables
//! of tasks (`tables`, `addresses`) are made of these wherever a change of a whole value would touch
//! the bits of other tasks.

use std::{
    num::NonZeroUsize,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, bail};
use aya::maps::Map;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Sets or clears one task's bit.
pub(super) fn put(word: &AtomicU64, bit: u64, value: bool) {
    // Release: what was entered before is seen by a program that sees the bit.
    if value {
        word.fetch_or(bit, Ordering::Release);
    } else {
        word.fetch_and(!bit, Ordering::Release);
    }
}

/// The values of an array map (`BPF_F_MMAPABLE`, 5.5), in our memory.
pub(super) struct Mapped<T> {
    memory: NonNull<T>,
    /// Kept open: programs that are not loaded yet name their maps by descriptor.
    _map: Map,
}

// SAFETY: the memory is shared with the kernel anyway, and holds atomics only; the map is a descriptor.
unsafe impl<T: Sync> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Mapped<T> {}

impl<T> Mapped<T> {
    /// Maps the values of an array map, which must be made of as many bytes as `T`.
    pub(super) fn of(map: Map) -> Result<Self> {
        let Map::Array(data) = &map else {
            bail!("a table that should be an array is something else");
        };
        // SAFETY: a new shared mapping of a map's memory, at an address of the kernel's choice.
        let memory = unsafe {
            mmap(
                None,
                Self::len(),
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                data.fd().as_fd(),
                0,
            )
        }
        .context("mapping a table of the kernel")?;
        Ok(Self {
            memory: memory.cast(),
            _map: map,
        })
    }

    fn len() -> NonZeroUsize {
        const { assert!(size_of::<T>() > 0) };
        NonZeroUsize::new(size_of::<T>().next_multiple_of(4096)).unwrap_or(NonZeroUsize::MIN)
    }

    /// The values.
    pub(super) fn words(&self) -> &T {
        // SAFETY: mapped for as long as self lives, page-aligned, and T is made of atomics, so that
        // the kernel's and our own accesses at the same time are defined.
        unsafe { self.memory.as_ref() }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody has a reference into it any more.
        if let Err(error) = unsafe { munmap(self.memory.cast(), Self::len().get()) } {
            log::debug!("unmapping a table: {error}");
        }
    }
}
