//! Which packet: its number in its file, and which file where a capture consists of several. Both travel as one number,
//! so that evidence of a packet stays a word.

use serde::Serialize;
use utoipa::ToSchema;

/// Bits of the number; the ones above are the file's index plus one.
const NUMBER_BITS: u32 = 48;

/// Most files of a capture.
pub const MOST_FILES: usize = u16::MAX as usize;

/// A packet that a finding cites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(untagged)]
pub enum PacketId {
    /// Of a capture in one file: the number of the packet, counted from 1 as Wireshark counts.
    Number(u64),
    /// Of a capture in several files.
    OfFile {
        /// The file, an index into `files` that begins at 0.
        file: u16,
        /// The number of the packet in that file.
        number: u64,
    },
}

impl PacketId {
    /// As [`Packet::number`](crate::Packet::number). Beyond 2^48 packets of a file the numbers begin again.
    #[inline]
    pub fn packed(self) -> u64 {
        const MASK: u64 = (1 << NUMBER_BITS) - 1;
        match self {
            Self::Number(number) => number & MASK,
            Self::OfFile { file, number } => (u64::from(file) + 1) << NUMBER_BITS | number & MASK,
        }
    }

    /// The packet of a [`Packet::number`](crate::Packet::number).
    pub fn unpacked(packed: u64) -> Self {
        let number = packed & ((1 << NUMBER_BITS) - 1);
        match (packed >> NUMBER_BITS).checked_sub(1) {
            None => Self::Number(number),
            Some(file) => Self::OfFile {
                file: file as u16,
                number,
            },
        }
    }

    /// The index of its file.
    pub fn file(self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::OfFile { file, .. } => file.into(),
        }
    }

    /// Its number in its file.
    pub fn number(self) -> u64 {
        match self {
            Self::Number(number) | Self::OfFile { number, .. } => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_packing() {
        for number in [1, 2, 1 << 40] {
            for file in [0, 7, MOST_FILES as u16 - 1] {
                let id = PacketId::OfFile { file, number };
                assert_eq!(PacketId::unpacked(id.packed()), id);
            }
            let packed = PacketId::Number(number).packed();
            assert_eq!(packed, number, "numbers of an only file are themselves");
            assert_eq!(PacketId::unpacked(packed), PacketId::Number(number));
        }
    }

    #[test]
    fn json_is_a_number_or_a_file_and_a_number() {
        let json = |packed| serde_json::to_string(&PacketId::unpacked(packed)).expect("JSON");
        let of_second = PacketId::OfFile { file: 1, number: 7 };
        assert_eq!(json(7), "7");
        assert_eq!(json(of_second.packed()), r#"{"file":1,"number":7}"#);
    }
}
