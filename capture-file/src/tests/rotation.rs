//! Several files: where they are cut, what they are called, and that each is complete in itself.

use std::{collections::VecDeque, time::Duration};

use capture_task::{
    error::ErrorKind,
    plan::Rotate,
    task::{FileRecord, StopReason},
};
use capture_tests::cpus::thread_cpu_time;
use pcap_file::pcapng::blocks::{
    interface_statistics::InterfaceStatisticsOption, opt_common::CommonOption,
};
use proptest::prelude::*;

use super::*;
use crate::{rotation::Rotation, unix_ns};

fn rotating(format: Format, bytes: Option<u64>, seconds: Option<u64>, files: Option<u64>) -> Plan {
    Plan {
        rotate: Some(Rotate {
            bytes,
            seconds,
            files,
        }),
        ..plan(format)
    }
}

#[test]
fn by_bytes() {
    for (format, name, extension) in [
        (Format::Pcapng, "a.pcapng", "pcapng"),
        (Format::Pcap, "a.pcap", "pcap"),
    ] {
        let mut output = Output::new(&rotating(format, Some(1500), None, None), name);
        for n in 0..50 {
            assert_eq!(output.give(&packet(n, &[n as u8; 100])), None);
        }
        let (report, counters, directory) = output.finish();
        assert!(report.error.is_none(), "{:?}", report.error);
        assert_eq!(counters.captured(), 50);
        let mut found = Vec::new();
        for (n, file) in (1..).zip(&report.files) {
            let path = directory.path().join(format!("a_{n:05}.{extension}"));
            assert_eq!(file.name, path.to_string_lossy());
            assert!(file.complete && file.size <= 1500, "{file:?}");
            assert!(file.size > 1000 || n == report.files.len(), "{file:?}");
            let (packets, statistics) = read(&path);
            assert_eq!(packets.len() as u64, file.packets);
            assert_eq!(statistics.len(), usize::from(format == Format::Pcapng));
            found.extend(packets.iter().map(|packet| packet.data[0]));
            run("tshark", &["-r"], &path);
        }
        assert_eq!(found, (0..50).collect::<Vec<u8>>());
        assert_eq!(names(&directory).len(), report.files.len());
    }
}

#[test]
fn a_packet_larger_than_a_file_has_one_of_its_own() {
    let mut output = Output::new(&rotating(Format::Pcap, Some(200), None, None), "a.pcap");
    for n in 0..3 {
        output.give(&packet(n, &[1; 500]));
    }
    let (report, _, _directory) = output.finish();
    let packets: Vec<_> = report.files.iter().map(|file| file.packets).collect();
    assert_eq!(packets, [1, 1, 1]);
}

#[test]
fn a_ring_keeps_the_newest() {
    let mut output = Output::new(&rotating(Format::Pcap, Some(300), None, Some(3)), "a.pcap");
    for n in 0..20 {
        output.give(&packet(n, &[1; 100]));
    }
    let (report, counters, directory) = output.finish();
    // Two records of 116 bytes fit behind a header of 24.
    assert_eq!(
        names(&directory),
        ["a_00008.pcap", "a_00009.pcap", "a_00010.pcap"]
    );
    assert_eq!(
        report
            .files
            .iter()
            .map(|file| file.index)
            .collect::<Vec<_>>(),
        [7, 8, 9]
    );
    assert_eq!(counters.captured(), 20);
}

#[test]
fn by_seconds_aligned_to_the_clock() {
    let mut output = Output::new(
        &rotating(Format::Pcapng, None, Some(10), None),
        "%H-%M-%S.pcapng",
    );
    // The first file is named after the time of opening, which is long after these packets; from a
    // boundary after that on, packets decide.
    let now = unix_ns();
    let boundary = (now / SECOND_NS + 20) / 10 * 10 * SECOND_NS;
    for offset in [
        0,
        9 * SECOND_NS,
        10 * SECOND_NS - 1,
        10 * SECOND_NS,
        35 * SECOND_NS,
    ] {
        output.give(&Packet {
            timestamp_ns: boundary + offset,
            ..packet(0, &[1; 60])
        });
    }
    let (report, _, directory) = output.finish();
    let packets: Vec<_> = report.files.iter().map(|file| file.packets).collect();
    assert_eq!(packets, [0, 3, 1, 1]);
    for (file, offset) in report.files[1..].iter().zip([0, 10, 30]) {
        let time = jiff::Timestamp::from_second((boundary / SECOND_NS) as i64 + offset)
            .expect("a time")
            .strftime("%H-%M-%S.pcapng")
            .to_string();
        assert_eq!(file.name, directory.path().join(time).to_string_lossy());
    }
}

#[test]
fn seconds_and_files_end_the_task() {
    let mut output = Output::new(&rotating(Format::Pcap, None, Some(3600), Some(2)), "a.pcap");
    let now = unix_ns();
    let hour = 3600 * SECOND_NS;
    let next = (now / hour + 1) * hour;
    assert_eq!(
        output.give(&Packet {
            timestamp_ns: next - 1,
            ..packet(0, &[1; 60])
        }),
        None
    );
    assert_eq!(
        output.give(&Packet {
            timestamp_ns: next,
            ..packet(0, &[1; 60])
        }),
        None
    );
    assert_eq!(output.sink.tick(next + hour), None);
    let used_up = output.give(&Packet {
        timestamp_ns: next + hour,
        ..packet(0, &[1; 60])
    });
    assert_eq!(used_up, Some(StopReason::MaxFileBytes));
    let (report, counters, directory) = output.finish();
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!((counters.captured(), counters.over_limit()), (2, 1));
    assert_eq!(names(&directory), ["a_00001.pcap", "a_00002.pcap"]);
}

#[test]
fn a_silent_period_ends_by_the_clock() {
    let mut output = Output::new(&rotating(Format::Pcap, None, Some(3600), Some(2)), "a.pcap");
    let now = unix_ns();
    let hour = 3600 * SECOND_NS;
    let next = (now / hour + 1) * hour;
    output.give(&Packet {
        timestamp_ns: next - 1,
        ..packet(0, &[1; 60])
    });
    assert_eq!(output.sink.tick(next + SECOND_NS - 1), None);
    assert!(output.sink.is_file_open());
    assert_eq!(output.sink.tick(next + SECOND_NS), None);
    assert!(!output.sink.is_file_open());
    output.give(&Packet {
        timestamp_ns: next + 5,
        ..packet(0, &[1; 60])
    });
    assert_eq!(
        output.sink.tick(next + hour + SECOND_NS),
        Some(StopReason::MaxFileBytes)
    );
    let (report, _, _directory) = output.finish();
    let packets: Vec<_> = report.files.iter().map(|file| file.packets).collect();
    assert_eq!(packets, [1, 1]);
}

/// Gives a packet, closes its file by the clock, and ends the output; what its files hold, as packets and figures.
fn silent_before_the_end(plan: &Plan, name: &str) -> Vec<(u64, bool)> {
    let mut output = Output::new(plan, name);
    let hour = 3600 * SECOND_NS;
    let next = (unix_ns() / hour + 1) * hour;
    output.give(&Packet {
        timestamp_ns: next - 1,
        ..packet(0, &[1; 60])
    });
    assert_eq!(output.sink.tick(next + SECOND_NS), None);
    assert!(!output.sink.is_file_open());
    let (report, _, _directory) = output.finish();
    assert!(report.error.is_none(), "{:?}", report.error);
    let files = report.files.iter().map(|file| {
        assert!(file.complete, "{file:?}");
        let (packets, statistics) = read(Path::new(&file.name));
        assert_eq!(packets.len() as u64, file.packets);
        let has_figures = statistics.iter().any(|block| {
            block.options.iter().any(|option| match option {
                InterfaceStatisticsOption::Common(CommonOption::Comment(comment)) => {
                    comment.contains(" captured=1 ")
                }
                _ => false,
            })
        });
        (file.packets, has_figures)
    });
    files.collect()
}

#[test]
fn the_figures_have_a_file_of_their_own_after_a_silent_period() {
    let plan = rotating(Format::Pcapng, None, Some(3600), None);
    let files = silent_before_the_end(&plan, "a.pcapng");
    assert_eq!(files, [(1, false), (0, true)]);
    // A ring that has room.
    let plan = rotating(Format::Pcapng, Some(10_000), Some(3600), Some(2));
    let files = silent_before_the_end(&plan, "a.pcapng");
    assert_eq!(files, [(1, false), (0, true)]);
}

#[test]
fn no_packet_and_no_limit_is_the_price_of_the_figures() {
    let plan = rotating(Format::Pcapng, Some(10_000), Some(3600), Some(1));
    assert_eq!(silent_before_the_end(&plan, "a.pcapng"), [(1, false)]);
    let plan = Plan {
        max_file_bytes: Some(1000),
        ..rotating(Format::Pcapng, None, Some(3600), None)
    };
    assert_eq!(silent_before_the_end(&plan, "a.pcapng"), [(1, false)]);
    // A format without.
    let plan = rotating(Format::Pcap, None, Some(3600), None);
    assert_eq!(silent_before_the_end(&plan, "a.pcap"), [(1, false)]);
}

#[test]
fn a_pattern_never_names_two_files_alike() {
    let mut output = Output::new(&rotating(Format::Pcap, Some(300), None, None), "x_%Y.pcap");
    for n in 0..6 {
        output.give(&packet(n, &[1; 100]));
    }
    let year = jiff::Timestamp::now().strftime("%Y").to_string();
    let (report, _, directory) = output.finish();
    assert_eq!(report.files.iter().map(|file| file.packets).sum::<u64>(), 6);
    let expected = [
        "x_2024.pcap".to_owned(),
        "x_2024_2.pcap".to_owned(),
        format!("x_{year}.pcap"),
    ];
    assert_eq!(names(&directory), expected);
}

#[test]
fn what_cannot_be_rotated_is_refused() {
    let plan = rotating(Format::Pcap, Some(1000), None, None);
    for path in ["/dev/null", "/tmp/%!.pcap"] {
        let error = open(&plan, Path::new(path)).err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    let stdout = OutputConfig {
        target: Target::Stdout,
        task_id: String::new(),
        space: None,
        owner: None,
        earlier: EarlierFiles::default(),
    };
    let error = FileOutput::open(&plan, &stdout, &[])
        .err()
        .expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

/// The sum as [`Rotation`] keeps it, beside one that is added up anew.
fn plain_sum_then(finished: &VecDeque<u64>, ring: Option<usize>, closing: Option<u64>) -> u64 {
    let newest_first = closing.into_iter().chain(finished.iter().rev().copied());
    match ring {
        Some(files) => newest_first.take(files - 1).sum(),
        None => newest_first.sum(),
    }
}

proptest! {
    /// Files of any size come and go, some closed long before the next one begins.
    #[test]
    fn the_bytes_of_finished_files_are_their_sum(
        ring in proptest::option::of(1..6_usize),
        by_seconds in any::<bool>(),
        sizes in proptest::collection::vec((0..1_000_000_u64, 0..1_000_000_u64), 1..40),
    ) {
        let rotate = Rotate {
            bytes: Some(1),
            seconds: by_seconds.then_some(1),
            files: ring.map(|files| files as u64),
        };
        let mut rotation = Rotation::new(Path::new("a.pcap"), Some(rotate), &EarlierFiles::default());
        let mut plain = VecDeque::new();
        for (n, (so_far, size)) in sizes.into_iter().enumerate() {
            while ring.is_some_and(|files| plain.len() >= files) {
                plain.pop_front();
            }
            let evicted = rotation.begin(n as u64 * SECOND_NS).expect("a name").evicted;
            prop_assert_eq!(evicted.len(), usize::from(ring.is_some_and(|files| n >= files)));
            // What the open file would be if it were closed now is not what it is in the end.
            for closing in [so_far, size] {
                let then = plain_sum_then(&plain, ring, Some(closing));
                prop_assert_eq!(rotation.finished_bytes_after_next(Some(closing)), then);
            }
            rotation.finished(size);
            plain.push_back(size);
            prop_assert_eq!(rotation.finished_bytes(), plain.iter().sum::<u64>());
            prop_assert_eq!(rotation.finished_bytes_after_next(None), plain_sum_then(&plain, ring, None));
        }
    }
}

/// A packet that begins a file costs the reader the same however many files a ring has: with a ten-thousandth
/// of them it may be twenty times cheaper, and a walk over all of them would be thousands of times dearer.
#[test]
fn a_large_ring_costs_the_reader_no_more_than_a_small_one() {
    let cost = |files: u64| {
        let rotate = Rotate {
            bytes: Some(41),
            seconds: None,
            files: Some(files),
        };
        let mut rotation =
            Rotation::new(Path::new("a.pcap"), Some(rotate), &EarlierFiles::default());
        for n in 1..files {
            rotation.begin(n).expect("a name");
            rotation.finished(41);
        }
        rotation.begin(files).expect("a name");
        let before = thread_cpu_time();
        for closing in 0..2000 {
            let then = rotation.finished_bytes_after_next(Some(closing));
            assert_eq!(std::hint::black_box(then), closing + 41 * (files - 2));
        }
        thread_cpu_time() - before
    };
    // The first one pays for what is warmed up.
    cost(10);
    let (small, large) = (cost(10), cost(100_000));
    assert!(
        large < 20 * small + Duration::from_millis(2),
        "{small:?}, {large:?}"
    );
}

/// Descriptions and statistics of many interfaces may be more than a whole file. A file begins with as many
/// as take half of it, and has the others once they have packets.
#[test]
fn files_have_room_for_packets_however_many_interfaces_there_are() {
    for (bytes, max_file_bytes) in [
        (Some(4000), None),
        (Some(4000), Some(1 << 20)),
        (None, Some(30_000)),
    ] {
        let plan = Plan {
            max_file_bytes,
            ..rotating(Format::Pcapng, bytes, Some(3600), None)
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.pcapng");
        let some: Vec<_> = (2..60).map(|n| interface(n, &format!("veth{n}"))).collect();
        let mut sink = FileOutput::open(&plan, &config(path), &some).expect("the output opens");
        for n in 60..120 {
            sink.add_interface(interface(n, &format!("veth{n}")));
        }
        // Interfaces that every file begins with, and others.
        for n in 0..100 {
            let data = [n as u8; 60];
            let packet = Packet {
                ifindex: if n < 50 { 2 } else { 110 + n as u32 / 10 },
                ..packet(n, &data)
            };
            assert_eq!(sink.packet(&packet), None, "{n}");
        }
        let report = sink.finish(&closing());
        assert!(report.error.is_none(), "{:?}", report.error);
        assert!(report.files.len() <= 20, "{} files", report.files.len());
        let mut found = Vec::new();
        for file in &report.files {
            assert!(bytes.is_none_or(|most| file.size <= most), "{file:?}");
            let (packets, statistics) = read(Path::new(&file.name));
            let most = packets.iter().map(|packet| packet.interface).max();
            assert!(
                most.is_some_and(|id| (id as usize) < statistics.len()),
                "{file:?}"
            );
            found.extend(packets.iter().map(|packet| packet.data[0]));
        }
        assert_eq!(found, (0..100).collect::<Vec<u8>>());
        let total: u64 = report.files.iter().map(|file| file.size).sum();
        assert!(max_file_bytes.is_none_or(|most| total <= most), "{total}");
    }
}

/// The report of an output that goes on behind another one's files.
fn go_on(
    plan: &Plan,
    path: &Path,
    earlier: &[FileRecord],
    packets: u64,
) -> (OutputReport, Vec<Option<StopReason>>) {
    let config = OutputConfig {
        earlier: EarlierFiles {
            files: earlier.to_vec(),
            unfinished: u64::from(!earlier.is_empty()),
        },
        ..config(path)
    };
    let eth0 = [interface(2, "eth0")];
    let mut sink = FileOutput::open(plan, &config, &eth0).expect("the output opens");
    let packets = (0..packets).map(|n| sink.packet(&packet(n, &[1; 100])));
    let reasons = packets.collect();
    (sink.finish(&closing()), reasons)
}

#[test]
fn an_output_goes_on_behind_an_earlier_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcap");
    let (before, _) = go_on(&plan(Format::Pcap), &path, &[], 3);
    let (after, _) = go_on(&plan(Format::Pcap), &path, &before.files, 5);
    assert_eq!(names(&directory), ["a.pcap", "a_00002.pcap"]);
    assert_eq!(after.files[0], before.files[0]);
    assert_eq!((after.files[1].index, after.files[1].packets), (1, 5));
    // What is there counts: 24 bytes of header and 116 a packet.
    let limited = Plan {
        max_file_bytes: Some(before.files[0].size + after.files[1].size + 24 + 2 * 116),
        ..plan(Format::Pcap)
    };
    let (last, reasons) = go_on(&limited, &path, &after.files, 5);
    let full = Some(StopReason::MaxFileBytes);
    assert_eq!(reasons, [None, None, full, full, full]);
    assert_eq!((last.files[2].index, last.files[2].packets), (2, 2));
}

#[test]
fn a_rotation_goes_on_behind_an_earlier_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcap");
    let ring = rotating(Format::Pcap, Some(300), None, Some(3));
    let (before, _) = go_on(&ring, &path, &[], 7);
    assert_eq!(names(&directory).len(), 3);
    let (after, _) = go_on(&ring, &path, &before.files, 3);
    assert_eq!(
        names(&directory),
        ["a_00004.pcap", "a_00005.pcap", "a_00006.pcap"]
    );
    let indices: Vec<_> = after.files.iter().map(|file| file.index).collect();
    assert_eq!(indices, [3, 4, 5]);

    // Of three periods two are begun, and the one that was interrupted is begun again.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcap");
    let periods = rotating(Format::Pcap, None, Some(10), Some(3));
    let (mut before, _) = go_on(&periods, &path, &[], 1);
    let second = FileRecord {
        index: 1,
        ..before.files[0].clone()
    };
    before.files.push(second);
    let later = |n: u64| Packet {
        timestamp_ns: unix_ns() + n * 10 * SECOND_NS,
        ..packet(0, &[1; 60])
    };
    let config = OutputConfig {
        earlier: EarlierFiles {
            files: before.files,
            unfinished: 1,
        },
        ..config(&path)
    };
    let mut sink = FileOutput::open(&periods, &config, &[interface(2, "eth0")]).expect("it opens");
    let reasons: Vec<_> = [0, 1, 2].map(|n| sink.packet(&later(n))).into();
    assert_eq!(reasons, [None, None, Some(StopReason::MaxFileBytes)]);
    sink.finish(&closing());
}
