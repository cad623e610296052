//! Tests of the output as a whole: what a sink was given against what independent readers find in the
//! files, and the accounting when things go wrong.

mod budget;
mod faults;
mod formats;
mod limits;
mod processes;
mod program;
mod properties;
mod recovery;
mod rotation;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use capture_common::{Direction, VlanTag};
use capture_task::plan::{
    Directions, Filter, Format, Hook, InterfaceSelection, Oversize, Plan, Protocol,
};
use pcap_file::{
    pcap::PcapReader,
    pcapng::{
        Block, PcapNgReader,
        blocks::{
            enhanced_packet::EnhancedPacketOption, interface_statistics::InterfaceStatisticsBlock,
        },
    },
};
use tempfile::TempDir;

use super::{
    EarlierFiles, Error, FileOutput, FinalFigures, InterfaceInfo, InterfaceStats, OutputConfig,
    OutputCounters, OutputReport, Packet, Result, Target,
};

/// 2024-01-02 03:04:05.678901234 UTC.
const START_NS: u64 = 1_704_164_645_678_901_234;
const SECOND_NS: u64 = 1_000_000_000;
const NO_TAG: VlanTag = VlanTag {
    protocol: 0,
    control: 0,
};
/// Priority 3, VLAN 100.
const TAG: VlanTag = VlanTag {
    protocol: 0x8100,
    control: 0x6064,
};

fn plan(format: Format) -> Plan {
    Plan {
        name: "web errors".to_owned(),
        interfaces: InterfaceSelection::Any,
        directions: Directions::Both,
        hook: Hook::Auto,
        filter: Filter {
            protocol: Protocol::Tcp,
            ..Filter::default()
        },
        max_bytes: None,
        oversize: Oversize::Truncate,
        duration: None,
        max_packets: None,
        max_file_bytes: None,
        format,
        rotate: None,
    }
}

fn interface(ifindex: u32, name: &str) -> InterfaceInfo {
    InterfaceInfo {
        ifindex,
        name: name.to_owned(),
        link_type: 1,
    }
}

fn config(path: impl Into<PathBuf>) -> OutputConfig {
    let task_id = "01HKZ0000000000000000000AB".to_owned();
    OutputConfig {
        target: Target::File(path.into()),
        task_id,
        space: None,
        owner: None,
        earlier: EarlierFiles::default(),
    }
}

/// The `n`th of a series of packets, one a microsecond.
fn packet(n: u64, data: &[u8]) -> Packet<'_> {
    Packet {
        timestamp_ns: START_NS + 1000 * n,
        ifindex: 2,
        direction: if n.is_multiple_of(2) {
            Direction::Ingress
        } else {
            Direction::Egress
        },
        original_len: data.len() as u32,
        vlan: NO_TAG,
        data,
    }
}

fn closing() -> FinalFigures {
    FinalFigures {
        started_ns: START_NS,
        ended_ns: START_NS + 10 * SECOND_NS,
        ..FinalFigures::default()
    }
}

/// A directory, and a sink on `name` in it that captures from `eth0`.
struct Output {
    directory: TempDir,
    sink: FileOutput,
    counters: Arc<OutputCounters>,
    given: u64,
}

impl Output {
    fn new(plan: &Plan, name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let sink = open(plan, &directory.path().join(name)).expect("the output opens");
        let counters = sink.counters();
        Self {
            directory,
            sink,
            counters,
            given: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn give(&mut self, packet: &Packet<'_>) -> Option<capture_task::task::StopReason> {
        self.given += 1;
        self.sink.packet(packet)
    }

    fn finish(self) -> (OutputReport, Arc<OutputCounters>, TempDir) {
        let report = self.sink.finish(&closing());
        assert_accounted(&self.counters, self.given);
        (report, self.counters, self.directory)
    }
}

fn open(plan: &Plan, path: &Path) -> Result<FileOutput> {
    FileOutput::open(plan, &config(path), &[interface(2, "eth0")])
}

fn assert_accounted(counters: &OutputCounters, given: u64) {
    let accounted = counters.captured()
        + counters.over_limit()
        + counters.dropped_queue()
        + counters.dropped_write();
    assert_eq!(accounted, given, "{counters:?}");
}

/// A packet as a reader finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    timestamp_ns: u64,
    interface: u32,
    original_len: u32,
    data: Vec<u8>,
    flags: Option<u32>,
    drops: Option<u64>,
}

/// Reads a file of either format with `pcap-file`, and its statistics.
fn read(path: &Path) -> (Vec<Found>, Vec<InterfaceStatisticsBlock<'static>>) {
    let content = fs::read(path).expect("the file is there");
    let mut found = Vec::new();
    let mut statistics = Vec::new();
    if path
        .extension()
        .is_some_and(|extension| extension == "pcap")
    {
        let mut reader = PcapReader::new(&content[..]).expect("a pcap header");
        while let Some(packet) = reader.next_packet() {
            let packet = packet.expect("a whole record");
            found.push(Found {
                timestamp_ns: packet.timestamp().as_nanos() as u64,
                original_len: packet.orig_len(),
                data: packet.data().to_vec(),
                ..Found::default()
            });
        }
        return (found, statistics);
    }
    for block in PcapNgReader::new(&content[..]).expect("a section header") {
        match block.expect("a whole block") {
            Block::EnhancedPacket(block) => found.push(Found {
                timestamp_ns: block.timestamp.as_nanos() as u64,
                interface: block.interface_id,
                original_len: block.original_len,
                flags: block.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Flags(flags) => Some(*flags),
                    _ => None,
                }),
                drops: block.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::DropCount(drops) => Some(*drops),
                    _ => None,
                }),
                data: block.data.into_owned(),
            }),
            Block::InterfaceStatistics(block) => statistics.push(block),
            _ => {}
        }
    }
    (found, statistics)
}

/// The names in a directory, sorted.
fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .expect("the directory is there")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The standard output of a program that succeeds.
fn run(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .env("TZ", "UTC")
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {}: {stderr}",
        file.display()
    );
    assert!(
        !stderr.contains("cut short"),
        "{program} {}: {stderr}",
        file.display()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
