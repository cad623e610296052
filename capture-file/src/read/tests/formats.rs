//! Every kind of file, and every block.

use super::{
    build::{Builder, End, everything},
    *,
};

const ENDS: [End; 2] = [End::Little, End::Big];

#[test]
fn all_magics_of_pcap() {
    for end in ENDS {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let mut b = Builder::new(end);
            b.pcap(magic).record(1_700_000_000, 123_456, &[9; 60]);
            b.u32(5).u32(6).u32(4).u32(1514).bytes(b"abcd");
            let interface = Interface {
                link_type: 1,
                snap_len: 262_144,
                ..Interface::default()
            };
            let first = Found {
                number: 1,
                timestamp_ns: Some(1_700_000_000_000_000_000 + 123_456 * unit),
                original_len: 60,
                data: vec![9; 60],
                ..Found::default()
            };
            let second = Found {
                number: 2,
                timestamp_ns: Some(5_000_000_000 + 6 * unit),
                original_len: 1514,
                data: b"abcd".to_vec(),
                ..Found::default()
            };
            let wanted = [
                Kept::Interface(interface),
                Kept::Packet(first),
                Kept::Packet(second),
            ];
            assert_eq!(read(&b.out[..]), wanted, "{end:?} {magic:x}");
        }
    }
}

#[test]
fn the_modified_pcap_says_the_direction() {
    for end in ENDS {
        let mut b = Builder::new(end);
        b.pcap(0xa1b2_cd34);
        for kind in [0, 4] {
            b.u32(1).u32(2).u32(3).u32(3);
            // Interface index, protocol, type of packet, padding.
            b.u32(2).u16(0x0800).bytes(&[kind, 0]).bytes(b"abc");
        }
        let found = packets(&b.out[..]);
        let directions: Vec<_> = found.iter().map(|found| found.direction).collect();
        assert_eq!(
            directions,
            [Some(Direction::Ingress), Some(Direction::Egress)]
        );
        assert!(found.iter().all(|found| found.data == b"abc"), "{end:?}");
    }
}

#[test]
fn everything_of_pcapng() {
    let file = everything();
    let kept = read(&file[..]);
    let half = kept.len() / 2;
    for (section, kept) in kept.chunks(half).enumerate() {
        check_section(kept, section as u32);
    }
    assert_eq!(kept.len(), 2 * half);
}

/// One half of [`everything`].
fn check_section(kept: &[Kept], section: u32) {
    let text = |text: &str| Some(text.to_owned());
    let id = 2 * section;
    let wanted = Kept::Section(Section {
        hardware: text("a machine"),
        os: text("an OS"),
        application: text("a tool"),
        comment: text("first\nsecond"),
    });
    assert_eq!(kept[0], wanted);
    let wanted = Kept::Interface(Interface {
        id,
        link_type: 1,
        snap_len: 96,
        name: text("eth0"),
        description: text("uplink"),
        filter: Some(Filter::Expression("tcp port 80".to_owned())),
        comment: text("note"),
    });
    assert_eq!(kept[1], wanted);
    let wanted = Kept::Interface(Interface {
        id: id + 1,
        link_type: 1,
        name: text("schnittstelle-\u{fc}"),
        filter: Some(Filter::Program),
        ..Interface::default()
    });
    assert_eq!(kept[2], wanted);
    let wanted = Kept::Secrets(Secrets {
        kind: 0x544c_534b,
        len: 6,
    });
    assert_eq!(kept[3], wanted);
    check_packets(&kept[4..9], u64::from(section) * 6, id);
    let wanted = Kept::Statistics(Statistics {
        interface: id,
        timestamp_ns: 1_700_000_003_000_000_000,
        started_ns: Some(1_700_000_000_000_000_000),
        ended_ns: Some(1_700_000_003_000_000_000),
        received: Some(100),
        interface_dropped: Some(1),
        accepted: Some(90),
        system_dropped: Some(2),
        delivered: Some(88),
        comment: text("sums"),
    });
    assert_eq!(kept[9..], [wanted]);
}

fn check_packets(kept: &[Kept], before: u64, id: u32) {
    let wanted = [
        Found {
            number: before + 1,
            timestamp_ns: Some(1_700_000_000_123_456_789),
            interface: id,
            direction: Some(Direction::Ingress),
            original_len: 61,
            lost_before: 7,
            data: vec![1; 61],
            comments: vec!["look".to_owned(), "here".to_owned()],
        },
        // A custom block has the number between them.
        Found {
            number: before + 3,
            timestamp_ns: Some(1_700_000_001_500_000_000),
            interface: id + 1,
            direction: Some(Direction::Egress),
            original_len: 60,
            data: vec![2; 60],
            ..Found::default()
        },
        Found {
            number: before + 4,
            timestamp_ns: Some(1_700_000_001_000_000_000),
            interface: id,
            direction: Some(Direction::Egress),
            original_len: 1500,
            lost_before: 3,
            data: vec![3; 5],
            ..Found::default()
        },
        Found {
            number: before + 5,
            interface: id,
            original_len: 1000,
            data: vec![4; 96],
            ..Found::default()
        },
        Found {
            number: before + 6,
            timestamp_ns: Some(1_700_000_002_000_000_000),
            interface: id,
            ..Found::default()
        },
    ];
    assert_eq!(kept, wanted.map(Kept::Packet));
}

/// As long as packets are, they are lent in one piece; one byte more is not believed.
#[test]
fn the_longest_packet() {
    let longest = vec![7; 262_144];
    let mut b = Builder::new(End::Little);
    b.pcap(0xa1b2_c3d4)
        .record(1, 1, &longest)
        .record(2, 2, b"next");
    let found = packets(&b.out[..]);
    assert_eq!((found.len(), found[0].data.len()), (2, 262_144));

    let mut b = Builder::new(End::Big);
    b.section().interface(0, |_| {});
    b.packet(0, 1, &longest, |b| {
        for _ in 0..100 {
            b.option(1, &[b'x'; 65_535]);
        }
    });
    b.packet(0, 1, b"next", |_| {});
    let found = packets(&b.out[..]);
    assert_eq!((found.len(), found[0].comments.len()), (2, 100));
}

#[test]
fn a_snap_length_bounds_simple_packets() {
    let mut b = Builder::new(End::Little);
    b.section().interface(6, |_| {});
    b.block(3, |b| {
        b.u32(100).padded(b"abcdef");
    });
    b.section().interface(0, |_| {});
    b.block(3, |b| {
        b.u32(3).padded(b"abc");
    });
    let found = packets(&b.out[..]);
    let data: Vec<_> = found.iter().map(|found| &found.data[..]).collect();
    assert_eq!(data, [&b"abcdef"[..], b"abc"]);
}

/// The length of a link's frame check sequence stands in the same word.
#[test]
fn the_link_type_is_the_lower_half() {
    let mut b = Builder::new(End::Little);
    b.u32(0xa1b2_c3d4)
        .u16(2)
        .u16(4)
        .u64(0)
        .u32(0)
        .u32(0x2400_0071);
    let kept = read(&b.out[..]);
    let wanted = Interface {
        link_type: 113,
        ..Interface::default()
    };
    assert_eq!(kept, [Kept::Interface(wanted)]);
}

/// As pipes may.
#[test]
fn a_source_may_give_little() {
    let file = everything();
    assert_eq!(read(OneByte(&file)), read(&file[..]));
}

/// Offsets are those of records, blocks that say nothing included, and the end is the end.
#[test]
fn a_reader_knows_where_it_is() {
    let mut b = Builder::new(End::Little);
    b.section().interface(0, |_| {});
    let mut reader = Reader::new(&b.out[..]);
    let mut offsets = vec![reader.offset()];
    while reader.next().expect("no fault").is_some() {
        offsets.push(reader.offset());
    }
    assert_eq!(offsets, [0, 28, 48]);
    assert_eq!((reader.offset(), reader.packets()), (48, 0));

    let mut cut = b.clone();
    cut.block(9, |b| {
        b.padded(b"a log entry");
    });
    cut.out.pop();
    let mut reader = Reader::following(&cut.out[..]);
    while !matches!(reader.next(), Ok(Some(Item::Pending))) {}
    assert_eq!(reader.offset(), 48, "of the block that is not whole");
    reader.stop_following();
    assert_eq!(reader.next().expect_err("a cut block").offset, 48);
    assert_eq!(reader.offset(), 48, "all that is whole is before it");
}
