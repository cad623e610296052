//! Packets through a process: it goes on between questions, and answers under confinement.

use std::{io::Write as _, thread::sleep, time::Duration};

use serde_json::Value;

use super::*;
use crate::{
    testing::{Pcap, udp},
    view::{Question, ViewFault, ViewRequest},
};

fn request(filter: &str, question: Question) -> ViewRequest {
    ViewRequest {
        file: None,
        filter: filter.to_owned(),
        question,
    }
}

fn rows(inspector: &mut Inspector, filter: &str, from: i64) -> Value {
    let question = Question::Rows {
        from,
        limit: 3,
        columns: vec!["udp.srcport".to_owned()],
    };
    let answer = inspector.view(request(filter, question));
    let answer = answer.expect("an inspector").expect("an answer");
    serde_json::from_str(answer.get()).expect("JSON")
}

fn pcap(packets: u64) -> Pcap {
    let mut pcap = Pcap::new();
    for n in 0..packets {
        pcap.frame(n, &udp());
    }
    pcap
}

#[test]
fn what_takes_longer_goes_on_between_questions() {
    let mut inspector = start();
    inspector
        .show(0, &pcap(100_000).file(), false)
        .expect("an inspector");
    // A regular expression over each packet, without optimisation.
    let filter = "udp.srcport == 30000 and frame matches \"[a-z]x?$\"";
    let mut got = rows(&mut inspector, filter, -2);
    let mut asked = 1;
    while got["complete"] != true {
        sleep(Duration::from_millis(50));
        got = rows(&mut inspector, filter, -2);
        asked += 1;
        assert!(asked < 1000, "it comes to an end: {got}");
    }
    assert_eq!(got["matched"], 100_000);
    assert_eq!(got["rows"][1]["number"], 100_000);
    assert_eq!(got["rows"][1]["columns"][0], "30000");
    let fault = inspector.view(request("udp", Question::Packet(100_001)));
    assert_eq!(
        fault.expect("an inspector").expect_err("none"),
        ViewFault::NoPacket
    );
}

#[test]
fn a_file_that_grows() {
    let whole = pcap(10);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let mut inspector = start();
    let reader = file.reopen().expect("the file");
    inspector.show(0, &reader, true).expect("an inspector");
    drop(reader);
    assert_eq!(rows(&mut inspector, "", 0)["packets"], 0);
    file.write_all(&whole.0).expect("room");
    let got = rows(&mut inspector, "", -1);
    assert_eq!(
        (&got["packets"], &got["growing"]),
        (&10.into(), &true.into())
    );
    inspector.shown_is_complete().expect("an inspector");
    assert_eq!(rows(&mut inspector, "", 0)["growing"], false);
}

#[test]
fn packets_of_every_kind_of_damage_are_shown() {
    let whole = Pcap::unanswered(20);
    let mut seed = 7_u64;
    for _ in 0..20 {
        let mut mutated = whole.clone();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (seed >> 33) as usize % whole.0.len();
            mutated.0[place] = (seed >> 20) as u8;
        }
        let mut inspector = start();
        inspector
            .show(0, &mutated.file(), false)
            .expect("an inspector");
        let got = rows(&mut inspector, "not arp", 0);
        for number in 1..=got["packets"].as_u64().expect("a number").min(20) {
            let answer = inspector.view(request("", Question::Packet(number)));
            answer.expect("an inspector").expect("a packet");
        }
    }
}
