//! What others see of an output while it is written, and the room that outputs share.

use std::{fs, fs::File, path::Path, sync::Arc, thread::sleep, time::Duration};

use capture_task::{plan::Rotate, task::StopReason};

use super::*;
use crate::{DiskBudget, KeepFree, part_of, scan};

fn open_in(space: &Arc<DiskBudget>, plan: &Plan, path: &Path) -> FileOutput {
    let config = OutputConfig {
        space: Some(Arc::clone(space)),
        owner: None,
        earlier: EarlierFiles::default(),
        ..config(path)
    };
    FileOutput::open(plan, &config, &[interface(2, "eth0")]).expect("the output opens")
}

/// Whatever is in the file beyond it, the size that is told ends on a record and holds the packets
/// that are told with it.
#[test]
fn a_file_that_grows_can_be_read_up_to_the_size_that_is_told() {
    let mut output = Output::new(&plan(Format::Pcapng), "a.pcapng");
    let part = part_of(&output.path("a.pcapng"));
    let copy = output.path("copy");
    for n in 0..20_000 {
        output.give(&packet(n, &[7; 200]));
        if n % 1000 == 0 {
            output.sink.flush();
            let files = output.counters.files().now();
            assert_eq!((files.len(), files[0].complete), (1, false));
            let data = fs::read(&part).expect("the .part is there");
            fs::write(&copy, &data[..files[0].size as usize]).expect("as much as is told");
            let whole = scan(&File::open(&copy).expect("the copy")).expect("a capture");
            assert_eq!(
                (whole.size, whole.packets),
                (files[0].size, files[0].packets)
            );
        }
    }
    let counters = Arc::clone(&output.counters);
    let (report, ..) = output.finish();
    assert_eq!(counters.files().now(), report.files);
    assert!(report.files[0].complete);
}

#[test]
fn the_files_of_a_ring_are_told_without_those_that_left() {
    let rotate = Rotate {
        bytes: Some(4096),
        seconds: None,
        files: Some(2),
    };
    let plan = Plan {
        rotate: Some(rotate),
        ..plan(Format::Pcapng)
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let space = Arc::new(DiskBudget::new(
        directory.path(),
        1 << 30,
        KeepFree::Bytes(0),
        0,
    ));
    let mut sink = open_in(&space, &plan, &directory.path().join("ring.pcapng"));
    let counters = sink.counters();
    for n in 0..200 {
        sink.packet(&packet(n, &[7; 200]));
    }
    let report = sink.finish(&closing());
    assert_eq!(report.files.len(), 2);
    assert_eq!(counters.files().now(), report.files);
    // What left the ring has given its room back.
    assert_eq!(space.used(), counters.files().size());
}

#[test]
fn outputs_that_share_a_budget_stay_within_it_and_end_honestly() {
    const LIMIT: u64 = 300_000;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let space = Arc::new(DiskBudget::new(
        directory.path(),
        LIMIT,
        KeepFree::Bytes(0),
        0,
    ));
    let plan = plan(Format::Pcapng);
    let mut sinks: Vec<_> = ["a.pcapng", "b.pcapng"]
        .map(|name| open_in(&space, &plan, &directory.path().join(name)))
        .into();
    let given = 1000;
    for n in 0..given {
        for sink in &mut sinks {
            sink.packet(&packet(n, &[7; 500]));
            sink.flush();
            // Each has a part before one can take all.
            while n == 0 && sink.counters().captured() == 0 {
                sleep(Duration::from_millis(1));
            }
        }
    }
    let mut total = 0;
    for sink in sinks {
        let counters = sink.counters();
        let report = sink.finish(&closing());
        assert_accounted(&counters, given);
        let error = report.error.expect("half of it has no room");
        assert_eq!(error.stop_reason(), StopReason::DiskFull);
        assert!(matches!(error, Error::Budget { .. }), "{error}");
        assert!(counters.dropped_write() > 0);
        let [file] = report.files.as_slice() else {
            panic!("{:?}", report.files);
        };
        let path = directory.path().join(&file.name);
        let whole = scan(&File::open(path).expect("the file")).expect("a capture");
        assert_eq!(
            (whole.size, whole.packets),
            (file.size, counters.captured())
        );
        assert_eq!(file.packets, counters.captured());
        total += file.size;
    }
    assert!(total <= LIMIT, "{total}");
    assert_eq!(space.used(), total);
}

#[test]
fn an_output_without_packets_gives_its_room_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let space = Arc::new(DiskBudget::new(
        directory.path(),
        1 << 20,
        KeepFree::Bytes(0),
        0,
    ));
    let sink = open_in(
        &space,
        &plan(Format::Pcapng),
        &directory.path().join("a.pcapng"),
    );
    let counters = sink.counters();
    drop(sink);
    assert_eq!(space.used(), 0);
    assert_eq!(counters.files().now(), []);
}
