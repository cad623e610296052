//! What is in a file, found by `pcap-file`, tshark, capinfos and tcpdump.

use std::time::Duration;

use pcap_file::pcapng::blocks::{
    interface_statistics::InterfaceStatisticsOption as Stat, opt_common::CommonOption,
};

use super::*;
use crate::encode::MAX_SNAP_LEN;

/// An ARP request, which every reader understands.
fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame
}

/// Four packets: plain, egress and truncated by the kernel, tagged, after losses.
fn write(format: Format, name: &str) -> (PathBuf, TempDir) {
    let mut output = Output::new(&plan(format), name);
    let arp = arp();
    output.give(&packet(0, &arp));
    output.give(&Packet {
        original_len: 1514,
        ..packet(1, &arp[..40])
    });
    output.give(&Packet {
        vlan: TAG,
        ..packet(2, &arp)
    });
    output.sink.note_drops(3);
    output.sink.note_drops(4);
    output.give(&packet(3, &arp));
    let path = output.path(name);
    let closing = FinalFigures {
        interfaces: vec![InterfaceStats {
            ifindex: 2,
            seen: 99,
            dropped: Some(5),
        }],
        matched: 13,
        oversize_discarded: 2,
        dropped_ring: 4,
        dropped_copy: 3,
        ..closing()
    };
    let report = output.sink.finish(&closing);
    assert!(report.error.is_none(), "{:?}", report.error);
    let [file] = &report.files[..] else {
        panic!("one file: {report:?}")
    };
    assert_eq!((file.index, file.packets, file.complete), (0, 4, true));
    assert_eq!(file.name, path.to_string_lossy());
    assert_eq!(file.size, fs::metadata(&path).expect("the file").len());
    assert_eq!(output.counters.captured(), 4);
    assert_eq!(output.counters.bytes(), 42 + 40 + 46 + 42);
    (path, output.directory)
}

#[test]
fn pcapng_is_read_back_by_the_crate() {
    let (path, _directory) = write(Format::Pcapng, "a.pcapng");
    let (found, statistics) = read(&path);
    let arp = arp();
    let tagged = [&arp[..12], &[0x81, 0x00, 0x60, 0x64], &arp[12..]].concat();
    let expected = [
        (0, 42, arp.clone(), 1, None),
        (1, 1514, arp[..40].to_vec(), 2, None),
        (2, 46, tagged, 1, None),
        (3, 42, arp, 2, Some(7)),
    ];
    let expected = expected.map(|(n, original_len, data, flags, drops)| Found {
        timestamp_ns: START_NS + 1000 * n,
        interface: 0,
        original_len,
        data,
        flags: Some(flags),
        drops,
    });
    assert_eq!(found, expected);

    let [block] = &statistics[..] else {
        panic!("one block of statistics: {statistics:?}")
    };
    let started = Duration::from_nanos(START_NS);
    let ended = started + Duration::from_secs(10);
    assert_eq!((block.interface_id, block.timestamp), (0, ended));
    let comment = "task: matched=13 captured=4 oversize_discarded=2 over_limit=0 dropped.ring=4 \
                   dropped.queue=0 dropped.write=0 dropped.copy=3";
    assert_eq!(
        block.options,
        [
            Stat::IsbStartTime(started),
            Stat::IsbEndTime(ended),
            Stat::IsbIfRecv(99),
            Stat::IsbIfDrop(5),
            Stat::IsbFilterAccept(13),
            Stat::IsbOsDrop(7),
            Stat::IsbUsrDeliv(4),
            Stat::Common(CommonOption::Comment(comment.into())),
        ]
    );
}

#[test]
fn pcapng_is_read_back_by_tshark() {
    let (path, _directory) = write(Format::Pcapng, "a.pcapng");
    let fields = "frame.time_epoch frame.len frame.cap_len frame.packet_flags_direction \
                  frame.interface_name vlan.id arp.opcode"
        .split(' ')
        .filter(|field| !field.is_empty())
        .flat_map(|field| ["-e", field]);
    let arguments: Vec<_> = ["-T", "fields", "-E", "separator=,"]
        .into_iter()
        .chain(fields)
        .collect();
    let arguments = [&arguments[..], &["-r"]].concat();
    let lines = run("tshark", &arguments, &path);
    let expected = "\
1704164645.678901234,42,42,0x00000001,eth0,,1
1704164645.678902234,1514,40,0x00000002,eth0,,1
1704164645.678903234,46,46,0x00000001,eth0,100,1
1704164645.678904234,42,42,0x00000002,eth0,,1
";
    assert_eq!(lines, expected);

    let infos = run("capinfos", &[], &path);
    let version = env!("CARGO_PKG_VERSION");
    for part in [
        "Capture application: capture-agent ",
        version,
        "task web errors (01HKZ0000000000000000000AB)",
        "Capture oper-sys:    Linux ",
        "Name = eth0",
        "Time resolution = 0x09",
        "Encapsulation = Ethernet",
        "File timestamp precision:  nanoseconds (9)",
        "Number of stat entries = 1",
        "Number of packets = 4",
    ] {
        assert!(infos.contains(part), "{part} is not in {infos}");
    }
}

/// tshark can take the file itself apart, with a dissector that is not its reader.
#[test]
fn pcapng_blocks_are_understood_by_tshark() {
    let (path, _directory) = write(Format::Pcapng, "a.pcapng");
    let arguments = ["-X", "read_format:MIME Files Format", "-V", "-r"];
    let tree = run("tshark", &arguments, &path);
    for part in [
        "Number of Received Packets: 99",
        "Number of Dropped Packets: 5",
        "Number of Accepted by Filter Packets: 13",
        "Number of Dropped Packets by OS: 7",
        "Number of Delivered to the User Packets: 4",
        "Drop Count: 7",
    ] {
        assert!(tree.contains(part), "{part} is not in {tree}");
    }
    assert!(!tree.contains("Malformed"), "{tree}");
}

#[test]
fn pcap_is_read_back() {
    let (path, _directory) = write(Format::Pcap, "a.pcap");
    let (found, _) = read(&path);
    let brief: Vec<_> = found
        .iter()
        .map(|f| (f.timestamp_ns - START_NS, f.original_len, f.data.len()))
        .collect();
    assert_eq!(
        brief,
        [
            (0, 42, 42),
            (1000, 1514, 40),
            (2000, 46, 46),
            (3000, 42, 42)
        ]
    );

    let lines = run("tcpdump", &["--nano", "-tt", "-n", "-e", "-r"], &path);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("1704164645.678901234 "), "{lines:?}");
    assert!(lines[2].contains("vlan 100, p 3"), "{lines:?}");
    let infos = run("capinfos", &[], &path);
    assert!(infos.contains("nanosecond pcap"), "{infos}");
    assert!(infos.contains("file hdr: 262144 bytes"), "{infos}");
}

#[test]
fn tcpdump_reads_pcapng() {
    let (path, _directory) = write(Format::Pcapng, "a.pcapng");
    let lines = run("tcpdump", &["--nano", "-tt", "-n", "-r"], &path);
    assert_eq!(lines.lines().count(), 4);
    assert!(lines.starts_with("1704164645.678901234 ARP"), "{lines}");
}

#[test]
fn several_interfaces_have_statistics_each() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcapng");
    let known = [
        interface(2, "eth0"),
        InterfaceInfo {
            link_type: 101,
            ..interface(3, "wg0")
        },
    ];
    let mut sink =
        FileOutput::open(&plan(Format::Pcapng), &config(&path), &known).expect("the output opens");
    let data = [0x45; 60];
    sink.packet(&Packet {
        ifindex: 3,
        vlan: TAG,
        ..packet(0, &data)
    });
    sink.add_interface(interface(7, "veth7"));
    sink.add_interface(interface(8, "silent"));
    sink.packet(&Packet {
        ifindex: 7,
        ..packet(1, &data)
    });
    // Never announced.
    sink.packet(&Packet {
        ifindex: 9,
        ..packet(2, &data)
    });
    sink.packet(&Packet {
        ifindex: 7,
        ..packet(3, &data)
    });
    let seen = [2, 3, 7].map(|n| InterfaceStats {
        ifindex: n,
        seen: 10 * u64::from(n),
        dropped: None,
    });
    let report = sink.finish(&FinalFigures {
        interfaces: seen.to_vec(),
        matched: 4,
        ..closing()
    });
    assert!(report.error.is_none(), "{:?}", report.error);

    let (found, statistics) = read(&path);
    // No tag on a link without Ethernet.
    assert!(
        found.iter().all(|f| f.data == data && f.original_len == 60),
        "{found:?}"
    );
    let interfaces: Vec<_> = found.iter().map(|found| found.interface).collect();
    assert_eq!(interfaces, [1, 2, 3, 2]);
    let figures: Vec<_> = statistics
        .iter()
        .map(|block| {
            let received = block.options.iter().find_map(|option| match option {
                Stat::IsbIfRecv(n) => Some(*n),
                _ => None,
            });
            let delivered = block.options.iter().find_map(|option| match option {
                Stat::IsbUsrDeliv(n) => Some(*n),
                _ => None,
            });
            let comment = block
                .options
                .iter()
                .any(|option| matches!(option, Stat::Common(_)));
            assert!(comment && block.options.len() < 8, "{block:?}");
            (block.interface_id, received, delivered)
        })
        .collect();
    let expected = [
        (0, Some(20), Some(0)),
        (1, Some(30), Some(1)),
        (2, Some(70), Some(2)),
        (3, None, Some(1)),
    ];
    assert_eq!(figures, expected);
    let arguments = ["-T", "fields", "-e", "frame.interface_name", "-r"];
    assert_eq!(run("tshark", &arguments, &path), "wg0\nveth7\nif9\nveth7\n");
}

#[test]
fn a_frame_larger_than_a_buffer_is_cut_to_what_readers_take() {
    for (format, name) in [(Format::Pcapng, "a.pcapng"), (Format::Pcap, "a.pcap")] {
        let mut output = Output::new(&plan(format), name);
        let data = vec![7; 3 << 20];
        output.give(&packet(0, &data));
        output.give(&packet(1, &data[..60]));
        let path = output.path(name);
        let (report, counters, _directory) = output.finish();
        assert!(report.error.is_none(), "{:?}", report.error);
        assert_eq!(counters.captured(), 2);
        let (found, _) = read(&path);
        assert_eq!(found[0].data.len(), MAX_SNAP_LEN as usize);
        assert_eq!(found[0].original_len, 3 << 20);
        assert_eq!(
            run("tshark", &["-T", "fields", "-e", "frame.len", "-r"], &path),
            "3145728\n60\n"
        );
    }
}
