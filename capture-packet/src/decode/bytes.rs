//! Numbers off the front of a header, in network byte order. Whatever a length field claims, reads stay within what was
//! captured.

/// A place in a frame, from which headers are read one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start.
    #[inline]
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0 }
    }

    /// Offset from the start of the frame.
    #[inline]
    pub(crate) fn at(self) -> usize {
        self.at
    }

    /// The next `N` bytes, which stay where they are; `None` where the frame ends before.
    #[inline]
    pub(crate) fn peek<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.rest().first_chunk::<N>()
    }

    /// Goes `len` bytes on, to the end of the frame at most.
    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).min(self.frame.len());
    }

    /// What lies ahead.
    #[inline]
    pub(crate) fn rest(self) -> &'a [u8] {
        &self.frame[self.at..]
    }

    /// Bytes ahead.
    #[inline]
    pub(crate) fn left(self) -> usize {
        self.frame.len() - self.at
    }

    /// Forgets what lies beyond `len` bytes ahead: padding behind a packet that is shorter than its frame.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        let end = self.at.saturating_add(len).min(self.frame.len());
        self.frame = &self.frame[..end];
    }
}

/// The two bytes at `at`, which must be there.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The four bytes at `at`, which must be there.
#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
