//! Array maps in our own memory, so that single words change while programs read them. The tables
//! of tasks (`tables`, `addresses`) are made of these wherever a change of a whole value would touch
//! the bits of other tasks.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use aya::maps::Map;
use nix::sys::mman::ProtFlags;

use super::mmap::Mapping;

/// Sets or clears one task's bit.
pub(super) fn put(word: &AtomicU64, bit: u64, value: bool) {
    // Release: what was entered before is seen by a program that sees the bit, on machines that keep its loads
    // in order (x86). Elsewhere a packet that is matched at this moment may be matched by what was there before.
    if value {
        word.fetch_or(bit, Ordering::Release);
    } else {
        word.fetch_and(!bit, Ordering::Release);
    }
}

/// What values of a map may be seen as while programs read them: atomic words.
///
/// # Safety
/// The type must be made of atomic integers and nothing else, without padding, and have no more alignment than a
/// page.
pub(super) unsafe trait Words {}

// SAFETY: an atomic integer.
unsafe impl Words for AtomicU32 {}
// SAFETY: an atomic integer.
unsafe impl Words for AtomicU64 {}
// SAFETY: nothing but elements that are made of them.
unsafe impl<T: Words, const N: usize> Words for [T; N] {}

/// The values of an array map, in our memory.
pub(super) struct MmapTable<T> {
    memory: Mapping,
    /// Kept open: programs that are not loaded yet name their maps by descriptor.
    _map: Map,
    values: PhantomData<T>,
}

impl<T: Words> MmapTable<T> {
    /// Maps the values of an array map, which has at least as many bytes as `T`: the kernel maps no more than there
    /// is.
    pub(super) fn of(map: Map) -> Result<Self> {
        const { assert!(size_of::<T>() > 0) };
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let memory = Mapping::new(&map, size_of::<T>(), protection)
            .context("mapping a table of the kernel")?;
        Ok(Self {
            memory,
            _map: map,
            values: PhantomData,
        })
    }

    /// The values.
    pub(super) fn words(&self) -> &T {
        // SAFETY: mapped for as long as self lives, and page-aligned. T is made of atomics (`Words`), so that
        // the kernel's and our own accesses at the same time are defined.
        unsafe { self.memory.at(0).cast::<T>().as_ref() }
    }
}
