//! The values of an array map in our own memory. What lies in it is the business of [`mmap_table`](super::mmap_table)
//! (tables) and of [`ring`](super::ring).

use std::{num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

use anyhow::{Context as _, Result, bail};
use aya::maps::Map;
use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{SysconfVar, sysconf},
};

/// Shared memory of a map, until it is dropped.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: a mapping belongs to the process and not to a thread, and nothing of it is given out but addresses.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of the values of an array map (`BPF_F_MMAPABLE`, 5.5), and the rest of the
    /// last page.
    pub(super) fn new(map: &Map, len: usize, protection: ProtFlags) -> Result<Self> {
        let Map::Array(data) = map else {
            bail!("what should be an array is something else");
        };
        let fd = data.fd().as_fd();
        let len = len.next_multiple_of(page_len()?);
        let len = NonZeroUsize::new(len).context("a map without bytes")?;
        // SAFETY: a new shared mapping at an address of the kernel's choice.
        let start = unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Self {
            start: start.cast(),
            len,
        })
    }

    /// The byte at an offset, which must be less than the length. The start is page-aligned.
    pub(super) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len.get(), "beyond the mapping");
        // SAFETY: within the mapping, as was just asked.
        unsafe { self.start.byte_add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody has a reference into it any more.
        if let Err(error) = unsafe { munmap(self.start.cast(), self.len.get()) } {
            log::debug!("unmapping a map: {error}");
        }
    }
}

/// Bytes of a page.
pub(super) fn page_len() -> Result<usize> {
    let len = sysconf(SysconfVar::PAGE_SIZE).context("asking for the size of a page")?;
    len.and_then(|len| usize::try_from(len).ok())
        .context("pages have no size")
}
