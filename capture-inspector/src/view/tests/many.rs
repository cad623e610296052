//! Streams, conversations, the course of time and exports, against tshark.

use std::{fs::File, io::Write as _, process::Command};

use base64ct::{Base64, Encoding as _};
use etherparse::PacketBuilder;
use serde_json::{Value, json};

use super::super::*;
use crate::testing::{Pcap, Pcapng, udp};

fn view(file: File) -> View {
    let mut view = View::default();
    view.add(0, file, false).expect("a file");
    view
}

fn try_ask(view: &mut View, filter: &str, question: Question) -> Result<Value, ViewFault> {
    let request = ViewRequest {
        file: None,
        filter: filter.to_owned(),
        question,
    };
    let answer = view.answer(request)?;
    Ok(serde_json::from_str(answer.get()).expect("JSON"))
}

/// Asks until everything was looked at.
fn ask(view: &mut View, filter: &str, question: &Question) -> Value {
    loop {
        let answer = try_ask(view, filter, question.clone()).expect("an answer");
        if answer["complete"] != false {
            return answer;
        }
    }
}

/// What tshark says of a file.
fn tshark(file: &[u8], arguments: &[&str]) -> String {
    let mut copy = tempfile::NamedTempFile::new().expect("a file");
    copy.write_all(file).expect("room");
    let mut command = Command::new("tshark");
    command.arg("-r").arg(copy.path()).args(arguments);
    let output = command.output().expect("tshark is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 80);

/// A segment of one side, in a frame.
struct Sent<'a> {
    by_client: bool,
    flags: &'a str,
    sequence: u32,
    acknowledgement: u32,
    data: &'a [u8],
}

impl Sent<'_> {
    fn frame(&self) -> Vec<u8> {
        let (from, to) = match self.by_client {
            true => (CLIENT, SERVER),
            false => (SERVER, CLIENT),
        };
        let mut builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(from.0, to.0, 64)
            .tcp(from.1, to.1, self.sequence, 65_000);
        for flag in self.flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'F' => builder.fin(),
                'R' => builder.rst(),
                _ => builder.ack(self.acknowledgement),
            };
        }
        let mut frame = Vec::new();
        builder.write(&mut frame, self.data).expect("a frame");
        frame
    }
}

/// Numbers that look random, the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) % u64::from(most)) as u32
    }
}

/// A connection over a bad network: what is sent is cut differently each time, comes late, twice, or not at all past the
/// capture although it arrives.
fn bad_network(seed: u64) -> Pcap {
    let mut dice = Dice(seed);
    let mut pcap = Pcap::new();
    let mut ms = 0;
    let mut put = |sent: &Sent<'_>| {
        ms += 1;
        pcap.frame(ms, &sent.frame());
    };
    let isn = [dice.below(u32::MAX), u32::MAX - dice.below(2000)];
    let data: Vec<u8> = (0..3000_u32).map(|n| (n % 251) as u8).collect();
    let syn = Sent {
        by_client: true,
        flags: "S",
        sequence: isn[0],
        acknowledgement: 0,
        data: &[],
    };
    put(&syn);
    put(&Sent {
        by_client: false,
        flags: "SA",
        sequence: isn[1],
        acknowledgement: isn[0].wrapping_add(1),
        data: &[],
    });
    let mut sent = [0_u32; 2];
    let mut arrived = [0_u32; 2];
    for _ in 0..60 {
        let side = dice.below(2) as usize;
        let other = 1 - side;
        let back = match dice.below(3) {
            0 => dice.below(200).min(sent[side]),
            _ => 0,
        };
        let ahead = match dice.below(4) {
            0 => dice.below(150),
            _ => 0,
        };
        let start = sent[side] - back + ahead;
        let len = 1 + dice.below(100);
        let end = (start + len).min(data.len() as u32);
        if start >= end {
            continue;
        }
        if dice.below(8) > 0 {
            put(&Sent {
                by_client: side == 0,
                flags: "A",
                sequence: isn[side].wrapping_add(1 + start),
                acknowledgement: isn[other].wrapping_add(1 + arrived[other]),
                data: &data[start as usize..end as usize],
            });
        }
        sent[side] = sent[side].max(end);
        // Everything arrives sooner or later, and is acknowledged.
        if dice.below(3) == 0 {
            arrived[side] = sent[side];
            put(&Sent {
                by_client: other == 0,
                flags: "A",
                sequence: isn[other].wrapping_add(1 + sent[other]),
                acknowledgement: isn[side].wrapping_add(1 + arrived[side]),
                data: &[],
            });
        }
    }
    for side in [0, 1] {
        put(&Sent {
            by_client: side == 1,
            flags: "A",
            sequence: isn[1 - side].wrapping_add(1 + sent[1 - side]),
            acknowledgement: isn[side].wrapping_add(1 + sent[side]),
            data: &[],
        });
    }
    pcap
}

/// The bytes of both sides in their order, as tshark has them: what is missing is said between brackets.
fn followed(file: &[u8], stream: &str) -> Vec<(bool, Vec<u8>)> {
    let text = tshark(file, &["-q", "-z", &format!("follow,{stream}")]);
    let lines = text.lines().skip_while(|line| !line.starts_with("Node 1"));
    let lines = lines.skip(1).filter(|line| !line.starts_with('='));
    lines
        .map(|line| {
            let hex = line.trim();
            let bytes = (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16));
            let bytes = bytes.collect::<Result<_, _>>().expect("hexadecimal");
            (line.starts_with('\t'), bytes)
        })
        .collect()
}

fn stream(view: &mut View, number: u64) -> Value {
    let question = Question::Stream {
        number,
        side: None,
        from: 0,
        limit: u32::MAX,
    };
    ask(view, "", &question)
}

/// The same of ours.
fn ours(answer: &Value) -> Vec<(bool, Vec<u8>)> {
    let mut all = Vec::new();
    for segment in answer["segments"].as_array().expect("segments") {
        let is_server = segment["side"] == "server";
        let gap = segment["gap"].as_u64().expect("a number");
        if gap > 0 {
            // The NUL is tshark's.
            let text = format!("[{gap} bytes missing in capture file]\0");
            all.push((is_server, text.into_bytes()));
        }
        let data = segment["data"].as_str().expect("text");
        all.push((is_server, Base64::decode_vec(data).expect("base 64")));
    }
    all
}

/// What a side says until the other one speaks is one turn: which packets its bytes are of is not told by both alike.
fn turns(all: Vec<(bool, Vec<u8>)>) -> Vec<(bool, Vec<u8>)> {
    let mut turns: Vec<(bool, Vec<u8>)> = Vec::new();
    for (is_server, bytes) in all {
        match turns.last_mut() {
            Some((last, said)) if *last == is_server => said.extend(bytes),
            _ => turns.push((is_server, bytes)),
        }
    }
    turns
}

fn of_side(all: &[(bool, Vec<u8>)], is_server: bool) -> String {
    let bytes = all.iter().filter(|(server, _)| *server == is_server);
    let bytes: Vec<u8> = bytes.flat_map(|(_, bytes)| bytes.clone()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_stream_is_what_tshark_follows() {
    for seed in 0..15 {
        let pcap = bad_network(seed);
        let expected = followed(&pcap.0, "tcp,raw,0");
        let answer = stream(&mut view(pcap.file()), 1);
        let got = ours(&answer);
        for is_server in [false, true] {
            let (got, expected) = (of_side(&got, is_server), of_side(&expected, is_server));
            assert_eq!(got, expected, "seed {seed}, server: {is_server}");
        }
        let (got, expected) = (turns(got), turns(expected));
        let mut differ = got
            .iter()
            .zip(&expected)
            .skip_while(|(one, other)| one == other);
        assert_eq!(differ.next(), None, "the order, seed {seed}");
        assert_eq!(answer["client"], "10.0.0.1:40000");
        assert_eq!(answer["next"], Value::Null);
    }
}

#[test]
fn datagrams_are_a_stream_too() {
    let mut pcap = Pcap::new();
    for (ms, (is_client, data)) in [(true, "a question"), (false, "an answer"), (true, "thanks")]
        .into_iter()
        .enumerate()
    {
        let (from, to) = match is_client {
            true => (CLIENT, SERVER),
            false => (SERVER, CLIENT),
        };
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(from.0, to.0, 64)
            .udp(from.1, to.1);
        let mut frame = Vec::new();
        builder.write(&mut frame, data.as_bytes()).expect("a frame");
        pcap.frame(ms as u64, &udp());
        pcap.frame(ms as u64, &frame);
    }
    let expected = followed(&pcap.0, "udp,raw,1");
    let mut view = view(pcap.file());
    let answer = stream(&mut view, 4);
    assert_eq!(ours(&answer), expected);
    assert_eq!(answer["protocol"], "udp");
    assert_eq!(answer["bytes"], json!({"client": 16, "server": 9}));
    // One side, segment by segment.
    let mut from = 0;
    let mut all = Vec::new();
    loop {
        let question = Question::Stream {
            number: 4,
            side: Some(StreamSide::Client),
            from,
            limit: 1,
        };
        let part = ask(&mut view, "", &question);
        all.extend(ours(&part));
        match part["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(of_side(&all, false), "a questionthanks");
    let none = try_ask(&mut view, "", Question::Packet(9));
    assert_eq!(none.expect_err("there are six"), ViewFault::NoPacket);
}

/// Connections one after the other between the same ports, and what is cut off.
#[test]
fn ports_that_come_again_are_another_stream() {
    let mut pcap = Pcap::new();
    let mut ms = 0;
    for (isn, data) in [(100, "first"), (5000, "second"), (90_000, "third")] {
        for (flags, sequence, data) in [
            ("S", isn, ""),
            ("A", isn + 1, data),
            ("FA", isn + 1 + data.len() as u32, ""),
        ] {
            ms += 1;
            let sent = Sent {
                by_client: true,
                flags,
                sequence,
                acknowledgement: 1,
                data: data.as_bytes(),
            };
            pcap.frame(ms, &sent.frame());
        }
    }
    let mut view = view(pcap.file());
    for (number, stream_number, data) in [
        (1, 0, "first"),
        (5, 1, "second"),
        (9, 2, "third"),
        (3, 0, "first"),
    ] {
        let got = ours(&stream(&mut view, number));
        assert_eq!(of_side(&got, false), data);
        assert_eq!(got, followed(&pcap.0, &format!("tcp,raw,{stream_number}")));
    }
    let question = Question::Conversations {
        order: ConversationOrder::Start,
        from: 1,
        limit: 1,
    };
    let page = ask(&mut view, "", &question);
    assert_eq!(page["total"], 3);
    assert_eq!(page["conversations"][0]["first_packet"], 4);
    assert_eq!(page["conversations"][0]["packets"], json!({"a": 3, "b": 0}));
}

#[test]
fn bytes_that_the_capture_cut_off_are_a_gap() {
    let data = [b'x'; 100];
    let sent = |sequence| Sent {
        by_client: true,
        flags: "A",
        sequence,
        acknowledgement: 1,
        data: &data,
    };
    let mut file = Pcapng::new("a task", "eth0");
    for n in 0..3 {
        let frame = sent(1 + n * 100).frame();
        // 60 bytes of the payload were kept.
        file = file.cut_packet(u64::from(n), &frame[..54 + 60], frame.len());
    }
    let bytes = file.bytes();
    let mut copy = tempfile::tempfile().expect("a file");
    copy.write_all(&bytes).expect("room");
    let answer = stream(&mut view(copy), 1);
    let segments = answer["segments"].as_array().expect("segments");
    let shape: Vec<_> = segments
        .iter()
        .map(|segment| (segment["offset"].as_u64(), segment["gap"].as_u64()))
        .collect();
    let at = |offset, gap| (Some(offset), Some(gap));
    assert_eq!(shape, [at(0, 0), at(100, 40), at(200, 40)]);
    assert_eq!(answer["bytes"]["client"], 180);
}

#[test]
fn conversations_are_those_of_tshark() {
    let mut pcap = Pcap::unanswered(200);
    for seed in 0..5 {
        pcap.0.extend(&bad_network(seed).0[24..]);
    }
    let text = tshark(&pcap.0, &["-q", "-z", "conv,tcp"]);
    let mut expected: Vec<_> = text
        .lines()
        .filter(|line| line.contains("<->"))
        .map(|line| {
            // Frames and bytes from the second end, from the first, and both together.
            let words: Vec<_> = line.split_whitespace().collect();
            let [a, _, b, from_b, _, _, from_a, ..] = words[..] else {
                panic!("{line}");
            };
            let number = |word: &str| word.parse::<u64>().expect("a number");
            (a.to_owned(), b.to_owned(), number(from_a), number(from_b))
        })
        .collect();
    let question = Question::Conversations {
        order: ConversationOrder::Packets,
        from: 0,
        limit: 1000,
    };
    let mut view = view(pcap.file());
    let page = ask(&mut view, "tcp", &question);
    let all = page["conversations"].as_array().expect("a list");
    let mut got: Vec<_> = all
        .iter()
        .map(|one| {
            let end = |address: &str, port: &str| {
                format!("{}:{}", one[address].as_str().expect("text"), one[port])
            };
            let packets = |side: &str| one["packets"][side].as_u64().expect("a number");
            (
                end("a", "a_port"),
                end("b", "b_port"),
                packets("a"),
                packets("b"),
            )
        })
        .collect();
    assert!(
        got.is_sorted_by_key(|(_, _, a, b)| std::cmp::Reverse(a + b)),
        "{got:?}"
    );
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
    assert_eq!(
        (&page["total"], &page["searched"]),
        (&205.into(), &view.capture.extent(None).end.into())
    );
    // The filter of one gives its packets, and pages fit together.
    let one = &all[7];
    let filter = one["filter"].as_str().expect("text");
    let rows = Question::Rows {
        from: 0,
        limit: 10,
        columns: Vec::new(),
    };
    assert_eq!(ask(&mut view, filter, &rows)["matched"], 3);
    let page = |view: &mut View, from| {
        let question = Question::Conversations {
            order: ConversationOrder::Bytes,
            from,
            limit: 100,
        };
        let page = ask(view, "tcp", &question);
        page["conversations"].as_array().expect("a list").clone()
    };
    let mut paged = Vec::new();
    for from in [0, 100, 200, 300] {
        paged.extend(page(&mut view, from));
    }
    assert_eq!(paged.len(), 205);
    let question = Question::Conversations {
        order: ConversationOrder::Bytes,
        from: 0,
        limit: 1000,
    };
    assert_eq!(
        ask(&mut view, "tcp", &question)["conversations"],
        Value::from(paged)
    );
    // Of those that pass another filter.
    let udp_only = ask(&mut view, "udp", &question);
    assert_eq!(udp_only["total"], 1);
    assert_eq!(udp_only["conversations"][0]["flags"], Value::Null);
}

#[test]
fn the_course_of_time_is_that_of_tshark() {
    let pcap = Pcap::unanswered(500);
    let filter = "tcp.srcport == 20000 and ip.src < 10.0.0.200";
    let mut view = view(pcap.file());
    for filter in ["", filter] {
        let question = Question::Series {
            buckets: 40,
            from_ns: Some(1_700_000_000_000_000_000),
            until_ns: Some(1_700_000_021_000_000_000),
        };
        let series = ask(&mut view, filter, &question);
        assert_eq!(series["bucket_seconds"], 1.0);
        let numbers = |key: &str| -> Vec<u64> {
            let list = series[key].as_array().expect("a list");
            list.iter()
                .map(|number| number.as_u64().expect("a number"))
                .collect()
        };
        let text = tshark(
            &pcap.0,
            &[
                "-q",
                "-z",
                &format!(
                    "io,stat,1,{}",
                    if filter.is_empty() { "frame" } else { filter }
                ),
            ],
        );
        let lines = text.lines().filter(|line| line.contains("<>"));
        let expected: Vec<(u64, u64)> = lines
            .map(|line| {
                let cells: Vec<_> = line.split('|').map(str::trim).collect();
                (
                    cells[2].parse().expect("frames"),
                    cells[3].parse().expect("bytes"),
                )
            })
            .collect();
        let (packets, bytes) = (numbers("packets"), numbers("bytes"));
        let got: Vec<_> = packets.into_iter().zip(bytes).collect();
        // tshark leaves out a packet at the very end, which is the last one of these.
        let busy = 4;
        assert_eq!(got[..busy], expected[..busy], "{text}");
        let rest: Vec<_> = got[busy..].iter().filter(|bin| bin.0 > 0).collect();
        assert!(rest.is_empty() || rest == [&(1, 43)], "{got:?}");
        assert_eq!(rest.is_empty(), !filter.is_empty());
        assert_eq!(series["searched"], 1501);
    }
    let question = Question::Series {
        buckets: 2000,
        from_ns: Some(1_700_000_001_000_000_000),
        until_ns: Some(1_700_000_001_100_000_000),
    };
    let part = ask(&mut view, "", &question);
    let packets = part["packets"].as_array().expect("a list");
    let packets: u64 = packets.iter().filter_map(Value::as_u64).sum();
    assert_eq!(packets, 100);
    assert_eq!(part["bucket_seconds"], 0.0001);
}

/// All parts of an export.
fn exported(view: &mut View, filter: &str, numbers: (u64, u64)) -> (Vec<u8>, usize) {
    let mut state = ExportState::default();
    let mut file = Vec::new();
    for parts in 1.. {
        let question = Question::Export {
            state,
            from_number: numbers.0,
            until_number: numbers.1,
        };
        let part = try_ask(view, filter, question).expect("a part");
        let part: ExportPart = serde_json::from_value(part).expect("a part");
        file.extend(Base64::decode_vec(&part.data).expect("base 64"));
        match part.next {
            Some(next) => state = next,
            None => return (file, parts),
        }
    }
    unreachable!()
}

#[test]
fn what_is_exported_is_what_was_shown_with_comments() {
    let mut view = View::default();
    let mut all = Vec::new();
    for (file, name) in ["eth0", "eth1", "eth0"].into_iter().enumerate() {
        let mut pcapng = Pcapng::new("a task", name);
        for n in 0..4 {
            let frame = Sent {
                by_client: n % 2 == 0,
                flags: "A",
                sequence: 1 + n,
                acknowledgement: 1,
                data: b"x",
            };
            pcapng = pcapng.packet(file as u64 * 1_000_000_000 + u64::from(n), &frame.frame());
        }
        let bytes = pcapng.bytes();
        let mut copy = tempfile::tempfile().expect("a file");
        copy.write_all(&bytes).expect("room");
        all.push(bytes);
        view.add(file as u64, copy, false).expect("a file");
    }
    let note = |number, comment: &str| ViewNote {
        number,
        marked: true,
        comment: Some(comment.to_owned()),
    };
    view.note(vec![
        note(3, "the first\nfile"),
        note(12, "Ünicode \u{202e} <b>"),
        note(5, "gone"),
        note(2, "does not pass"),
    ]);
    view.note(vec![ViewNote {
        number: 5,
        marked: false,
        comment: None,
    }]);
    let (file, _) = exported(&mut view, "tcp.srcport == 40000", (2, 12));
    let fields = [
        "-T",
        "fields",
        "-e",
        "frame.time_epoch",
        "-e",
        "frame.interface_name",
        "-e",
        "tcp.seq_raw",
        "-e",
        "frame.comment",
    ];
    let text = tshark(&file, &fields);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .collect();
    let expected = [
        ["1767225600.000000002", "eth0", "3", "the first\\nfile"],
        ["1767225601.000000000", "eth1", "1", ""],
        ["1767225601.000000002", "eth1", "3", ""],
        ["1767225602.000000000", "eth0", "1", ""],
        ["1767225602.000000002", "eth0", "3", ""],
    ];
    assert_eq!(lines, expected, "{text}");
    // Of the third file, whose interface is that of the first.
    let (file, _) = exported(&mut view, "", (12, u64::MAX));
    let text = tshark(&file, &["-T", "fields", "-e", "frame.comment"]);
    assert_eq!(text.trim_end(), "Ünicode \u{202e} <b>");
    let rows = Question::Rows {
        from: 10,
        limit: 5,
        columns: Vec::new(),
    };
    let rows = ask(&mut view, "", &rows);
    assert_eq!(rows["rows"][1]["comment"], "Ünicode \u{202e} <b>");
    assert_eq!(
        (&rows["rows"][0]["marked"], &rows["rows"][1]["marked"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn a_large_export_comes_in_parts() {
    let mut pcap = Pcap::new();
    let frame = Sent {
        by_client: true,
        flags: "A",
        sequence: 1,
        acknowledgement: 1,
        data: &[7; 1400],
    };
    let frame = frame.frame();
    for ms in 0..5000 {
        pcap.frame(ms, &frame);
    }
    let mut view = view(pcap.file());
    let (file, parts) = exported(&mut view, "", (0, u64::MAX));
    assert!(parts >= 7, "{parts}");
    let mut reader = capture_file::read::Reader::new(&file[..]);
    let mut packets = 0;
    while let Some(item) = reader.next().expect("the file is whole") {
        if let capture_file::read::Item::Packet(packet) = item {
            assert_eq!(packet.data, frame);
            packets += 1;
        }
    }
    assert_eq!(packets, 5000);
}
