//! Files that grow while they are read: any piece at a time, and behind our own writer.

use std::{
    cell::RefCell,
    fs::File,
    io,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use capture_common::VlanTag;
use capture_task::plan::{
    Directions, Filter as TaskFilter, Format, Hook, InterfaceSelection, Oversize, Plan, Protocol,
};
use proptest::prelude::*;

use super::{
    build::{Builder, End, everything},
    compression::{gzip, zstd},
    *,
};
use crate::{
    EarlierFiles, FileOutput, FinalFigures, InterfaceInfo, OutputConfig, Packet as Written, Target,
    part_of,
};

/// What is there of a file so far, and how far it was read.
#[derive(Clone, Default)]
struct Growing {
    there: Rc<RefCell<Vec<u8>>>,
    at: usize,
    would_block: bool,
}

impl Read for Growing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let there = self.there.borrow();
        let count = (&there[self.at..]).read(out)?;
        if count == 0 && self.would_block {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.at += count;
        Ok(count)
    }
}

/// Reads a file that comes in pieces of these lengths, and the rest.
fn read_pieces(file: &[u8], lengths: &[usize], would_block: bool) -> Vec<Kept> {
    let growing = Growing {
        would_block,
        ..Growing::default()
    };
    let there = Rc::clone(&growing.there);
    let mut reader = Reader::following(growing);
    let mut kept = Vec::new();
    let mut rest = file;
    for len in lengths.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(len.min(rest.len()));
        there.borrow_mut().extend_from_slice(piece);
        rest = after;
        loop {
            match reader.next().expect("no fault").expect("no end") {
                Item::Pending => break,
                item => kept.push(item.into()),
            }
        }
    }
    if !would_block {
        reader.stop_following();
        assert!(reader.next().expect("no fault").is_none(), "the end");
    }
    kept
}

proptest! {
    #[test]
    fn pieces_of_any_length(
        lengths in proptest::collection::vec(prop_oneof![0..20_usize, 0..600_usize], 0..30),
        would_block in any::<bool>(),
    ) {
        let file = everything();
        let wanted = read(&file[..]);
        prop_assert_eq!(&read_pieces(&file, &lengths, would_block), &wanted);
        prop_assert_eq!(&read_pieces(&gzip(&file), &lengths, would_block), &wanted);
        prop_assert_eq!(&read_pieces(&zstd(&file), &lengths, would_block), &wanted);

        let mut b = Builder::new(End::Big);
        b.pcap(0xa1b2_3c4d);
        for n in 0..10 {
            b.record(n + 1, n, &vec![n as u8; 50 * n as usize]);
        }
        prop_assert_eq!(read_pieces(&b.out, &lengths, would_block), read(&b.out[..]));
    }
}

#[test]
fn what_is_missing_at_the_end_is_an_error() {
    let file = everything();
    let growing = Growing::default();
    growing.there.borrow_mut().extend(&file[..file.len() - 1]);
    let mut reader = Reader::following(growing);
    while !matches!(reader.next(), Ok(Some(Item::Pending))) {}
    reader.stop_following();
    let error = reader.next().expect_err("a cut block").cause;
    assert!(matches!(error, ErrorCause::Cut { .. }), "{error}");
}

fn plan(format: Format) -> Plan {
    Plan {
        name: "web errors".to_owned(),
        interfaces: InterfaceSelection::Any,
        directions: Directions::Both,
        hook: Hook::Auto,
        filter: TaskFilter {
            protocol: Protocol::Tcp,
            ..TaskFilter::default()
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

/// The next items of a file that our writer writes, waiting for them.
fn wait_for(reader: &mut Reader<File>, packets: u64, kept: &mut Vec<Kept>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while reader.packets() < packets {
        match reader.next().expect("no fault").expect("no end") {
            Item::Pending => {
                assert!(
                    Instant::now() < deadline,
                    "{} packets only",
                    reader.packets()
                );
                thread::sleep(Duration::from_millis(1));
            }
            item => kept.push(item.into()),
        }
    }
}

#[test]
fn our_own_files_are_read_while_they_are_written() {
    for (format, name) in [(Format::Pcapng, "a.pcapng"), (Format::Pcap, "a.pcap")] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(name);
        let config = OutputConfig {
            target: Target::File(path.clone()),
            task_id: "01HKZ0000000000000000000AB".to_owned(),
            space: None,
            owner: None,
            earlier: EarlierFiles::default(),
        };
        let eth0 = InterfaceInfo {
            ifindex: 2,
            name: "eth0".to_owned(),
            link_type: 1,
        };
        let mut sink = FileOutput::open(&plan(format), &config, &[eth0]).expect("it opens");
        let part = File::open(part_of(&path)).expect("it is there while it is written");
        let mut reader = Reader::following(part);
        let mut kept = Vec::new();
        for n in 0..500_u64 {
            sink.note_drops(n % 3);
            let packet = Written {
                timestamp_ns: 1_704_164_645_678_901_234 + n,
                ifindex: 2,
                direction: if n % 2 == 0 {
                    Direction::Ingress
                } else {
                    Direction::Egress
                },
                original_len: 2000,
                vlan: VlanTag {
                    protocol: 0,
                    control: 0,
                },
                data: &vec![n as u8; n as usize],
            };
            assert_eq!(sink.packet(&packet), None);
            if n % 50 == 49 {
                sink.flush();
                wait_for(&mut reader, n + 1, &mut kept);
            }
        }
        sink.finish(&FinalFigures::default());
        reader.stop_following();
        while let Some(item) = reader.next().expect("no fault") {
            kept.push(item.into());
        }
        check_own(format, &kept);
        let whole = File::open(&path).expect("it has its name");
        assert_eq!(read(whole), kept);
    }
}

fn check_own(format: Format, kept: &[Kept]) {
    let found = kept.iter().filter_map(|kept| match kept {
        Kept::Packet(found) => Some(found),
        _ => None,
    });
    let pcapng = format == Format::Pcapng;
    for (n, found) in (0_u64..).zip(found) {
        let sent = if n % 2 == 0 {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let wanted = Found {
            number: n + 1,
            timestamp_ns: Some(1_704_164_645_678_901_234 + n),
            interface: 0,
            direction: pcapng.then_some(sent),
            original_len: 2000,
            lost_before: if pcapng { n % 3 } else { 0 },
            data: vec![n as u8; n as usize],
            comments: Vec::new(),
        };
        assert_eq!(found, &wanted);
    }
    if !pcapng {
        assert_eq!(kept.len(), 501);
        return;
    }
    assert_eq!(kept.len(), 503, "section, interface, statistics");
    let Kept::Interface(interface) = &kept[1] else {
        panic!("{:?}", kept[1]);
    };
    assert_eq!(interface.name.as_deref(), Some("eth0"));
    assert!(matches!(interface.filter, Some(Filter::Expression(_))));
    let Kept::Statistics(statistics) = &kept[502] else {
        panic!("{:?}", kept[502]);
    };
    assert_eq!(statistics.delivered, Some(500));
    assert!(
        statistics
            .comment
            .as_ref()
            .is_some_and(|text| text.contains("captured=500"))
    );
}
