//! Encodes packets as records of pcap or pcapng, straight into the buffer for the writer. The length of a record is
//! known before it is encoded. [`count_whole_records`] finds the records again when a write was cut short.

mod copy;
mod frame;
mod pcap;
mod pcapng;

use capture_task::plan::{Format, Plan};

pub use self::copy::{CopiedPacket, CopyEncoder};
pub(super) use self::frame::{
    ETHERNET, InterfaceStatistics, MAX_SNAP_LEN, OutputFrame, Statistics, TaskTotals,
};
use super::{error::Result, packet::InterfaceInfo};

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
    pub(super) fn record_len(&self, frame: &OutputFrame<'_>, drops: u64) -> usize {
        match self {
            Self::Pcapng(_) => pcapng::record_len(frame, drops),
            Self::Pcap(_) => pcap::record_len(frame),
        }
    }

    /// Appends a packet of the file's interface `interface`, before which `drops` were lost.
    pub(super) fn record(
        &self,
        frame: &OutputFrame<'_>,
        interface: u32,
        drops: u64,
        out: &mut Vec<u8>,
    ) {
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
pub(super) struct WholeRecords {
    /// Their length.
    pub(super) len: usize,
    /// Packets among them.
    pub(super) packets: u64,
    /// Bytes kept of these packets.
    pub(super) bytes: u64,
}

/// Counts the whole records in `data`, which an encoder of `format` made and something cut short.
pub(super) fn count_whole_records(
    format: Format,
    data: &[u8],
    at_file_start: bool,
) -> WholeRecords {
    let mut tally = WholeRecords::default();
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
