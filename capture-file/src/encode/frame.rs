//! The input of both encoders, `pcap` and `pcapng`: a packet as it will be written, and the statistics at the end of a
//! file.

use capture_common::Direction;

use crate::packet::Packet;

/// Most bytes kept of a frame whatever the task says: libpcap (MAXIMUM_SNAPLEN) and Wireshark
/// (WTAP_MAX_PACKET_SIZE_STANDARD) take a longer record for a damaged file and stop there.
pub(crate) const MAX_SNAP_LEN: u32 = 262_144;

/// LINKTYPE_ETHERNET.
pub(crate) const ETHERNET: u16 = 1;

/// Bytes of the two MAC addresses, behind which an 802.1Q tag stands.
const ADDRESSES_LEN: usize = 12;

/// A packet as it will be written: tag put back, cut to the snap length.
pub(crate) struct OutputFrame<'a> {
    pub(super) timestamp_ns: u64,
    pub(super) direction: Direction,
    pub(super) original_len: u32,
    head: &'a [u8],
    tag: [u8; 4],
    tag_len: usize,
    tail: &'a [u8],
}

impl<'a> OutputFrame<'a> {
    /// A tag in metadata belongs behind the addresses of an Ethernet frame. Where fewer bytes than
    /// the addresses are there, the tag is beyond the cut and counts for the original length only.
    pub(crate) fn new(packet: &Packet<'a>, link_type: u16, snap_len: u32) -> Self {
        let tagged = link_type == ETHERNET && packet.vlan.protocol != 0;
        let snap_len = snap_len as usize;
        let (head, tail) = match packet.data.split_at_checked(ADDRESSES_LEN) {
            Some(parts) if tagged => parts,
            _ => (packet.data, &[][..]),
        };
        let whole_tag = if tagged && head.len() == ADDRESSES_LEN {
            4
        } else {
            0
        };
        let head = &head[..head.len().min(snap_len)];
        let tag_len = whole_tag.min(snap_len - head.len());
        let tail = &tail[..tail.len().min(snap_len - head.len() - tag_len)];

        let [p0, p1] = packet.vlan.protocol.to_be_bytes();
        let [c0, c1] = packet.vlan.control.to_be_bytes();
        let mut frame = Self {
            timestamp_ns: packet.timestamp_ns,
            direction: packet.direction,
            original_len: packet
                .original_len
                .saturating_add(if tagged { 4 } else { 0 }),
            head,
            tag: [p0, p1, c0, c1],
            tag_len,
            tail,
        };
        // A record that keeps more than there was is refused by readers.
        frame.original_len = frame.original_len.max(frame.captured_len());
        frame
    }

    /// Bytes kept.
    pub(crate) fn captured_len(&self) -> u32 {
        // Bounded by the snap length, a u32.
        (self.head.len() + self.tag_len + self.tail.len()) as u32
    }

    /// Appends the bytes kept.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head);
        // Without a tag all of it is in the head.
        if self.tag_len != 0 {
            out.extend_from_slice(&self.tag[..self.tag_len]);
        }
        if !self.tail.is_empty() {
            out.extend_from_slice(self.tail);
        }
    }
}

/// The statistics at the end of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// When the capture started, nanoseconds since the epoch.
    pub(crate) started_ns: u64,
    /// When these figures were taken.
    pub(crate) ended_ns: u64,
    /// One entry for each interface of the file, in the order of their blocks.
    pub(crate) interfaces: Vec<InterfaceStatistics>,
    /// The task's figures; known at its end only.
    pub(crate) totals: Option<TaskTotals>,
}

/// Statistics of one interface, since the start of the capture.
#[derive(Clone, Debug, Default)]
pub(crate) struct InterfaceStatistics {
    /// Packets seen by the hooks.
    pub(crate) received: Option<u64>,
    /// Packets dropped by the interface.
    pub(crate) interface_dropped: Option<u64>,
    /// Packets that matched.
    pub(crate) accepted: Option<u64>,
    /// Packets that matched and were lost on their way here.
    pub(crate) system_dropped: Option<u64>,
    /// Packets put into the output.
    pub(crate) delivered: u64,
}

/// Counters of the task, for the comment of its last statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TaskTotals {
    pub(crate) matched: u64,
    pub(crate) captured: u64,
    pub(crate) oversize_discarded: u64,
    pub(crate) over_limit: u64,
    pub(crate) dropped_ring: u64,
    pub(crate) dropped_queue: u64,
    pub(crate) dropped_write: u64,
    pub(crate) dropped_copy: u64,
}

/// The number in host byte order at an offset.
pub(super) fn word(data: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*data.get(offset..)?.first_chunk()?))
}
