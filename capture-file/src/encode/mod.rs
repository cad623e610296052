//! Packets into records. The sink asks how long a record will be, decides where it goes, and has it
//! encoded straight into the buffer for the writer; [`walk`] finds the records again when a write
//! was cut short.

mod pcap;
mod pcapng;

use capture_common::Direction;
use capture_task::{
    error::Result,
    plan::{Format, Plan},
};

use super::{InterfaceInfo, Packet};

/// Most bytes kept of a frame whatever the task says: libpcap (MAXIMUM_SNAPLEN) and Wireshark
/// (WTAP_MAX_PACKET_SIZE_STANDARD) take a longer record for a damaged file and stop there.
pub(super) const MAX_SNAP_LEN: u32 = 262_144;

/// LINKTYPE_ETHERNET.
pub(super) const ETHERNET: u16 = 1;

/// Bytes of the two MAC addresses, behind which an 802.1Q tag stands.
const ADDRESSES_LEN: usize = 12;

/// A packet as it will be written: tag put back, cut to the snap length.
pub(super) struct Frame<'a> {
    timestamp_ns: u64,
    direction: Direction,
    original_len: u32,
    head: &'a [u8],
    tag: [u8; 4],
    tag_len: usize,
    tail: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A tag in metadata belongs behind the addresses of an Ethernet frame. Where fewer bytes than
    /// the addresses are there, the tag is beyond the cut and counts for the original length only.
    pub(super) fn new(packet: &Packet<'a>, link_type: u16, snap_len: u32) -> Self {
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
    pub(super) fn captured_len(&self) -> u32 {
        // Bounded by the snap length, a u32.
        (self.head.len() + self.tag_len + self.tail.len()) as u32
    }

    fn append_to(&self, out: &mut Vec<u8>) {
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

/// The figures at the end of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    /// When the capture started, nanoseconds since the epoch.
    pub(super) started_ns: u64,
    /// When these figures were taken.
    pub(super) ended_ns: u64,
    /// One entry for each interface of the file, in the order of their blocks.
    pub(super) interfaces: Vec<InterfaceStatistics>,
    /// The task's figures; known at its end only.
    pub(super) totals: Option<Totals>,
}

/// The figures of one interface, all since the start of the capture.
#[derive(Clone, Debug, Default)]
pub(super) struct InterfaceStatistics {
    /// Packets seen by the hooks.
    pub(super) received: Option<u64>,
    /// Packets dropped by the interface.
    pub(super) interface_dropped: Option<u64>,
    /// Packets that matched.
    pub(super) accepted: Option<u64>,
    /// Packets that matched and were lost on their way here.
    pub(super) system_dropped: Option<u64>,
    /// Packets put into the output.
    pub(super) delivered: u64,
}

/// The task's figures as the comment of its last statistics spells them out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) matched: u64,
    pub(super) captured: u64,
    pub(super) oversize_discarded: u64,
    pub(super) over_limit: u64,
    pub(super) dropped_ring: u64,
    pub(super) dropped_queue: u64,
    pub(super) dropped_write: u64,
    pub(super) dropped_copy: u64,
}

/// The encoder of a task's format.
pub(super) enum Encoder {
    /// pcapng.
    Pcapng(pcapng::Pcapng),
    /// Nanosecond pcap.
    Pcap(pcap::Pcap),
}

impl Encoder {
    /// `link_type` is that of every packet where the format knows only one.
    pub(super) fn new(plan: &Plan, task_id: &str, link_type: u16) -> Result<Self> {
        Ok(match plan.format {
            Format::Pcapng => Self::Pcapng(pcapng::Pcapng::new(plan, task_id)?),
            Format::Pcap => Self::Pcap(pcap::Pcap::new(snap_len(plan), link_type)),
        })
    }

    /// What a file begins with.
    pub(super) fn file_header(&self) -> &[u8] {
        match self {
            Self::Pcapng(encoder) => encoder.section(),
            Self::Pcap(encoder) => encoder.header(),
        }
    }

    /// What stands in a file before the first packet of an interface; empty in pcap.
    pub(super) fn interface(&self, info: &InterfaceInfo) -> Result<Vec<u8>> {
        match self {
            Self::Pcapng(encoder) => encoder.interface(info),
            Self::Pcap(_) => Ok(Vec::new()),
        }
    }

    /// Length of the record that [`Encoder::record`] would append.
    pub(super) fn record_len(&self, frame: &Frame<'_>, drops: u64) -> usize {
        match self {
            Self::Pcapng(_) => pcapng::record_len(frame, drops),
            Self::Pcap(_) => pcap::record_len(frame),
        }
    }

    /// Appends a packet of the file's interface `interface`, before which `drops` were lost.
    pub(super) fn record(&self, frame: &Frame<'_>, interface: u32, drops: u64, out: &mut Vec<u8>) {
        match self {
            Self::Pcapng(_) => pcapng::record(frame, interface, drops, out),
            Self::Pcap(_) => pcap::record(frame, out),
        }
    }

    /// What a file ends with.
    pub(super) fn trailer(&self, statistics: &Statistics) -> Result<Vec<u8>> {
        match self {
            Self::Pcapng(_) => pcapng::statistics(statistics),
            Self::Pcap(_) => Ok(Vec::new()),
        }
    }

    /// Most bytes of the trailer of a file with so many interfaces.
    pub(super) fn trailer_reserve(&self, interfaces: usize) -> u64 {
        match self {
            Self::Pcapng(encoder) => encoder.statistics_reserve() * interfaces as u64,
            Self::Pcap(_) => 0,
        }
    }
}

/// The snap length that a task's packets are cut to.
pub(super) fn snap_len(plan: &Plan) -> u32 {
    plan.max_bytes.map_or(MAX_SNAP_LEN, u32::from)
}

/// Whole records at the front of encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Their length.
    pub(super) len: usize,
    /// Packets among them.
    pub(super) packets: u64,
    /// Bytes kept of these packets.
    pub(super) bytes: u64,
}

/// Counts the whole records in `data`, which an encoder of `format` made and something cut short.
pub(super) fn walk(format: Format, data: &[u8], at_file_start: bool) -> Tally {
    let mut tally = Tally::default();
    if format == Format::Pcap && at_file_start {
        if data.len() < pcap::HEADER_LEN {
            return tally;
        }
        tally.len = pcap::HEADER_LEN;
    }
    loop {
        let rest = &data[tally.len..];
        let record = match format {
            Format::Pcapng => pcapng::first_record(rest),
            Format::Pcap => pcap::first_record(rest),
        };
        let Some((len, kept)) = record.filter(|(len, _)| *len > 0 && *len <= rest.len()) else {
            return tally;
        };
        tally.len += len;
        if let Some(kept) = kept {
            tally.packets += 1;
            tally.bytes += u64::from(kept);
        }
    }
}

/// The number in host byte order at an offset.
fn word(data: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*data.get(offset..)?.first_chunk()?))
}
