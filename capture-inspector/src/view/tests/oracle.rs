//! Rows and packets against tshark.

use std::process::Command;

use capture_packet::testing::{MILLISECOND, mac};
use etherparse::PacketBuilder;
use serde_json::Value;

use super::{super::*, view::view};
use crate::testing::{Pcap, Pcapng};

/// What is compared, as tshark has it.
const FIELDS: [&str; 9] = [
    "frame.number",
    "frame.time_epoch",
    "frame.len",
    "ip.src",
    "ip.dst",
    "tcp.srcport",
    "tcp.stream",
    "udp.stream",
    "frame.time_delta",
];

fn segment(client: u16, forward: bool, sequence: u32, flags: &str, payload: &[u8]) -> Vec<u8> {
    let (from, to, ports) = match forward {
        true => ([10, 0, 0, 1], [10, 0, 0, 2], (client, 443)),
        false => ([10, 0, 0, 2], [10, 0, 0, 1], (443, client)),
    };
    let mut builder = PacketBuilder::ethernet2(mac(1), mac(2))
        .ipv4(from, to, 64)
        .tcp(ports.0, ports.1, sequence, 1000);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'A' => builder.ack(7),
            'F' => builder.fin(),
            _ => builder.psh(),
        };
    }
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).expect("a frame");
    frame
}

fn datagram(port: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(mac(1), mac(2))
        .ipv4([10, 0, 0, 1], [10, 0, 0, 3], 64)
        .udp(port, 9);
    let mut frame = Vec::new();
    builder.write(&mut frame, b"abc").expect("a frame");
    frame
}

/// Connections side by side, ports used again, resent SYNs, datagrams.
fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for round in 0..400_u32 {
        for client in 0..4_u16 {
            let port = 40_000 + client * 7 + (round % 5) as u16;
            let sequence = round / 100 * 1000;
            frames.push(segment(port, true, sequence, "S", b""));
            frames.push(segment(port, false, 500 + sequence, "SA", b""));
            frames.push(segment(port, true, sequence + 1, "AP", b"hello"));
            frames.push(datagram(port));
        }
    }
    frames
}

fn tshark(file: &[u8]) -> Vec<Vec<String>> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    std::fs::write(&path, file).expect("it is written");
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(&path).args(["-T", "fields"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let said = command.output().expect("tshark starts");
    assert!(said.status.success());
    let text = String::from_utf8(said.stdout).expect("text");
    let lines = text.lines();
    lines
        .map(|line| line.split('\t').map(ToOwned::to_owned).collect())
        .collect()
}

fn rows(view: &mut View, from: i64) -> Vec<Value> {
    let request = ViewRequest {
        file: None,
        filter: String::new(),
        question: Question::Rows {
            from,
            limit: MOST_ROWS,
            columns: FIELDS
                .iter()
                .filter(|name| !name.ends_with(".stream"))
                .map(|name| (*name).to_owned())
                .collect(),
        },
    };
    let answer = view.answer(request).expect("an answer");
    let answer: Value = serde_json::from_str(answer.get()).expect("JSON");
    answer["rows"].as_array().expect("rows").clone()
}

/// The same columns of a view, read in pieces from the end.
fn ours(file: &[u8], count: usize) -> Vec<Vec<String>> {
    let mut view = view(&[Pcap(file.to_vec()).file()]);
    rows(&mut view, 0);
    while view.go_on() {}
    let mut all = Vec::new();
    let mut from = count;
    while from > 0 {
        let before = from.saturating_sub(500);
        let mut piece = rows(&mut view, before as i64);
        piece.truncate(from - before);
        piece.append(&mut all);
        all = piece;
        from = before;
    }
    all.iter()
        .map(|row| {
            let cell = |place: usize| row["columns"][place].as_str().unwrap_or("").to_owned();
            let stream = row["stream"].as_str().unwrap_or("");
            let of = |word: &str| stream.strip_prefix(word).unwrap_or("").trim().to_owned();
            vec![
                cell(0),
                cell(1),
                cell(2),
                cell(3),
                cell(4),
                cell(5),
                of("tcp"),
                of("udp"),
                cell(6),
            ]
        })
        .collect()
}

#[test]
fn rows_are_those_of_tshark() {
    let frames = frames();
    let mut pcap = Pcap::new();
    let mut pcapng = Pcapng::new("a task", "eth0");
    for (n, frame) in (0_u64..).zip(&frames) {
        pcap.frame(n * 3, frame);
        pcapng = pcapng.packet(n * 3 * MILLISECOND + 17, frame);
    }
    // The other byte order: the header and each record's numbers turned round.
    let mut turned = Vec::new();
    let mut rest = &pcap.0[24..];
    for (at, len) in [(0, 4), (4, 2), (6, 2), (8, 4), (12, 4), (16, 4), (20, 4)] {
        turned.extend(pcap.0[at..at + len].iter().rev());
    }
    for frame in &frames {
        for word in 0..4 {
            turned.extend(rest[word * 4..word * 4 + 4].iter().rev());
        }
        turned.extend(&rest[16..16 + frame.len()]);
        rest = &rest[16 + frame.len()..];
    }
    for file in [pcap.0, turned, pcapng.bytes()] {
        let wanted = tshark(&file);
        assert_eq!(wanted.len(), frames.len());
        let got = ours(&file, frames.len());
        for (got, wanted) in got.iter().zip(&wanted) {
            assert_eq!(got, wanted);
        }
    }
}

#[test]
fn filters_of_a_packet_find_it() {
    let frames = frames();
    let mut pcap = Pcap::new();
    pcap.frame(0, &frames[2]);
    let mut view = view(&[pcap.file()]);
    let request = ViewRequest {
        file: None,
        filter: String::new(),
        question: Question::Packet(1),
    };
    let answer = view.answer(request).expect("an answer");
    let detail: Value = serde_json::from_str(answer.get()).expect("JSON");
    let mut filters = Vec::new();
    collect(&detail["tree"], &mut filters);
    assert!(filters.len() > 30, "{filters:?}");
    filters.push(
        detail["conversation"]
            .as_str()
            .expect("a filter")
            .to_owned(),
    );
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    std::fs::write(&path, &pcap.0).expect("it is written");
    // All at once: a packet that passes each passes them together.
    let all = filters.join(") and (");
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-r"])
        .arg(&path)
        .arg("-Y")
        .arg(format!("({all})"));
    let said = command.output().expect("tshark starts");
    let lines = String::from_utf8_lossy(&said.stdout).lines().count();
    assert_eq!(lines, 1, "{all}\n{}", String::from_utf8_lossy(&said.stderr));
    // Each layer lies in the packet.
    let len = frames[2].len() as u64;
    for layer in detail["tree"].as_array().expect("layers") {
        let end = layer["offset"].as_u64().zip(layer["length"].as_u64());
        assert!(end.is_some_and(|(offset, count)| offset + count <= len));
    }
    assert_eq!(
        detail["bytes"].as_str().map(str::len),
        Some(frames[2].len() * 2)
    );
}

fn collect(nodes: &Value, filters: &mut Vec<String>) {
    for node in nodes.as_array().expect("nodes") {
        filters.extend(node["filter"].as_str().map(ToOwned::to_owned));
        collect(&node["children"], filters);
    }
}
