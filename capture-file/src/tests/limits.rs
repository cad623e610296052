//! Limits are kept exactly, whatever the sizes.

use capture_task::{
    error::ErrorKind,
    plan::{Field, Rotate},
    task::StopReason,
};

use super::*;

#[test]
fn max_packets_is_exact() {
    let plan = Plan {
        max_packets: Some(5),
        ..plan(Format::Pcapng)
    };
    let mut output = Output::new(&plan, "a.pcapng");
    let reasons: Vec<_> = (0..8).map(|n| output.give(&packet(n, &[1; 60]))).collect();
    let limit = Some(StopReason::MaxPackets);
    assert_eq!(
        reasons,
        [None, None, None, None, limit, limit, limit, limit]
    );
    let path = output.path("a.pcapng");
    let (report, counters, _directory) = output.finish();
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!((counters.captured(), counters.over_limit()), (5, 3));
    assert_eq!(read(&path).0.len(), 5);
}

/// Every limit from an empty file upwards: never exceeded, and never more than a packet wasted.
#[test]
fn max_file_bytes_is_never_exceeded() {
    for (format, name) in [(Format::Pcapng, "a.pcapng"), (Format::Pcap, "a.pcap")] {
        let empty = {
            let refused = open(
                &Plan {
                    max_file_bytes: Some(23),
                    ..plan(format)
                },
                Path::new("/nonexistent/a"),
            );
            let error = refused
                .err()
                .expect("a limit below an empty file is refused");
            assert_eq!(error.kind(), ErrorKind::Usage);
            let Error::LimitTooSmall {
                field: Field::MaxFileBytes,
                bytes: 23,
                least,
            } = error
            else {
                panic!("{error}")
            };
            least
        };
        for limit in (empty..empty + 700).step_by(17) {
            let mut output = Output::new(
                &Plan {
                    max_file_bytes: Some(limit),
                    ..plan(format)
                },
                name,
            );
            for n in 0..20 {
                let reason = output.give(&packet(n, &vec![1; 40 + 3 * n as usize]));
                assert!(reason.is_none_or(|reason| reason == StopReason::MaxFileBytes));
            }
            let path = output.path(name);
            let (report, counters, _directory) = output.finish();
            let size = fs::metadata(&path).expect("the file").len();
            assert!(size <= limit, "{size} of {limit}");
            assert_eq!(report.files[0].size, size);
            // Figures are reserved at their longest, so statistics may leave some of it.
            assert!(size + 320 >= limit, "{size} of {limit}");
            assert_eq!(read(&path).0.len() as u64, counters.captured());
            assert!(counters.over_limit() > 0);
        }
    }
}

/// A later interface brings a description and statistics of its own, which count as well.
#[test]
fn max_file_bytes_counts_later_interfaces() {
    for limit in (800..3000).step_by(59) {
        let plan = Plan {
            max_file_bytes: Some(limit),
            ..plan(Format::Pcapng)
        };
        let mut output = Output::new(&plan, "a.pcapng");
        for n in 0..12 {
            let ifindex = 10 + n as u32 / 2;
            output.give(&Packet {
                ifindex,
                ..packet(n, &[1; 60])
            });
        }
        let path = output.path("a.pcapng");
        let (_, _, _directory) = output.finish();
        let size = fs::metadata(&path).expect("the file").len();
        assert!(size <= limit, "{size} of {limit}");
    }
}

/// All files of a ring together stay below the limit, also while it turns.
#[test]
fn max_file_bytes_counts_what_exists() {
    let rotate = |files| {
        Some(Rotate {
            bytes: Some(2000),
            seconds: None,
            files,
        })
    };
    for (files, limit) in [(None, 9000), (Some(3), 9000), (Some(3), 5000)] {
        let plan = Plan {
            max_file_bytes: Some(limit),
            rotate: rotate(files),
            ..plan(Format::Pcapng)
        };
        let mut output = Output::new(&plan, "a.pcapng");
        let mut last = None;
        for n in 0..200 {
            last = output.give(&packet(n, &[1; 100]));
            output.sink.flush();
            let total: u64 = names(&output.directory)
                .iter()
                .filter_map(|name| fs::metadata(output.path(name)).ok())
                .map(|metadata| metadata.len())
                .sum();
            assert!(total <= limit, "{total} of {limit}");
        }
        // A ring of three files of 2,000 bytes goes on for ever below 9,000 bytes.
        let expected = (files.is_none() || limit == 5000).then_some(StopReason::MaxFileBytes);
        assert_eq!(last, expected);
        let (report, _, directory) = output.finish();
        let total: u64 = report.files.iter().map(|file| file.size).sum();
        assert!(total <= limit, "{total} of {limit}");
        assert_eq!(names(&directory).len(), report.files.len());
    }
}
