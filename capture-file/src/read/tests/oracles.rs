//! Against readers that share no code with this one: `pcap-file`, `pcap-parser`, tshark; and files that other tools
//! write.

use std::{fs, path::Path, process::Command};

use pcap_file::pcapng::{Block, PcapNgReader, blocks::enhanced_packet::EnhancedPacketOption};
use pcap_parser::{
    Block as ParsedBlock, PcapBlockOwned, PcapError, PcapNGReader, traits::PcapReaderIterator,
};
use proptest::prelude::*;

use super::{
    build::{Builder, End, everything},
    *,
};

/// One section of a file, any of them.
#[derive(Clone, Debug)]
struct AnySection {
    big: bool,
    /// Resolution and offset.
    interfaces: Vec<(Option<u8>, Option<i64>)>,
    packets: Vec<AnyPacket>,
}

#[derive(Clone, Debug)]
struct AnyPacket {
    interface: prop::sample::Index,
    seconds: u64,
    fraction: u64,
    data: Vec<u8>,
    flags: Option<u32>,
    drops: Option<u64>,
    comments: Vec<String>,
    ends: bool,
}

fn any_section() -> impl Strategy<Value = AnySection> {
    let resolution = prop_oneof![
        Just(0_u8),
        Just(3),
        Just(6),
        Just(9),
        Just(0x80 | 10),
        Just(0x80 | 20)
    ];
    let interface = (
        proptest::option::of(resolution),
        proptest::option::of(0..1_000_000_000_i64),
    );
    (
        any::<bool>(),
        proptest::collection::vec(interface, 1..4),
        proptest::collection::vec(any_packet(), 0..20),
    )
        .prop_map(|(big, interfaces, packets)| AnySection {
            big,
            interfaces,
            packets,
        })
}

fn any_packet() -> impl Strategy<Value = AnyPacket> {
    (
        any::<prop::sample::Index>(),
        (0..2_000_000_000_u64, any::<u64>()),
        proptest::collection::vec(any::<u8>(), 0..80),
        proptest::option::of(any::<u32>()),
        proptest::option::of(any::<u64>()),
        proptest::collection::vec("[ -~]{0,9}", 0..3),
        any::<bool>(),
    )
        .prop_map(
            |(interface, (seconds, fraction), data, flags, drops, comments, ends)| AnyPacket {
                interface,
                seconds,
                fraction,
                data,
                flags,
                drops,
                comments,
                ends,
            },
        )
}

/// Units of a second.
fn units(resolution: Option<u8>) -> u64 {
    match resolution.unwrap_or(6) {
        power @ 0..0x80 => 10_u64.pow(u32::from(power)),
        power => 1 << (power & 0x7f),
    }
}

/// The file, and what is to be found in it.
fn build(sections: &[AnySection]) -> (Vec<u8>, Vec<Found>) {
    let mut out = Vec::new();
    let mut wanted = Vec::new();
    let mut before = 0;
    for section in sections {
        let mut b = Builder::new(if section.big { End::Big } else { End::Little });
        b.section();
        for (resolution, offset) in &section.interfaces {
            b.interface(0, |b| {
                if let Some(resolution) = resolution {
                    b.option(9, &[*resolution]);
                }
                if let Some(offset) = offset {
                    b.option_u64(14, *offset as u64);
                }
            });
        }
        for packet in &section.packets {
            let interface = packet.interface.index(section.interfaces.len());
            let (resolution, offset) = section.interfaces[interface];
            let units = units(resolution);
            let fraction = packet.fraction % units;
            b.packet(
                interface as u32,
                packet.seconds * units + fraction,
                &packet.data,
                |b| {
                    options(b, packet);
                },
            );
            let seconds = packet.seconds + offset.unwrap_or(0) as u64;
            let ns = u128::from(fraction) * 1_000_000_000 / u128::from(units);
            wanted.push(Found {
                number: wanted.len() as u64 + 1,
                timestamp_ns: Some(seconds * 1_000_000_000 + ns as u64),
                interface: before + interface as u32,
                direction: match packet.flags.unwrap_or(0) & 3 {
                    1 => Some(Direction::Ingress),
                    2 => Some(Direction::Egress),
                    _ => None,
                },
                original_len: packet.data.len() as u32,
                lost_before: packet.drops.unwrap_or(0),
                data: packet.data.clone(),
                comments: packet.comments.clone(),
            });
        }
        before += section.interfaces.len() as u32;
        out.extend(b.out);
    }
    (out, wanted)
}

fn options(b: &mut Builder, packet: &AnyPacket) {
    for comment in &packet.comments {
        b.option(1, comment.as_bytes());
    }
    if let Some(flags) = packet.flags {
        b.option_u32(2, flags);
    }
    if let Some(drops) = packet.drops {
        b.option_u64(4, drops);
    }
    if packet.ends {
        b.end_of_options();
    }
}

/// Raw ticks, interface in its section, original length, bytes, flags, drops, comments.
type Plain = (u32, u32, Vec<u8>, Option<u32>, Option<u64>, Vec<String>);

fn by_pcap_file(file: &[u8]) -> Vec<Plain> {
    let mut found = Vec::new();
    for block in PcapNgReader::new(file).expect("a section") {
        let Block::EnhancedPacket(block) = block.expect("a whole block") else {
            continue;
        };
        let mut plain: Plain = Default::default();
        plain.0 = block.interface_id;
        plain.1 = block.original_len;
        for option in &block.options {
            match option {
                EnhancedPacketOption::Flags(flags) => plain.3 = Some(*flags),
                EnhancedPacketOption::DropCount(drops) => plain.4 = Some(*drops),
                EnhancedPacketOption::Common(
                    pcap_file::pcapng::blocks::opt_common::CommonOption::Comment(text),
                ) => {
                    plain.5.push(text.to_string());
                }
                _ => {}
            }
        }
        plain.2 = block.data.into_owned();
        found.push(plain);
    }
    found
}

/// Timestamps and data of enhanced packets.
fn by_pcap_parser(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = PcapNGReader::new(1 << 20, file).expect("a section");
    let mut interfaces = Vec::new();
    let mut found = Vec::new();
    let mut big = false;
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::NG(ParsedBlock::SectionHeader(block)) => {
                        interfaces.clear();
                        big = block.big_endian();
                    }
                    PcapBlockOwned::NG(ParsedBlock::InterfaceDescription(block)) => {
                        // Its own function for this takes no power of 2.
                        let units = units(Some(block.if_tsresol));
                        // It takes the offset for little-endian always.
                        let offset = block.if_tsoffset;
                        interfaces.push((units, if big { offset.swap_bytes() } else { offset }));
                    }
                    PcapBlockOwned::NG(ParsedBlock::EnhancedPacket(block)) => {
                        let (units, offset) = interfaces[block.if_id as usize];
                        let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                        let seconds = ticks / units + offset as u64;
                        let ns = u128::from(ticks % units) * 1_000_000_000 / u128::from(units);
                        let data = block.data[..block.caplen as usize].to_vec();
                        found.push((seconds * 1_000_000_000 + ns as u64, data));
                    }
                    _ => {}
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return found,
            Err(PcapError::Incomplete(_)) => reader.refill().expect("memory does not fail"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_pcapng_reads_as_it_was_built(sections in proptest::collection::vec(any_section(), 1..4)) {
        let (file, wanted) = build(&sections);
        prop_assert_eq!(&packets(&file[..]), &wanted);

        let by_parser = by_pcap_parser(&file);
        let times: Vec<_> = wanted.iter().map(|found| (found.timestamp_ns.unwrap_or(0), found.data.clone())).collect();
        prop_assert_eq!(by_parser, times);

        // It refuses an offset; without one it has all that the options say.
        let mut sections = sections;
        for (resolution, offset) in sections.iter_mut().flat_map(|section| &mut section.interfaces) {
            *offset = None;
            *resolution = resolution.filter(|power| *power < 0x80);
        }
        let (file, wanted) = build(&sections);
        let by_file = by_pcap_file(&file);
        prop_assert_eq!(by_file.len(), wanted.len());
        for (plain, found) in by_file.into_iter().zip(wanted) {
            let (_, original_len, data, _, drops, comments) = plain;
            prop_assert_eq!(original_len, found.original_len);
            prop_assert_eq!(data, found.data);
            prop_assert_eq!(drops.unwrap_or(0), found.lost_before);
            prop_assert_eq!(comments, found.comments);
        }
    }
}

/// What tshark says of each frame that is a packet.
fn by_tshark(path: &Path) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.env("TZ", "UTC").arg("-n").arg("-r").arg(path);
    command.args(["-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]);
    for field in [
        "number",
        "time_epoch",
        "len",
        "cap_len",
        "packet_flags_direction",
        "drop_count",
        "comment",
    ] {
        command.arg("-e").arg(format!("frame.{field}"));
    }
    let output = command.output().expect("tshark must be installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).expect("text");
    let fields = |line: &str| line.split('|').map(str::to_owned).collect();
    lines.lines().map(fields).collect()
}

/// The same by this reader.
fn as_tshark(path: &Path) -> Vec<Vec<String>> {
    let file = fs::File::open(path).expect("the file is there");
    let packets = packets(file);
    let line = |found: &Found| {
        let time = found.timestamp_ns.map_or_else(String::new, |ns| {
            format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
        });
        vec![
            found.number.to_string(),
            time,
            found.original_len.to_string(),
            found.data.len().to_string(),
            match found.direction {
                Some(Direction::Ingress) => "0x00000001".to_owned(),
                Some(Direction::Egress) => "0x00000002".to_owned(),
                None => String::new(),
            },
            match found.lost_before {
                0 => String::new(),
                lost => lost.to_string(),
            },
            found.comments.first().cloned().unwrap_or_default(),
        ]
    };
    packets.iter().map(line).collect()
}

#[test]
fn tshark_reads_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("everything.pcapng");
    fs::write(&path, everything()).expect("it is written");
    // A custom block is a frame there, of which only the number counts here.
    let numbers: Vec<_> = as_tshark(&path)
        .into_iter()
        .map(|line| line[0].clone())
        .collect();
    let frames = by_tshark(&path);
    let frames: Vec<_> = frames
        .into_iter()
        .filter(|line| numbers.contains(&line[0]))
        .collect();
    assert_eq!(as_tshark(&path), frames);
}

/// One file in every format that other tools make of it, and two files merged.
#[test]
fn files_of_other_tools() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    let mut b = Builder::new(End::Big);
    b.pcap(0xa1b2_c3d4);
    for n in 1..100 {
        b.record(1_700_000_000 + n, 1000 * n, &vec![n as u8; 10 * n as usize]);
    }
    let plain = path("plain.pcap");
    fs::write(&plain, &b.out).expect("it is written");
    assert_eq!(as_tshark(&plain), by_tshark(&plain));
    let run = |program: &str, arguments: &[&str], to: &Path, from: &[&Path]| {
        let mut command = Command::new(program);
        command.args(arguments);
        match program {
            "mergecap" => command.arg("-w").arg(to).args(from),
            _ => command.args(from).arg(to),
        };
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    for format in ["pcap", "nsecpcap", "modpcap", "pcapng"] {
        let to = path(format);
        run("editcap", &["-F", format, "-s", "300"], &to, &[&plain]);
        let (mut ours, mut theirs) = (as_tshark(&to), by_tshark(&to));
        assert_eq!(ours.len(), 99, "{format}");
        if format == "modpcap" {
            // tshark does not show its kind of packet as a direction.
            for line in ours.iter_mut().chain(&mut theirs) {
                line[4].clear();
            }
        }
        assert_eq!(ours, theirs, "{format}");
    }
    let merged = path("merged.pcapng");
    run(
        "mergecap",
        &[],
        &merged,
        &[&path("nsecpcap"), &path("pcapng"), &plain],
    );
    let ours = as_tshark(&merged);
    assert_eq!((ours.len(), &ours), (297, &by_tshark(&merged)));
}
