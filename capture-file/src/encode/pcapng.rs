//! pcapng in host byte order (draft-ietf-opsawg-pcapng). Packets are encoded here, since that is the
//! hot path; the blocks around them (section, interface, statistics) come from the crate `pcap-file`,
//! once each, and are kept as bytes.

use std::{
    borrow::Cow,
    fs,
    sync::{Arc, LazyLock},
    time::Duration,
};

use capture_common::Direction;
use capture_task::plan::Plan;
use pcap_file::{
    DataLink, Endianness,
    pcapng::{
        PcapNgWriteError, PcapNgWriter,
        blocks::{
            interface_description::{
                InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
            },
            interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption},
            opt_common::CommonOption,
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};

use super::frame::{InterfaceStatistics, OutputFrame, Statistics, TaskTotals, word};
use crate::{
    error::{Error, Result},
    packet::InterfaceInfo,
};

const ENHANCED_PACKET: u32 = 6;
/// Type, length, interface, timestamp (two words), captured and original length.
const HEAD_LEN: usize = 28;
/// epb_flags with its option header, end of options, the length again.
const FOOT_LEN: usize = 8 + 4 + 4;
/// epb_dropcount with its option header.
const DROP_COUNT_LEN: usize = 12;
/// Most bytes of a filter expression in an option, whose length is a u16; enough for any that a
/// person would read.
const MAX_FILTER_LEN: usize = 16_384;

/// The encoder: the blocks that every file of the task has in common.
pub(crate) struct Pcapng {
    section: Vec<u8>,
    filter: String,
    snap_len: u32,
    statistics_reserve: u64,
}

impl Pcapng {
    pub(super) fn new(plan: &Plan, task_id: &str) -> Result<Self> {
        let comment = format!("task {} ({task_id})", plan.name);
        let application = concat!("capture-agent ", env!("CARGO_PKG_VERSION"));
        let section = section_block(vec![
            SectionHeaderOption::Common(CommonOption::Comment(comment.into())),
            SectionHeaderOption::Hardware(HARDWARE.as_str().into()),
            SectionHeaderOption::OS(OPERATING_SYSTEM.as_str().into()),
            SectionHeaderOption::UserApplication(application.into()),
        ]);
        let writer = PcapNgWriter::with_section_header(Vec::new(), section).map_err(refused)?;

        let mut filter = plan.filter.to_string();
        filter.truncate(filter.floor_char_boundary(MAX_FILTER_LEN));
        Ok(Self {
            section: writer.into_inner(),
            filter,
            // 0 is "no limit" in this format.
            snap_len: plan.max_bytes.map_or(0, u32::from),
            statistics_reserve: statistics(&Statistics::longest())?.len() as u64,
        })
    }

    pub(super) fn section(&self) -> &[u8] {
        &self.section
    }

    pub(super) fn statistics_reserve(&self) -> u64 {
        self.statistics_reserve
    }

    pub(super) fn interface(&self, info: &InterfaceInfo) -> Result<Vec<u8>> {
        let mut options = vec![
            InterfaceDescriptionOption::IfName(info.name.as_str().into()),
            InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
        ];
        if !self.filter.is_empty() {
            // The first byte says that what follows is an expression in libpcap's language.
            let coded = [&[0], self.filter.as_bytes()].concat();
            options.push(InterfaceDescriptionOption::IfFilter(coded.into()));
        }
        options.push(InterfaceDescriptionOption::IfOs(
            OPERATING_SYSTEM.as_str().into(),
        ));
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::from(u32::from(info.link_type)),
            snaplen: self.snap_len,
            options,
        };
        let mut writer = PcapNgWriter::new(Vec::new()).map_err(refused)?;
        writer.get_mut().clear();
        writer.write_pcapng_block(block).map_err(refused)?;
        Ok(writer.into_inner())
    }
}

impl Statistics {
    /// No block of statistics is longer than this one.
    fn longest() -> Self {
        const MAX: Option<u64> = Some(u64::MAX);
        Self {
            interfaces: vec![InterfaceStatistics {
                received: MAX,
                interface_dropped: MAX,
                accepted: MAX,
                system_dropped: MAX,
                delivered: u64::MAX,
            }],
            totals: Some(TaskTotals {
                matched: u64::MAX,
                captured: u64::MAX,
                oversize_discarded: u64::MAX,
                over_limit: u64::MAX,
                dropped_ring: u64::MAX,
                dropped_queue: u64::MAX,
                dropped_write: u64::MAX,
                dropped_copy: u64::MAX,
            }),
            ..Self::default()
        }
    }
}

impl TaskTotals {
    fn comment(&self) -> String {
        let Self {
            matched,
            captured,
            oversize_discarded,
            over_limit,
            dropped_ring,
            dropped_queue,
            dropped_write,
            dropped_copy,
        } = self;
        format!(
            "task: matched={matched} captured={captured} oversize_discarded={oversize_discarded} \
             over_limit={over_limit} dropped.ring={dropped_ring} dropped.queue={dropped_queue} \
             dropped.write={dropped_write} dropped.copy={dropped_copy}"
        )
    }
}

/// The statistics blocks of a file, one for each of its interfaces.
pub(super) fn statistics(statistics: &Statistics) -> Result<Vec<u8>> {
    // The crate encodes times by what it knows of the interface, so it is told the same ones again.
    let mut writer = PcapNgWriter::new(Vec::new()).map_err(refused)?;
    for _ in &statistics.interfaces {
        let options = vec![InterfaceDescriptionOption::IfTsResol(
            InterfaceTsResolution::NANO,
        )];
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options,
        };
        writer.write_pcapng_block(block).map_err(refused)?;
    }
    writer.get_mut().clear();

    let comment = statistics.totals.map(|totals| totals.comment());
    let ended = Duration::from_nanos(statistics.ended_ns);
    for (id, interface) in (0..).zip(&statistics.interfaces) {
        use InterfaceStatisticsOption as Opt;
        let mut options = vec![
            Opt::IsbStartTime(Duration::from_nanos(statistics.started_ns)),
            Opt::IsbEndTime(ended),
        ];
        options.extend(interface.received.map(Opt::IsbIfRecv));
        options.extend(interface.interface_dropped.map(Opt::IsbIfDrop));
        options.extend(interface.accepted.map(Opt::IsbFilterAccept));
        options.extend(interface.system_dropped.map(Opt::IsbOsDrop));
        options.push(Opt::IsbUsrDeliv(interface.delivered));
        if let Some(comment) = &comment {
            options.push(Opt::Common(CommonOption::Comment(Cow::Borrowed(comment))));
        }
        let block = InterfaceStatisticsBlock {
            interface_id: id,
            timestamp: ended,
            options,
        };
        writer.write_pcapng_block(block).map_err(refused)?;
    }
    Ok(writer.into_inner())
}

pub(super) fn record_len(frame: &OutputFrame<'_>, drops: u64) -> usize {
    let drop_count = if drops > 0 { DROP_COUNT_LEN } else { 0 };
    HEAD_LEN + (frame.captured_len() as usize).next_multiple_of(4) + drop_count + FOOT_LEN
}

/// Appends an Enhanced Packet Block (section 4.3 of the draft).
pub(super) fn record(frame: &OutputFrame<'_>, interface: u32, drops: u64, out: &mut Vec<u8>) {
    let captured_len = frame.captured_len();
    let total = record_len(frame, drops) as u32;
    out.reserve(total as usize);

    let head = [
        ENHANCED_PACKET,
        total,
        interface,
        (frame.timestamp_ns >> 32) as u32,
        frame.timestamp_ns as u32,
        captured_len,
        frame.original_len,
    ];
    out.extend_from_slice(&words::<7, HEAD_LEN>(head));
    frame.append_to(out);
    let padding = captured_len.next_multiple_of(4) - captured_len;
    if padding != 0 {
        out.extend_from_slice(&[0; 3][..padding as usize]);
    }

    // epb_flags, bits 0 and 1: 01 is inbound, 10 is outbound.
    let flags: u32 = match frame.direction {
        Direction::Ingress => 1,
        Direction::Egress => 2,
    };
    out.extend_from_slice(&words::<2, 8>([option(2, 4), flags]));
    if drops > 0 {
        out.extend_from_slice(&option(4, 8).to_ne_bytes());
        out.extend_from_slice(&drops.to_ne_bytes());
    }
    out.extend_from_slice(&words::<2, 8>([option(0, 0), total]));
}

/// Length of the block at the front, and the bytes kept of its packet where it is one.
pub(super) fn first_record(data: &[u8]) -> Option<(usize, Option<u32>)> {
    let len = word(data, 4)? as usize;
    let kept = match word(data, 0)? {
        ENHANCED_PACKET => Some(word(data, 20)?),
        _ => None,
    };
    Some((len, kept))
}

/// An option's code and length as one word in memory order.
const fn option(code: u16, len: u16) -> u32 {
    let [c0, c1] = code.to_ne_bytes();
    let [l0, l1] = len.to_ne_bytes();
    u32::from_ne_bytes([c0, c1, l0, l1])
}

/// Words in memory order; `BYTES` is four times `WORDS`.
fn words<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    const { assert!(BYTES == 4 * WORDS) };
    let mut bytes = [0; BYTES];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// A section header in host byte order; the crate's default is big-endian, which live readers
/// refuse on other hosts.
pub(super) fn section_block(options: Vec<SectionHeaderOption<'_>>) -> SectionHeaderBlock<'_> {
    SectionHeaderBlock {
        endianness: Endianness::native(),
        major_version: 1,
        minor_version: 0,
        section_length: -1,
        options,
    }
}

/// The processor. On a large machine `/proc/cpuinfo` takes milliseconds, and does not change.
static HARDWARE: LazyLock<String> = LazyLock::new(|| {
    let architecture = std::env::consts::ARCH;
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find(|line| line.starts_with("model name"));
    match model.and_then(|line| line.split_once(": ")) {
        Some((_, model)) => format!("{architecture}, {model}"),
        None => architecture.to_owned(),
    }
});

static OPERATING_SYSTEM: LazyLock<String> =
    LazyLock::new(|| match fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(release) => format!("Linux {}", release.trim_end()),
        Err(_) => "Linux".to_owned(),
    });

pub(super) fn refused(error: PcapNgWriteError) -> Error {
    Error::Encode {
        cause: Arc::new(error),
    }
}
