use std::fs;

use capture_file::read;
use capture_inspector::{AnalyzedFile, Feed, Input};

use super::*;

/// A capture of `frames`, a second apart, as pcap with microseconds.
fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (second, frame) in (0_u32..).zip(frames) {
        for word in [second, 0, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(*frame);
    }
    file
}

/// A SYN with the same address and port at both ends.
const LAND: [u8; 54] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9,
    10, 0, 0, 9, 0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0,
];

fn analyze_bytes(file: &[u8], fail_on: Option<FailOn>) -> Result<Exit> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("test.pcap");
    fs::write(&path, file).expect("a file");
    let args = AnalyzeArgs {
        files: vec![path],
        display_filter: None,
        fail_on,
        compare: Vec::new(),
        engine: Vec::new(),
        engine_rules: None,
        output: AnalysisForm::Json,
        write: None,
    };
    analyze(&args)
}

#[test]
fn a_finding_decides_on_the_exit_code_only_where_that_is_asked_for() {
    let file = pcap(&[&LAND, &LAND]);
    for (fail_on, exit) in [
        (None, Exit::Ok),
        (Some(FailOn::Warn), Exit::Finding),
        (Some(FailOn::High), Exit::Finding),
    ] {
        assert_eq!(analyze_bytes(&file, fail_on).expect("it is read"), exit);
    }
    let nothing = pcap(&[]);
    let exit = analyze_bytes(&nothing, Some(FailOn::Warn));
    assert_eq!(exit.expect("it is read"), Exit::Ok);
}

#[test]
fn damage_is_an_error_and_what_came_before_is_analyzed() {
    let mut file = pcap(&[&LAND, &LAND]);
    file.truncate(file.len() - 10);
    let error = analyze_bytes(&file, None).expect_err("it is cut");
    assert!(error.message.contains("analyzed up to there"), "{error}");
    let error = analyze_bytes(b"no capture at all", None).expect_err("it is none");
    assert!(error.message.contains("not a pcap"), "{error}");
}

#[test]
fn text_fits_and_shows_no_control_characters() {
    let file = pcap(&[&LAND, &LAND]);
    let mut reader = read::Reader::new(&file[..]);
    let mut feed = Feed::default();
    feed.all(&mut reader).expect("it is whole");
    let analysis = Analysis {
        files: vec![AnalyzedFile {
            name: "a\u{1b}[31m\u{202e}.pcap".to_owned(),
            packets: 2,
            damage: None,
        }],
        report: feed.finish(),
        engines: Vec::new(),
        comparison: None,
    };
    let text = table::text(&analysis, false);
    assert!(text.starts_with("found: 1 high\n"), "{text}");
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text}"
    );
    let is_filter = |line: &&str| line.trim_start().starts_with("filter: ");
    for line in text.lines().filter(|line| !is_filter(line)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for part in [
        "pcap\n2 packets, 108 B, 1.000 s from 1970-01-01 00:00:00 UTC\n",
        "UTC\nnot known whether the capture itself lost packets\n\nHIGH  proto.malformed\n",
        "packets 1 2, from 0.000 s to 1.000 s\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// The answer of a comparison as text.
fn compared(file: &[u8], baseline: &[u8]) -> String {
    let input = |bytes: &[u8]| [Input::stream("test", std::io::Cursor::new(bytes.to_vec()))];
    let analysis = capture_inspector::compare(&mut input(file), &mut input(baseline));
    let analysis = analysis.expect("they are read");
    table::text(&analysis, false)
}

#[test]
fn what_differs_from_another_capture_is_said() {
    // Its host is new as well, where nobody talked before.
    let (bad, good) = (pcap(&[&LAND, &LAND]), pcap(&[]));
    let text = compared(&bad, &good);
    assert!(text.contains("HIGH  proto.malformed  NEW\n"), "{text}");
    assert!(
        text.contains("\ncompared with test:\n  new     2 findings, marked above\n"),
        "{text}"
    );
    let text = compared(&good, &bad);
    assert!(
        text.contains("\n  gone    proto.malformed: 2 packets from 10.0.0.9"),
        "{text}"
    );
    let text = compared(&bad, &bad);
    assert!(
        text.contains("\n  no differences\n") && !text.contains("NEW"),
        "{text}"
    );
}

#[test]
fn standard_input_is_read_once() {
    let error = input::open_all(&["-".into(), "-".into()]).expect_err("it is there twice");
    assert!(error.message.contains("once"), "{error}");
}

#[test]
fn packets_that_a_filter_chooses_keep_their_numbers() {
    let bytes = pcap(&[&LAND, &LAND, &LAND]);
    let chosen = |filter: &str| {
        let input = Input::stream("test", std::io::Cursor::new(bytes.clone()));
        let filter = filter.parse().expect("a filter");
        let analysis = capture_inspector::analyze_chosen(&mut [input], filter);
        table::text(&analysis.expect("it is read"), false)
    };
    let text = chosen("frame.number >= 2 and frame.time_relative < 2");
    assert!(text.contains("\n1 packet, "), "{text}");
    assert!(text.contains("packet 2, "), "{text}");
    let text = chosen("arp");
    assert!(text.contains("\n0 packets, "), "{text}");
}
