//! The same packets pass as in Wireshark, and what it refuses is refused.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::super::Filter;
use crate::{
    fields::{
        fields,
        tests::{LINK_TYPES, frames},
    },
    frame::{Clock, Frame},
    testing::{SECOND, START, pcap},
};

/// What sharkd, the server of Wireshark, says to each filter: the numbers of the packets that pass, or why it is none.
/// `None` where it is not installed.
fn sharkd(
    link_type: u16,
    frames: &[(u64, Vec<u8>)],
    filters: &[&str],
) -> Option<Vec<Result<Vec<u64>, String>>> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&pcap(link_type, frames))
        .expect("a file with packets");
    let mut command = Command::new("sharkd");
    command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        eprintln!("not compared: sharkd is not installed");
        return None;
    };
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut ask = |method: &str, params: Value| -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        writeln!(input, "{request}").expect("a request");
        loop {
            let line = output.next().expect("an answer").expect("text");
            if line.starts_with('{') {
                return serde_json::from_str(&line).expect("JSON");
            }
        }
    };
    ask(
        "setconf",
        json!({"name": "tcp.desegment_tcp_streams", "value": "FALSE"}),
    );
    ask(
        "setconf",
        json!({"name": "ip.defragment", "value": "FALSE"}),
    );
    let loaded = ask("load", json!({"file": file.path()}));
    assert_eq!(loaded["result"]["status"], "OK", "{loaded}");
    let answers = filters.iter().map(|filter| {
        let answer = ask(
            "frames",
            json!({"filter": filter, "column0": "frame.number:1"}),
        );
        match answer["result"].as_array() {
            Some(rows) => Ok(rows.iter().filter_map(|row| row["num"].as_u64()).collect()),
            None => {
                let checked = ask("check", json!({"filter": filter}));
                Err(checked["error"]["message"].to_string())
            }
        }
    });
    let answers = answers.collect();
    drop(input);
    child.wait().expect("the end of sharkd");
    Some(answers)
}

/// A filter a line. What is behind `#` and a blank is a heading.
const FILTERS: &str = include_str!("filters.txt");

#[test]
fn as_sharkd() {
    let filters: Vec<_> = FILTERS
        .lines()
        .filter(|line| !line.starts_with("# "))
        .chain(["", "  "])
        .collect();
    let mut differences = Vec::new();
    for link_type in LINK_TYPES {
        let frames: Vec<_> = frames()
            .into_iter()
            .filter(|(kind, _)| *kind == link_type)
            // Wireshark has to be told which labels carry Ethernet.
            .filter(|(kind, frame)| !fields(*kind, frame).iter().any(|it| it.name == "pwethcw"))
            .map(|(_, frame)| frame)
            .zip(0..)
            .map(|(frame, place)| (START + place * SECOND, frame))
            .collect();
        let Some(answers) = sharkd(link_type, &frames, &filters) else {
            return;
        };
        for (text, theirs) in filters.iter().zip(answers) {
            let ours = text
                .parse()
                .map(|filter| passing(&filter, link_type, &frames));
            let is_same = match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => ours == theirs,
                (ours, theirs) => ours.is_err() == theirs.is_err(),
            };
            if !is_same {
                differences.push(format!(
                    "{link_type} {text}: {ours:?}, and sharkd {theirs:?}"
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The numbers of the frames that pass.
pub(super) fn passing(filter: &Filter, link_type: u16, frames: &[(u64, Vec<u8>)]) -> Vec<u64> {
    let mut clock = Clock::default();
    let mut passing = Vec::new();
    for (number, (ns, data)) in (1..).zip(frames) {
        let frame = Frame {
            number,
            time: clock.next(Some(*ns)),
            link_type,
            wire_len: data.len() as u32,
            interface: 0,
            interface_name: None,
            data,
        };
        if filter.matches(&frame) {
            passing.push(number);
        }
    }
    passing
}
