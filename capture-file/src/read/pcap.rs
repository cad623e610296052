//! pcap (draft-ietf-opsawg-pcap): a header of 24 bytes, and 16 bytes before each packet. Four magics tell the
//! byte order and the unit of time; two more are Alexey Kuznetzov's form, which has 24 bytes before each packet.

use capture_common::Direction;

use super::{
    error::ErrorCause,
    order::ByteOrder,
    record::{MAX_PACKET_LEN, PacketRecord},
};

/// Bytes of the file header.
pub(super) const HEADER_LEN: usize = 24;

/// Bytes before each packet, and before what the other form has more.
const RECORD_HEADER_LEN: usize = 16;

const NANOS: u64 = 1_000_000_000;
/// `PACKET_OUTGOING` of linux/if_packet.h.
const OUTGOING: u8 = 4;

/// What the file header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds of a unit of the fraction.
    unit_ns: u64,
    /// Bytes before each packet.
    pub(super) record_header_len: usize,
    pub(super) snap_len: u32,
    pub(super) link_type: u16,
}

/// What stands before a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHeader {
    pub(super) timestamp_ns: u64,
    pub(super) len: u32,
    pub(super) original_len: u32,
    pub(super) direction: Option<Direction>,
}

/// Whether a file of these first bytes is pcap.
pub(super) fn is_pcap(magic: [u8; 4]) -> bool {
    kind(magic).is_some()
}

/// Byte order, unit, and length of a record header.
fn kind(magic: [u8; 4]) -> Option<(ByteOrder, u64, usize)> {
    const MICROS: u64 = 1000;
    Some(match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, MICROS, RECORD_HEADER_LEN),
        [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, MICROS, RECORD_HEADER_LEN),
        [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1, RECORD_HEADER_LEN),
        [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1, RECORD_HEADER_LEN),
        [0x34, 0xcd, 0xb2, 0xa1] => (ByteOrder::Little, MICROS, 24),
        [0xa1, 0xb2, 0xcd, 0x34] => (ByteOrder::Big, MICROS, 24),
        _ => return None,
    })
}

impl Pcap {
    pub(super) fn new(header: &[u8; HEADER_LEN]) -> Result<Self, ErrorCause> {
        let [m0, m1, m2, m3, ..] = *header;
        let magic = [m0, m1, m2, m3];
        let Some((order, unit_ns, record_header_len)) = kind(magic) else {
            return Err(ErrorCause::NotACapture { magic });
        };
        let [major, minor] = [4, 6].map(|at| order.u16(header, at));
        // Before 2.4 the two lengths of a record were the other way round; libpcap has written 2.4 since 1998.
        if (major, minor) != (2, 4) {
            return Err(ErrorCause::Version { major, minor });
        }
        Ok(Self {
            order,
            unit_ns,
            record_header_len,
            snap_len: order.u32(header, 16),
            // The upper half says how long a frame check sequence is.
            link_type: order.u32(header, 20) as u16,
        })
    }

    /// What the header of a record says, of [`Pcap::record_header_len`] bytes.
    pub(super) fn record(&self, header: &[u8]) -> Result<RecordHeader, ErrorCause> {
        let Some(first) = header.first_chunk() else {
            return Err(ErrorCause::Cut {
                there: header.len(),
            });
        };
        let direction = header.get(22).map(|kind| match *kind {
            OUTGOING => Direction::Egress,
            _ => Direction::Ingress,
        });
        Ok(RecordHeader {
            direction,
            ..self.common(self.order, first)?
        })
    }

    /// What both forms have.
    #[inline(always)]
    fn common(
        &self,
        order: ByteOrder,
        header: &[u8; RECORD_HEADER_LEN],
    ) -> Result<RecordHeader, ErrorCause> {
        let seconds = order.u32(header, 0);
        let fraction = order.u32(header, 4);
        let len = order.u32(header, 8);
        let original_len = order.u32(header, 12);
        if len > MAX_PACKET_LEN {
            return Err(ErrorCause::PacketTooLong {
                len,
                most: MAX_PACKET_LEN,
            });
        }
        // `len` first: it is hardly ever 0.
        if len == 0 && original_len == 0 && seconds == 0 && fraction == 0 {
            return Err(ErrorCause::Zeros);
        }
        Ok(RecordHeader {
            // Less than 2^63: no product overflows. A fraction of more than a second is carried over, as
            // Wireshark does.
            timestamp_ns: u64::from(seconds) * NANOS + u64::from(fraction) * self.unit_ns,
            len,
            original_len,
            direction: None,
        })
    }

    /// The packet behind a header.
    #[inline]
    pub(super) fn packet(&self, header: RecordHeader) -> PacketRecord {
        PacketRecord {
            timestamp_ns: Some(header.timestamp_ns),
            interface: 0,
            direction: header.direction,
            original_len: header.original_len,
            lost_before: 0,
            data_at: self.record_header_len,
            data_len: header.len as usize,
            options_at: 0,
            options_len: 0,
        }
    }

    /// The packet at the front of `rest` and the length of its record, if it is of the usual form, whole and sound.
    #[inline]
    pub(super) fn whole_packet(&self, rest: &[u8]) -> Option<(PacketRecord, usize)> {
        match self.order {
            ByteOrder::Little => self.whole_packet_in(ByteOrder::Little, rest),
            ByteOrder::Big => self.whole_big_endian(rest),
        }
    }

    /// Apart, as the compiler would make one again of both, which swaps bytes or does not with every number.
    #[inline(never)]
    fn whole_big_endian(&self, rest: &[u8]) -> Option<(PacketRecord, usize)> {
        self.whole_packet_in(ByteOrder::Big, rest)
    }

    #[inline(always)]
    fn whole_packet_in(&self, order: ByteOrder, rest: &[u8]) -> Option<(PacketRecord, usize)> {
        if self.record_header_len != RECORD_HEADER_LEN {
            return None;
        }
        let packet = self.packet(self.common(order, rest.first_chunk()?).ok()?);
        let len = packet.data_at + packet.data_len;
        (len <= rest.len()).then_some((packet, len))
    }
}
