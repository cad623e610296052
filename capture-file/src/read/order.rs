//! Numbers in the byte order of a file or section.

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// A number that lies outside of the data reads as 0; callers have checked that it does not. A panic or an
/// `Option` would be checked again for every packet.
impl ByteOrder {
    #[inline]
    pub(super) fn u16(self, data: &[u8], at: usize) -> u16 {
        let bytes = chunk(data, at);
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u32(self, data: &[u8], at: usize) -> u32 {
        let bytes = chunk(data, at);
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u64(self, data: &[u8], at: usize) -> u64 {
        let bytes = chunk(data, at);
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// Timestamps of pcapng are two words, the upper one first in either order.
    #[inline]
    pub(super) fn timestamp(self, data: &[u8], at: usize) -> u64 {
        u64::from(self.u32(data, at)) << 32 | u64::from(self.u32(data, at + 4))
    }
}

#[inline]
fn chunk<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    match data.get(at..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => *bytes,
        None => [0; N],
    }
}
