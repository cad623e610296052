//! Disks that fail: full, with errors of write, sync and rename, with writes that take less than they
//! were given, and without an answer. The captures end as they should, and what the summary, the closing
//! table and the file's statistics say is what the file holds.

mod daemon;
mod faulty;

use std::{
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended, Running},
    eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    or_skip, pcapng, readers,
    traffic::{self, number_in},
};
use nix::{
    libc::{self, EDQUOT, EIO, ENOSPC},
    sys::signal::Signal,
};
use serde_json::json;

use self::faulty::{Call, Fault, FaultyDisk};

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Starts a capture into a file, with a summary in this form.
fn start<'a>(lab: &'a Lab, form: &str, file: &Path, more: &[&str]) -> Running<'a> {
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let arguments = [&["-i", HOST_IF, "-w", text(file)], more].concat();
    let running = agent::start_as(&lab.host, directory, form, &arguments);
    running.wait_ready();
    running
}

/// The file holds the first so many of the frames sent, and all that is said of it is true.
fn assert_first_ones(ended: &Ended, file: &Path) -> usize {
    let packets = ended.checked_packets(file);
    ended.check(readers::is_gapless(&packets), "not the first ones");
    packets.len()
}

fn assert_failed(ended: &Ended, reason: &str) {
    ended.check(ended.status.code() == Some(1), "exit code 1 expected");
    if ended.summary.is_some() {
        ended.check(ended.field("state") == "failed", "failed expected");
        ended.check(
            ended.field("stop_reason") == reason,
            format_args!("{reason} expected"),
        );
        ended.check(ended.field("verdict") != "complete", "it looks complete");
        ended.check(!ended.field("error").is_empty(), "a sentence about it");
    }
    ended.check(!ended.stderr.contains("complete)"), "it looks complete");
    ended.check(!ended.stderr.contains("is complete"), "it looks complete");
}

#[test]
fn a_failed_write_ends_the_task_and_the_file_on_a_record() {
    let cases = [
        (EIO, 3, "json", "o.pcapng", "io_error"),
        (EIO, 5, "table", "o.pcap", "io_error"),
        (ENOSPC, 3, "table", "o.pcapng", "disk_full"),
        (ENOSPC, 7, "json", "o.pcap", "disk_full"),
        (EDQUOT, 4, "json", "o.pcapng", "disk_full"),
    ];
    let lab = Lab::new();
    for (code, from, form, name, reason) in cases {
        // Takes a part of the buffer first, as a disk does that becomes full within it.
        let disk = or_skip!(FaultyDisk::with(Call::Write, from, Fault::Error(code)));
        disk.fail(Call::Write, from - 1, Fault::Short(1000));
        let file = disk.path(name);
        let running = start(&lab, form, &file, &[]);
        traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..3000, 300));
        let ended = running.wait(TIMEOUT);
        assert_failed(&ended, reason);
        ended.check(ended.figures().write > 0, "counted as not written");
        assert_first_ones(&ended, &file);
        assert_eq!(disk.names(), [name], "under its final name");
    }
}

/// Where not even the header was written, nothing is left, and nothing replaced.
#[test]
fn a_file_without_a_packet_replaces_none() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::new());
    let file = disk.path("o.pcapng");
    fs::write(&file, "an older capture").expect("it can be written");
    disk.fail(
        Call::Write,
        disk.asked(Call::Write) + 1,
        Fault::Error(ENOSPC),
    );
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let arguments = ["-i", HOST_IF, "-w", text(&file)];
    let ended = agent::start_in(&lab.host, directory, &arguments).wait(TIMEOUT);
    assert_failed(&ended, "disk_full");
    assert_eq!(ended.summary()["files"], json!([]));
    assert_eq!(disk.names(), ["o.pcapng"]);
    let older = fs::read(&file).expect("it can be read");
    assert_eq!(older, b"an older capture");
}

#[test]
fn short_writes_lose_and_repeat_nothing() {
    let lab = Lab::new();
    for (most, name) in [(1, "o.pcap"), (777, "o.pcapng"), (4096, "o.pcapng")] {
        let disk = or_skip!(FaultyDisk::with(Call::Write, 1, Fault::Short(most)));
        let file = disk.path(name);
        let count = if most == 1 { 50 } else { 3000 };
        let running = start(&lab, "json", &file, &[]);
        traffic::send(&lab.peer, PEER_IF, 20_000, traffic::frames(0..count, 300));
        let ended = running.stop().expect_whole("user");
        let packets = ended.checked_packets(&file);
        let sent: Vec<_> = traffic::frames(0..count, 300).collect();
        let found: Vec<_> = packets.into_iter().map(|packet| packet.bytes).collect();
        ended.check(found == sent, "each as it was sent");
    }
}

/// After a failed fsync(2) the kernel may have dropped the pages: there is no second try, and nobody
/// can say that the capture is complete.
#[test]
fn a_failed_sync_is_never_tried_again() {
    let lab = Lab::new();
    for (code, form, reason) in [
        (EIO, "json", "io_error"),
        (EIO, "table", "io_error"),
        (EDQUOT, "json", "disk_full"),
    ] {
        let disk = or_skip!(FaultyDisk::with(Call::Sync, 1, Fault::Error(code)));
        let running = start(&lab, form, &disk.path("o.pcapng"), &[]);
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..100, 300));
        let ended = running.stop();
        assert_failed(&ended, reason);
        if form == "json" {
            let summary = ended.summary();
            ended.check(summary["verdict"].is_null(), "nobody can tell");
            let file = &summary["files"][0];
            ended.check(file["complete"] == false, "not complete");
            ended.check(file["sha256"].is_null(), "no digest");
            let name = file["name"].as_str().unwrap_or_default();
            ended.check(name.ends_with("o.pcapng.part"), "the file that there is");
        } else {
            ended.check(ended.stderr.contains("but the capture failed"), "no word");
            ended.check(ended.stderr.contains("NOT finished"), "no word of the file");
        }
        assert_eq!(disk.names(), ["o.pcapng.part"]);
        let calls = [Call::Sync, Call::Rename, Call::SyncDirectory].map(|call| disk.asked(call));
        assert_eq!(calls, [1, 0, 0], "no second try, and no name");
        // The next capture to the same name finds what is left.
        disk.heal();
        let ended = start(&lab, "json", &disk.path("o.pcapng"), &[]).stop();
        let ended = ended.expect_whole("user");
        ended.check(ended.stderr.contains("o_interrupted.pcapng"), "it says so");
        assert_eq!(disk.names(), ["o.pcapng", "o_interrupted.pcapng"]);
        let recovered = readers::packets(&disk.path("o_interrupted.pcapng"));
        assert_eq!(recovered.len(), 100);
    }
}

#[test]
fn a_name_that_does_not_come_or_may_not_last() {
    let lab = Lab::new();
    for (call, name, words) in [
        (Call::Rename, "o.pcapng.part", "cannot rename"),
        (
            Call::SyncDirectory,
            "o.pcapng",
            "cannot sync the directory of",
        ),
    ] {
        let disk = or_skip!(FaultyDisk::with(call, 1, Fault::Error(EIO)));
        let running = start(&lab, "json", &disk.path("o.pcapng"), &[]);
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..100, 300));
        let ended = running.stop().expect_stderr(&[words]);
        assert_failed(&ended, "io_error");
        ended.check(
            ended.summary()["files"][0]["complete"] == false,
            "not complete",
        );
        assert_eq!(disk.names(), [name]);
        assert_eq!(disk.asked(call), 1, "no second try");
        assert_eq!(assert_first_ones(&ended, &disk.path(name)), 100);
    }
}

/// What close(2) says after a good fsync(2) is about nothing of the capture.
#[test]
fn an_error_of_close_after_a_sync_is_none() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::with(Call::Close, 1, Fault::Error(EIO)));
    let running = start(&lab, "json", &disk.path("o.pcapng"), &[]);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..100, 300));
    let ended = running.stop().expect_whole("user");
    assert_eq!(assert_first_ones(&ended, &disk.path("o.pcapng")), 100);
}

/// A file that cannot be cut back to its last whole packet keeps its provisional name, and is cut by the
/// next capture.
#[test]
fn a_torn_file_is_left_to_the_recovery() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::with(Call::Write, 4, Fault::Error(EIO)));
    // Less than a packet: the write may be of one alone.
    disk.fail(Call::Write, 3, Fault::Short(100));
    disk.fail(Call::Truncate, 1, Fault::Error(EIO));
    let file = disk.path("o.pcapng");
    let running = start(&lab, "json", &file, &[]);
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..3000, 300));
    let ended = running.wait(TIMEOUT);
    assert_failed(&ended, "io_error");
    assert_eq!(disk.names(), ["o.pcapng.part"]);
    disk.heal();
    let again = start(&lab, "json", &file, &[]).stop();
    again.expect_whole("user");
    assert_eq!(disk.names(), ["o.pcapng", "o_interrupted.pcapng"]);
    assert_first_ones(&ended, &disk.path("o_interrupted.pcapng"));
}

/// The files before the full disk are whole, with statistics, and stay.
#[test]
fn a_disk_that_fills_up_in_rotation() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::new());
    let rotation = ["-C", "100kB"];
    let running = start(&lab, "json", &disk.path("o.pcapng"), &rotation);
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..1000, 300));
    let rotated = eventually(TIMEOUT, || disk.asked(Call::Rename) >= 2);
    assert!(rotated, "{:?}", disk.names());
    disk.fail(Call::Write, 1, Fault::Error(ENOSPC));
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(1000..3000, 300));
    let ended = running.wait(TIMEOUT);
    assert_failed(&ended, "disk_full");
    let mut packets = Vec::new();
    for file in ended.summary()["files"].as_array().expect("files") {
        let path = Path::new(file["name"].as_str().expect("a name")).to_owned();
        let blocks = pcapng::blocks(&path);
        let has_statistics = blocks.last().map(|last| last.kind) == Some(pcapng::STATISTICS);
        ended.check(file["complete"] == has_statistics, format_args!("{file}"));
        let found = readers::packets(&path);
        ended.check(file["packets"] == found.len(), format_args!("{file}"));
        packets.extend(found);
    }
    let captured = ended.figures().captured;
    ended.check(captured == packets.len() as u64, "as many as it says");
    ended.check(readers::is_gapless(&packets), "not the first ones");
}

/// `ulimit -f`, and file systems with a largest file: an error of the write, and not a signal that kills.
#[test]
fn a_largest_file_is_an_error_of_the_write() {
    const MOST: u64 = 100_000;
    let lab = Lab::new();
    for form in ["json", "table"] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("o.pcapng");
        let running = start(&lab, form, &file, &[]);
        let limit = libc::rlimit {
            rlim_cur: MOST,
            rlim_max: libc::RLIM_INFINITY,
        };
        let pid = running.pid() as i32;
        // SAFETY: the new limit is whole and lives; the old one is not asked for.
        let done = unsafe {
            libc::prlimit(
                pid,
                libc::RLIMIT_FSIZE,
                &raw const limit,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..1000, 300));
        let ended = running.wait(TIMEOUT).expect_stderr(&["File too large"]);
        assert_failed(&ended, "io_error");
        let count = assert_first_ones(&ended, &file);
        let len = file.metadata().expect("it is there").len();
        ended.check(len <= MOST && len > MOST - 400, format_args!("{len} bytes"));
        ended.check(
            ended.figures().write > 0 && count > 250,
            "the rest is counted",
        );
    }
}

/// A stalled disk under one of two tasks costs that task packets, and the other nothing. A signal is
/// answered: the other one's file is closed at once, and what hangs is said.
#[test]
fn a_stalled_disk_is_its_own_tasks_loss() {
    const COUNT: u32 = 80_000;
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::with(Call::Write, 2, Fault::Stall));
    let directory = tempfile::tempdir().expect("a directory");
    let tasks = json!({ "tasks": [
        { "name": "stalled", "interfaces": [HOST_IF], "write": text(&disk.path("stalled.pcapng")) },
        { "name": "quick", "interfaces": [HOST_IF], "write": "quick.pcapng" },
    ]});
    let file = directory.path().join("tasks.json");
    fs::write(&file, tasks.to_string()).expect("it can be written");
    let running = agent::capture(&lab.host, &["--tasks", text(&file)]);
    let large = |numbers: std::ops::Range<u32>| numbers.map(|number| traffic::frame(number, 1400));
    traffic::send(&lab.peer, PEER_IF, 30_000, large(0..COUNT));
    traffic::settle();

    let asked = Instant::now();
    running.signal(Signal::SIGINT);
    let quick = running.directory().join("quick.pcapng");
    assert!(
        eventually(Duration::from_secs(3), || quick.exists()),
        "closed"
    );
    let hangs = "\"stalled\": its output is not closed after";
    let said = eventually(TIMEOUT, || running.stderr_so_far().contains(hangs));
    let took = asked.elapsed();
    let stderr = running.stderr_so_far();
    assert!(said && took < Duration::from_secs(8), "{took:?}: {stderr}");
    assert!(stderr.contains("(write to "), "what hangs: {stderr}");
    disk.heal();
    let ended = running.wait(TIMEOUT).expect_code(0);

    let records = ended.records();
    let by_name = |name: &str| {
        let record = records.iter().find(|record| record["name"] == name);
        record.expect("a record of each").clone()
    };
    assert_eq!(by_name("quick")["counters"]["captured"], COUNT);
    assert_eq!(by_name("quick")["verdict"], "complete");
    let packets = readers::packets(&quick);
    let numbers = readers::numbers(&packets);
    assert!(numbers.eq(0..COUNT), "{} packets", packets.len());

    let stalled = by_name("stalled");
    let captured = stalled["counters"]["captured"].as_u64();
    let queue = stalled["counters"]["dropped"]["queue"].as_u64();
    ended.check(queue > Some(0), "it lost some for want of a buffer");
    assert_eq!(stalled["state"], "completed");
    let path = disk.path("stalled.pcapng");
    let numbers: Vec<_> = readers::numbers(&readers::packets(&path)).collect();
    assert_eq!(Some(numbers.len() as u64), captured);
    assert_eq!(
        captured.zip(queue).map(|(a, b)| a + b),
        Some(u64::from(COUNT))
    );
    assert!(
        numbers.iter().copied().eq(0..numbers.len() as u32),
        "the first"
    );
}

/// A stall that the buffers bridge costs nothing.
#[test]
fn a_short_stall_loses_nothing() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::with(Call::Write, 2, Fault::Stall));
    let file = disk.path("o.pcapng");
    let running = start(&lab, "json", &file, &[]);
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..5000, 300));
    assert!(eventually(TIMEOUT, || disk.stalled() > 0), "it stalls");
    // How long it stalls.
    thread::sleep(Duration::from_millis(300));
    disk.heal();
    let ended = running.stop().expect_whole("user");
    assert_eq!(assert_first_ones(&ended, &file), 5000);
}

/// A disk that does not answer the fsync(2): it is said, and a second signal gives the file up.
#[test]
fn a_second_signal_gives_a_stalled_disk_up() {
    let lab = Lab::new();
    let disk = or_skip!(FaultyDisk::with(Call::Sync, 1, Fault::Stall));
    let running = start(&lab, "table", &disk.path("o.pcapng"), &[]);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..100, 300));
    running.signal(Signal::SIGINT);
    let words = [
        "its output is not closed after",
        "(sync ",
        "o.pcapng.part, for",
    ];
    let said = eventually(TIMEOUT, || {
        let stderr = running.stderr_so_far();
        words.iter().all(|word| stderr.contains(word))
    });
    assert!(said, "{}", running.stderr_so_far());
    running.signal(Signal::SIGINT);
    let words = "aborted by a second signal";
    assert!(
        eventually(TIMEOUT, || running.stderr_so_far().contains(words)),
        "{}",
        running.stderr_so_far()
    );
    // A process goes only when the last of its system calls has come back.
    disk.heal();
    running.wait(TIMEOUT).expect_code(1);
    assert_eq!(disk.names(), ["o.pcapng.part"]);
    assert_eq!(readers::packets(&disk.path("o.pcapng.part")).len(), 100);
}
