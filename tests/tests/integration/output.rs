//! The rows of the task that shape the output: snap length, limits, format, rotation, names.

use std::{fs, time::Duration};

use capture_tests::{
    agent::{self, Ended},
    counters::Figures,
    daemon, eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    pcapng::{self, INTERFACE, SECTION, STATISTICS},
    readers,
    traffic::{self},
};

/// Captures frames of these lengths, the first 100 bytes long.
fn capture(arguments: &[&str], lengths: &[usize]) -> Ended {
    let lab = Lab::new();
    let arguments = [&["-i", HOST_IF], arguments].concat();
    let running = agent::capture(&lab.host, &arguments);
    let frames: Vec<_> = lengths
        .iter()
        .zip(0..)
        .map(|(&len, at)| traffic::frame(at, len))
        .collect();
    traffic::send(&lab.peer, PEER_IF, 5000, frames);
    running.stop()
}

fn lengths(ended: &Ended) -> Vec<(usize, usize)> {
    let packets = ended.packets();
    packets
        .iter()
        .map(|packet| (packet.bytes.len(), packet.original_len))
        .collect()
}

#[test]
fn max_bytes_truncates() {
    let sizes = [63, 64, 65, 1500];
    let ended = capture(&["--max-bytes", "64", "-w", "o.pcapng"], &sizes).expect_whole("user");
    assert_eq!(lengths(&ended), [(63, 63), (64, 64), (64, 65), (64, 1500)]);
    assert_eq!(ended.counter("bytes"), 63 + 3 * 64);
    let ended = capture(&["-s", "1", "-w", "o.pcap"], &[60]).expect_whole("user");
    assert_eq!(lengths(&ended), [(1, 60)]);
    let ended = capture(&["-s", "0", "-w", "o.pcapng"], &[1514]).expect_whole("user");
    assert_eq!(lengths(&ended), [(1514, 1514)]);
}

#[test]
fn oversize_is_discarded() {
    let arguments = [
        "--max-bytes",
        "64",
        "--oversize",
        "discard",
        "-w",
        "o.pcapng",
    ];
    let ended = capture(&arguments, &[63, 64, 65, 1500]).expect_whole("user");
    assert_eq!(lengths(&ended), [(63, 63), (64, 64)]);
    assert_eq!(ended.counter("oversize_discarded"), 2);
    assert_eq!(ended.counter("matched"), 4);
}

#[test]
fn duration_ends_the_capture() {
    let lab = Lab::new();
    for text in ["1", "1s"] {
        let running = agent::capture(
            &lab.host,
            &["-i", HOST_IF, "--duration", text, "-w", "o.pcap"],
        );
        let start = std::time::Instant::now();
        let ended = running
            .wait(Duration::from_secs(5))
            .expect_whole("duration");
        let took = ended.at.duration_since(start).as_secs_f64();
        ended.check(
            (0.8..1.5).contains(&took),
            format_args!("{took} s after it was ready"),
        );
        assert_eq!(ended.packets().len(), 0);
    }
}

#[test]
fn max_packets_is_exact() {
    let ended = capture(&["-c", "7", "-w", "o.pcapng"], &[100; 50]);
    let ended = ended.expect_whole("max_packets");
    let numbers: Vec<_> = readers::numbers(&ended.packets()).collect();
    ended.check(
        numbers == [0, 1, 2, 3, 4, 5, 6],
        format_args!("{numbers:?}"),
    );
}

#[test]
fn max_file_bytes_is_never_exceeded() {
    for file in ["o.pcapng", "o.pcap"] {
        let arguments = ["--max-file-bytes", "20000", "-w", file];
        let ended = capture(&arguments, &[1000; 60]).expect_whole("max_file_bytes");
        let size = fs::metadata(ended.file()).expect("the file is there").len();
        // Before it exceeds, and not long before.
        ended.check(
            (18_000..=20_000).contains(&size),
            format_args!("{size} bytes"),
        );
        ended.gapless_packets();
    }
}

#[test]
fn format_by_suffix_and_by_name() {
    for (arguments, kind) in [
        (&["-w", "o.pcapng"][..], "pcapng"),
        (&["-w", "o.pcap"], "nsecpcap"),
        (&["-w", "o.dump"], "pcapng"),
        (&["-w", "o.dump", "--format", "pcap"], "nsecpcap"),
        (&["-w", "o.pcap", "--format", "pcapng"], "pcapng"),
    ] {
        let ended = capture(arguments, &[100, 200]).expect_whole("user");
        assert_eq!(lengths(&ended), [(100, 100), (200, 200)]);
        assert_eq!(readers::tcpdump_count(&ended.file(), "udp port 53"), 2);
        let magic = fs::read(ended.file()).expect("the file is there")[..4].to_vec();
        let magic = u32::from_ne_bytes(magic.try_into().expect("four bytes"));
        let found = match magic {
            SECTION => "pcapng",
            0xa1b2_3c4d => "nsecpcap",
            _ => "something else",
        };
        ended.check(found == kind, format_args!("{found}, expected {kind}"));
    }
}

#[test]
fn pcapng_carries_what_it_should() {
    let arguments = [
        "--name",
        "slow checkout",
        "-s",
        "96",
        "--port",
        "53",
        "-w",
        "o.pcapng",
    ];
    let ended = capture(&arguments, &[100; 5]).expect_whole("user");
    let blocks = pcapng::blocks(&ended.file());
    let of = |kind| {
        blocks
            .iter()
            .filter(|block| block.kind == kind)
            .collect::<Vec<_>>()
    };
    let (section, interface) = (&of(SECTION)[0], &of(INTERFACE)[0]);
    // opt_comment, shb_hardware, shb_os, shb_userappl.
    let comment = section.option(1).concat();
    let comment = String::from_utf8_lossy(&comment);
    ended.check(
        comment.contains("slow checkout"),
        format_args!("comment {comment}"),
    );
    ended.check(
        comment.contains(ended.field("id")),
        format_args!("comment {comment}"),
    );
    ended.check(
        section.text(3).is_some_and(|os| os.contains("Linux")),
        "the OS",
    );
    ended.check(
        section
            .text(4)
            .is_some_and(|app| app.contains("capture-agent")),
        "application",
    );
    // if_name, if_tsresol, if_filter; the snap length is in the fixed part.
    assert_eq!(interface.text(2).as_deref(), Some(HOST_IF));
    assert_eq!(interface.option(9), [[9]]);
    ended.check(interface.option(11).concat().len() > 1, "a filter");
    assert_eq!(interface.body[4..8], 96_u32.to_ne_bytes());
    // isb_ifrecv, isb_ifdrop, isb_filteraccept, isb_osdrop, isb_usrdeliv.
    let statistics = of(STATISTICS);
    assert_eq!(statistics.len(), 1, "one interface, one statistics block");
    ended.check(
        statistics[0].number64(6) == Some(5),
        "five accepted by the filter",
    );
    ended.check(statistics[0].number64(8) == Some(5), "five delivered");
    ended.check(
        statistics[0].number64(7) == Some(0),
        "none dropped by the system",
    );
    let last = blocks.last().expect("there are blocks").kind;
    assert_eq!(last, STATISTICS);
    ended.check(
        readers::capinfos(&ended.file()).contains("slow checkout"),
        "capinfos shows it",
    );
    assert_eq!(ended.field("name"), "slow checkout");
}

#[test]
fn without_a_file_name_it_makes_one_and_says_so() {
    for (arguments, stem) in [
        (&[][..], HOST_IF),
        (&["--name", "checkout"][..], "checkout"),
    ] {
        let ended = capture(arguments, &[100]).expect_whole("user");
        assert_eq!(lengths(&ended), [(100, 100)]);
        let names = ended.directory_names();
        let name = &names[0];
        ended.check(
            name.starts_with(&format!("{stem}_")),
            format_args!("{name}"),
        );
        ended.check(name.ends_with(".pcapng"), format_args!("{name}"));
        ended.check(
            ended.stderr.contains(name.as_str()),
            format_args!("{name} is said"),
        );
    }
}

#[test]
fn rotation_by_size() {
    // 2,000 frames of 1,000 bytes are a bit more than two million bytes.
    let arguments = ["-C", "1", "-w", "o.pcapng"];
    let ended = capture(&arguments, &[1000; 2500]).expect_whole("user");
    let files = ended.files();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in &files {
        let size = fs::metadata(file).expect("the file is there").len();
        ended.check(size <= 1_000_000, format_args!("{size} bytes"));
        pcapng::blocks(file);
    }
    let numbers: Vec<_> = readers::numbers(&ended.packets()).collect();
    ended.check(
        numbers.iter().copied().eq(0..2500),
        "all, in order over the files",
    );
}

#[test]
fn rotation_as_a_ring() {
    let arguments = ["-C", "200kB", "-W", "2", "-w", "o.pcap"];
    let ended = capture(&arguments, &[1000; 1000]).expect_code(0);
    let names = ended.directory_names();
    ended.check(names.len() == 2, format_args!("{names:?}"));
    let mut numbers: Vec<u32> = Vec::new();
    for name in &names {
        let path = ended.directory.path().join(name);
        ended.check(
            path.metadata().is_ok_and(|meta| meta.len() <= 200_000),
            "at most 200 kB",
        );
        numbers.extend(readers::numbers(&readers::packets(&path)));
    }
    numbers.sort_unstable();
    let first = 1000 - numbers.len() as u32;
    ended.check(
        numbers.iter().copied().eq(first..1000),
        "the newest ones, none missing",
    );
    ended.check(numbers.len() > 190, format_args!("{} kept", numbers.len()));
}

#[test]
fn rotation_by_time() {
    let lab = Lab::new();
    let arguments = ["-i", HOST_IF, "-G", "1", "-W", "3", "-w", "o_%H%M%S.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    traffic::send(&lab.peer, PEER_IF, 500, traffic::frames(0..2000, 100));
    let ended = running.wait(Duration::from_secs(5)).expect_code(0);
    let names = ended.directory_names();
    ended.check(names.len() == 3, format_args!("{names:?}"));
    ended.check(
        ended.field("stop_reason") == "max_file_bytes",
        "the files are used up",
    );
    // The second of the first file may be over before the first frame comes.
    let spans: Vec<_> = names
        .iter()
        .map(|name| readers::packets(&ended.directory.path().join(name)))
        .filter_map(|packets| Some(packets.last()?.time_ns - packets.first()?.time_ns))
        .collect();
    ended.check(
        spans.len() >= 2 && spans.iter().all(|span| *span < 1_000_000_000),
        format_args!("{spans:?} ns"),
    );
    ended.gapless_packets();
}

/// The file of the last packets is closed at the end of its period; the figures of the whole task come in one
/// of their own.
#[test]
fn rotation_by_time_before_a_silent_end() {
    let lab = Lab::new();
    let arguments = ["-i", HOST_IF, "--port", "53", "-G", "1", "-w", "o.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..10, 100));
    let closed = || -> Vec<_> {
        let names = daemon::names(running.directory());
        let names = names.into_iter().filter(|name| name.ends_with(".pcapng"));
        names.map(|name| running.directory().join(name)).collect()
    };
    let is_silent = || {
        closed()
            .iter()
            .map(|file| readers::packet_count(file))
            .sum::<u64>()
            == 10
    };
    assert!(eventually(Duration::from_secs(10), is_silent));
    let ended = running.stop().expect_whole("user");
    let files = ended.summary()["files"].as_array().expect("files").clone();
    let last = &files[files.len() - 1];
    ended.check(files.len() > 1 && last["packets"] == 0, "one more file");
    let path = ended
        .directory
        .path()
        .join(last["name"].as_str().expect("a name"));
    let figures = Figures::of_file(&path);
    ended.check(figures == Some(ended.figures()), "the figures of all");
}

#[test]
fn checksum_and_size_in_the_summary() {
    let ended = capture(&["-w", "o.pcapng"], &[100; 10]).expect_whole("user");
    let files = ended.summary()["files"].as_array().expect("files");
    assert_eq!(files[0]["packets"], 10);
    assert_eq!(files[0]["index"], 0);
    assert_eq!(files[0]["name"], "o.pcapng");
    let listed = files[0]["sha256"].as_str().expect("a checksum");
    let said = capture_tests::output(std::process::Command::new("sha256sum").arg(ended.file()));
    ended.check(
        said.starts_with(listed),
        format_args!("sha256sum says {said}"),
    );
    for field in ["id", "created_at", "started_at", "ended_at"] {
        ended.check(
            !ended.field(field).is_empty(),
            format_args!("{field} is missing"),
        );
    }
}
