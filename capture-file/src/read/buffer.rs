//! The one buffer of a reader: records are looked at where they were read, and lent from there. It grows only
//! as data comes, so no length in a file makes it larger than the file.

use std::{
    io::{self, Read},
    mem,
};

use super::{
    error::ErrorCause,
    source::{Compression, Source},
};

/// It stays in the cache of a core, and is large enough for a system call to cost nothing.
const INITIAL_LEN: usize = 256 * 1024;

/// For a few packets from a place on.
const RESUMED_LEN: usize = 64 * 1024;

/// What was read of a source, and not yet used.
pub(super) struct Buffer<R: Read> {
    source: Source<R>,
    /// All of it is initialised; `start..end` is what is there.
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// Place of `data[0]` in the content.
    base: u64,
    /// Whether the end of the source is only the end so far.
    following: bool,
}

impl<R: Read> Buffer<R> {
    pub(super) fn new(source: R, following: bool) -> Self {
        Self {
            data: vec![0; INITIAL_LEN],
            ..Self::new_empty(source, following)
        }
    }

    /// Of a source that begins at a place in the content, and is plain.
    pub(super) fn at_place(source: R, base: u64) -> Self {
        Self {
            data: vec![0; RESUMED_LEN],
            base,
            ..Self::new_empty(source, true)
        }
    }

    fn new_empty(source: R, following: bool) -> Self {
        Self {
            source: Source::Plain(source),
            data: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            following,
        }
    }

    /// What is there.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// The bytes at a place that [`Buffer::take`] gave.
    #[inline]
    pub(super) fn at(&self, start: usize, len: usize) -> &[u8] {
        self.data.get(start..start + len).unwrap_or_default()
    }

    /// Where the rest begins in the content.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.data.capacity()
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.source.compression()
    }

    pub(super) fn is_following(&self) -> bool {
        self.following
    }

    pub(super) fn stop_following(&mut self) {
        self.following = false;
        self.source.stop_following();
    }

    /// Whether so many bytes are there, after reading if they are not. If not, the source has ended, for now
    /// or for good.
    #[inline]
    pub(super) fn has(&mut self, len: usize) -> Result<bool, ErrorCause> {
        if self.end - self.start >= len {
            return Ok(true);
        }
        self.fill(len)
    }

    #[cold]
    fn fill(&mut self, len: usize) -> Result<bool, ErrorCause> {
        // Not when nothing moves: whoever follows a file asks again and again.
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < len {
            if self.end == self.data.len() {
                let larger = len.min(2 * self.data.len());
                self.data.resize(larger, 0);
            }
            match self.source.read(&mut self.data[self.end..]) {
                Ok(0) => return Ok(false),
                // No source may say that it gave more than there was room for.
                Ok(count) => self.end = (self.end + count).min(self.data.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.following && error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(false);
                }
                Err(error) => return Err(self.cause(error)),
            }
        }
        Ok(true)
    }

    fn cause(&self, cause: io::Error) -> ErrorCause {
        match self.source.compression() {
            // The operating system's own errors have a number; a decompressor's have not.
            Some(compression) if cause.raw_os_error().is_none() => {
                ErrorCause::Decompression { compression, cause }
            }
            _ => ErrorCause::Io(cause),
        }
    }

    /// Uses up bytes that are there, and gives their place, which is good until more are asked for.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> usize {
        let start = self.start;
        self.start = self.end.min(start + len);
        start
    }

    /// Uses up to so many bytes without keeping them, and says how many; 0 at the end of the source.
    pub(super) fn skip(&mut self, len: u64) -> Result<u64, ErrorCause> {
        if !self.has(1)? {
            return Ok(0);
        }
        let there = self.end - self.start;
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(there);
        self.start += len;
        Ok(len as u64)
    }

    /// Takes what was read for compressed data, and goes on with its content.
    pub(super) fn decompress(&mut self, compression: Compression) -> Result<(), ErrorCause> {
        let first = self.rest().to_vec();
        let source = mem::replace(&mut self.source, Source::Gone);
        self.source = source
            .decompressed(compression, first, self.following)
            .map_err(|cause| ErrorCause::Decompression { compression, cause })?;
        (self.start, self.end, self.base) = (0, 0, 0);
        Ok(())
    }
}
