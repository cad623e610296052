//! Rows, places and packets of captures of several files.

use std::{fs::File, io::Write as _};

use serde_json::Value;

use super::super::*;
use crate::testing::{Pcap, udp};

/// Adds files that are complete.
pub(super) fn view(files: &[File]) -> View {
    let mut view = View::default();
    for (index, file) in files.iter().enumerate() {
        let file = file.try_clone().expect("a descriptor");
        view.add(index as u64, file, false).expect("a file");
    }
    view
}

fn ask(view: &mut View, file: Option<u64>, filter: &str, question: Question) -> Value {
    let request = ViewRequest {
        file,
        filter: filter.to_owned(),
        question,
    };
    let answer = view.answer(request).expect("an answer");
    serde_json::from_str(answer.get()).expect("JSON")
}

fn rows(view: &mut View, file: Option<u64>, filter: &str, from: i64, limit: u32) -> Value {
    // As a page does, until all was looked at.
    loop {
        let question = Question::Rows {
            from,
            limit,
            columns: Vec::new(),
        };
        let answer = ask(view, file, filter, question);
        if answer["complete"] == true {
            return answer;
        }
        view.go_on();
    }
}

fn numbers(answer: &Value) -> Vec<u64> {
    let rows = answer["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| row["number"].as_u64().expect("a number"))
        .collect()
}

/// So many packets, one each millisecond from a second on.
fn pcap(second: u64, packets: u64) -> Pcap {
    let mut pcap = Pcap::new();
    for n in 0..packets {
        pcap.frame(second * 1000 + n, &udp());
    }
    pcap
}

#[test]
fn several_files_are_numbered_through() {
    let files = [(0, 3000), (10, 1), (20, 5000)].map(|(at, count)| pcap(at, count).file());
    let mut view = view(&files);
    let all = rows(&mut view, None, "", 0, 5);
    assert_eq!(all["packets"], 8001);
    assert_eq!(all["complete"], true);
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5]);
    let end = rows(&mut view, None, "", -3, 100);
    assert_eq!(numbers(&end), [7999, 8000, 8001]);
    assert_eq!(end["from"], 7998);
    assert_eq!(end["rows"][2]["file"], 2);
    assert_eq!(end["rows"][2]["file_number"], 5000);
    let edge = rows(&mut view, None, "", 2999, 3);
    assert_eq!(numbers(&edge), [3000, 3001, 3002]);
    let of_file = rows(&mut view, Some(2), "", 1023, 2);
    assert_eq!(numbers(&of_file), [1024, 1025]);
    assert_eq!(of_file["packets"], 5000);
    let beyond = rows(&mut view, None, "", 9000, 5);
    assert_eq!((numbers(&beyond), &beyond["from"]), (vec![], &8001.into()));
}

#[test]
fn a_filter_finds_the_same_packets_from_everywhere() {
    let files = [(0, 3000), (20, 5000)].map(|(at, count)| pcap(at, count).file());
    let mut view = view(&files);
    // Each third packet at the front, all of a stretch, and the last one.
    let thirds: Vec<_> = (1..=700_u64).map(|n| n * 3).collect();
    let listed: Vec<_> = thirds.iter().map(u64::to_string).collect();
    let filter = format!(
        "frame.number in {{{}}} or (frame.number >= 4000 and frame.number < 4300) or frame.number == 8000",
        listed.join(",")
    );
    let wanted: Vec<_> = thirds.into_iter().chain(4000..4300).chain([8000]).collect();
    assert!(filter.len() <= 4096, "{}", filter.len());
    let first = rows(&mut view, None, &filter, 0, 500);
    assert_eq!(first["matched"], wanted.len());
    for from in [0, 1, 340, 341, 342, 600, 699, 700, 999, 1000] {
        let got = rows(&mut view, None, &filter, from, 7);
        let from = from as usize;
        let wanted = &wanted[from..(from + 7).min(wanted.len())];
        assert_eq!(numbers(&got), wanted, "from {from}");
    }
    let end = rows(&mut view, None, &filter, -2, 7);
    assert_eq!(numbers(&end), [4299, 8000]);
    for number in [1, 2100, 2101, 3999, 4000, 8000] {
        let got = ask(&mut view, None, &filter, Question::PositionOfNumber(number));
        let position = wanted.iter().filter(|n| **n < number).count();
        assert_eq!(got["position"], position, "{number}");
        assert_eq!(got["complete"], true);
    }
}

#[test]
fn positions_of_numbers_and_times() {
    let files = [(0, 3000), (20, 5000)].map(|(at, count)| pcap(at, count).file());
    let mut view = view(&files);
    let start = crate::testing::SECONDS * 1_000_000_000;
    for (ms, position) in [
        (0, 0),
        (1, 1),
        (2999, 2999),
        (3000, 3000),
        (20_000, 3000),
        (20_007, 3007),
        (30_000, 8000),
    ] {
        let time = Question::PositionOfTime(start + ms * 1_000_000);
        while view.go_on() {}
        let got = ask(&mut view, None, "", time);
        assert_eq!(got["position"], position, "{ms} ms");
    }
    while view.go_on() {}
    for number in [1, 1024, 1025, 3000, 3001, 8000] {
        let got = ask(&mut view, None, "", Question::PositionOfNumber(number));
        assert_eq!(got["position"], number - 1);
        let detail = ask(&mut view, None, "", Question::Packet(number));
        assert_eq!(detail["row"]["number"], number);
    }
    let of_file = ask(&mut view, Some(1), "", Question::Packet(5000));
    assert_eq!(of_file["row"]["file_number"], 5000);
    let request = ViewRequest {
        file: None,
        filter: String::new(),
        question: Question::Packet(8001),
    };
    assert_eq!(view.answer(request).expect_err("none"), ViewFault::NoPacket);
}

#[test]
fn a_file_that_grows_and_the_next_one() {
    let whole = pcap(0, 2500);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let mut view = View::default();
    view.add(0, file.reopen().expect("the file"), true)
        .expect("a file");
    let mut last = 0;
    for piece in whole.0.chunks(33_333) {
        file.write_all(piece).expect("room");
        let got = rows(&mut view, None, "udp", -1, 1);
        let packets = got["packets"].as_u64().expect("a number");
        assert!(packets > last, "it goes on");
        assert_eq!(numbers(&got), [packets]);
        assert_eq!(got["growing"], true);
        assert_eq!(got["complete"], true);
        last = packets;
    }
    assert_eq!(last, 2500);
    view.add(1, pcap(9, 10).file(), true).expect("a file");
    view.complete();
    let got = rows(&mut view, None, "udp", -1, 1);
    assert_eq!(numbers(&got), [2510]);
    assert_eq!(got["growing"], false);
}

#[test]
fn a_file_that_comes_once_all_before_it_were_read() {
    let mut view = View::default();
    for index in 0..3 {
        view.add(index, pcap(0, 100).file(), false).expect("a file");
        let got = rows(&mut view, None, "", -1, 1);
        assert_eq!(got["packets"], (index + 1) * 100);
        assert_eq!(numbers(&got), [(index + 1) * 100]);
        assert_eq!(got["rows"][0]["file_number"], 100);
    }
}

#[test]
fn faults_say_where() {
    let mut view = view(&[pcap(0, 1).file()]);
    let mut fault = |filter: &str| {
        let request = ViewRequest {
            file: None,
            filter: filter.to_owned(),
            question: Question::Packet(1),
        };
        view.answer(request).expect_err("a fault")
    };
    match fault("udp and no.such == 1") {
        ViewFault::Filter { from, to, .. } => assert_eq!((from, to), (8, 15)),
        other => panic!("{other:?}"),
    }
    match fault("udp and") {
        ViewFault::Filter { from, to, .. } => assert_eq!((from, to), (7, 7)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_is_said_and_what_was_before_it_stands() {
    let whole = pcap(0, 2000);
    let cut = Pcap(whole.0[..whole.0.len() - 3].to_vec());
    let mut view = view(&[cut.file()]);
    let got = rows(&mut view, None, "", -1, 1);
    assert_eq!(numbers(&got), [1999]);
    assert!(
        got["damage"]
            .as_str()
            .expect("damage")
            .contains("cut short")
    );
}

#[test]
fn a_compressed_file_is_shown_too() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&pcap(0, 3000).0).expect("room");
    let packed = Pcap(packed.finish().expect("room"));
    let mut view = view(&[packed.file()]);
    assert_eq!(numbers(&rows(&mut view, None, "udp", -2, 5)), [2999, 3000]);
}
