//! Files through a process: the answer is that of the same analysis without one.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, value::RawValue};

use super::*;
use crate::{
    Analysis,
    findings::{AnalysisState, Findings},
    growing::Growing,
    input::Input,
    merge::analyze,
    testing::Pcap,
};

fn value(json: &RawValue) -> Value {
    serde_json::from_str(json.get()).expect("JSON")
}

/// The answer of this process.
fn here(files: &[(&str, &Pcap)]) -> Value {
    let input = |(name, pcap): &(&str, &Pcap)| Input::file(*name, pcap.file());
    let mut inputs: Vec<_> = files.iter().map(input).collect();
    let analysis: Analysis = analyze(&mut inputs).expect("a capture");
    serde_json::to_value(Findings::of_files(analysis)).expect("JSON")
}

/// The answer of another process.
fn there(files: &[(&str, &Pcap)]) -> Result<Value, Error> {
    let mut inspector = start();
    for (name, pcap) in files {
        inspector.add(name, &pcap.file())?;
    }
    inspector.analyze().map(|report| value(&report))
}

#[test]
fn complete_files() {
    let (pcap, other) = (Pcap::unanswered(20), Pcap::unanswered(3));
    for files in [&[("a", &pcap)][..], &[("a", &pcap), ("b", &other)]] {
        let got = there(files).expect("an answer");
        assert_eq!(got, here(files));
        assert_eq!(got["state"], "final");
        let findings = got["findings"].as_array().expect("a list");
        assert!(!findings.is_empty(), "something is wrong in it");
    }
}

#[test]
fn a_page() {
    let pcap = Pcap::unanswered(20);
    let mut inspector = start();
    inspector.add("<a>", &pcap.file()).expect("an answer");
    let page = inspector.html().expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("&lt;a&gt;"));
    assert!(page.contains("10.1.0.1"), "packets that are cited");
}

#[test]
fn a_file_that_grows() {
    let pcap = Pcap::unanswered(20);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let mut inspector = start();
    let reader = file.reopen().expect("the file");
    inspector
        .follow("a.pcap", None, &reader)
        .expect("an answer");
    drop(reader);
    let mut last = 0;
    for piece in pcap.0.chunks(999) {
        file.write_all(piece).expect("room");
        let report = value(&inspector.report().expect("an answer"));
        assert_eq!(report["state"], "live");
        let packets = report["packets"].as_u64().expect("a number");
        assert!(packets >= last, "it goes on");
        last = packets;
    }
    assert_eq!(last, 61, "up to the last whole record");
    inspector.complete().expect("an answer");
    let got = value(&inspector.finish().expect("an answer"));
    assert_eq!(got, here(&[("a.pcap", &pcap)]), "as if it had been whole");
}

#[test]
fn a_rotation_that_grows() {
    let mut inspector = start();
    let mut growing = Growing::default();
    let pcap = Pcap::unanswered(20);
    for index in 0..3 {
        let file = pcap.file();
        let name = format!("a{index}");
        inspector
            .follow(&name, Some(index), &file)
            .expect("an answer");
        growing.follow(name, pcap.file(), Some(index));
        growing.catch_up();
        let got = value(&inspector.report().expect("an answer"));
        let wanted = growing.findings(AnalysisState::Live);
        assert_eq!(got, serde_json::to_value(wanted).expect("JSON"));
        let files = got["files"].as_array().map(Vec::len);
        assert_eq!(files, Some(usize::from(index) + 1));
    }
}

#[test]
fn damage_is_said_and_what_was_before_it_stands() {
    let pcap = Pcap::unanswered(5);
    let whole = pcap.0.len();
    let cut = Pcap(pcap.0[..whole - 3].to_vec());
    let got = there(&[("a", &cut)]).expect("an answer");
    assert_eq!(got["packets"], 15);
    let damage = got["files"][0]["damage"].as_str().expect("damage");
    assert!(damage.contains("cut short"), "{damage}");
    // Every kind of byte changed at some places, one file after the other in one process: none of them ends it.
    let mut inspector = start();
    let mut seed = 1_u64;
    for _ in 0..50 {
        let mut mutated = pcap.clone();
        for _ in 0..5 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (seed >> 33) as usize % whole;
            mutated.0[place] = (seed >> 20) as u8;
        }
        inspector
            .follow("a", None, &mutated.file())
            .expect("an answer");
        inspector.report().expect("an answer");
        inspector.complete().expect("an answer");
    }
}

#[test]
fn what_is_no_capture_is_said() {
    let mut inspector = start();
    let directory = std::fs::File::open("/").expect("the root");
    inspector.add("a", &directory).expect("an answer");
    let error = inspector.analyze().expect_err("no capture");
    assert!(error.to_string().contains("cannot read"), "{error}");
    let error = there(&[("b\n", &Pcap(Vec::new()))]).expect_err("no capture");
    assert_eq!(
        error.to_string(),
        "b\\n: the file is empty (at byte 0, after packet 0)"
    );
}

#[test]
fn a_compressed_bomb_takes_no_memory() {
    // 16 MiB of zeros, a thousandth of it compressed: no packet begins with zeros, and no block is so long.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    bomb.write_all(&Pcap::new().0).expect("room");
    for _ in 0..16 {
        bomb.write_all(&vec![0; 1 << 20]).expect("room");
    }
    let bomb = Pcap(bomb.finish().expect("room"));
    let limits = Limits {
        memory: 128 << 20,
        ..limits()
    };
    let mut inspector = Inspector::start(&limits).expect("an inspector");
    inspector.add("a", &bomb.file()).expect("an answer");
    let error = inspector.analyze().expect_err("no packet");
    assert!(matches!(error, Error::Unreadable(_)), "{error}");
}
