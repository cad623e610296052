//! The analyzer: on capture files, and on connections.

use capture_analysis::{Analyzer, MOST_CITED, Options, Packet, Report};
use capture_file::read::Reader;
use capture_inspector::Feed;
use capture_packet::testing::{MILLISECOND, START, framed, ip};

/// Most items of an input: a small compressed file may hold gigabytes.
const MOST_ITEMS: usize = 50_000;

/// The report of a file holds together, and nothing in it can do harm where it is shown.
pub(crate) fn analyzer(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut feed = Feed::default();
    let mut last = 0;
    for _ in 0..MOST_ITEMS {
        let Ok(Some(item)) = reader.next() else { break };
        if let capture_file::read::Item::Packet(packet) = &item {
            last = packet.number;
        }
        feed.take(item);
    }
    let packets = reader.packets();
    let report = feed.finish();
    assert_eq!(report.packets, packets);
    check(&report, last);
}

/// Each eight bytes are a segment of one connection: control bits, side and time, sequence and acknowledgement numbers not far
/// from those before, a length, options.
pub(crate) fn connection(data: &[u8]) {
    let mut analyzer = Analyzer::new(Options {
        wireshark_classes: true,
        ..Options::default()
    });
    let (mut ns, mut number) = (START, 0);
    let mut next = [1000u32, 0xffff_ff00];
    let (segments, _) = data.as_chunks::<8>();
    for [flags, side, time, seq, ack, len, window, options] in segments.iter().copied() {
        number += 1;
        // A quarter of them go back in time.
        let step = u64::from(time >> 2) * u64::from(time >> 2) * MILLISECOND / 8;
        ns = match time & 3 {
            0 => ns.saturating_sub(step),
            _ => ns + step,
        };
        let from = usize::from(side & 1);
        let len = u32::from(len) * u32::from(side >> 4) / 2;
        let near = |of: u32, byte: u8| match byte {
            0..=127 => of,
            128..=250 => of.wrapping_add(u32::from(byte).wrapping_sub(190).wrapping_mul(100)),
            _ => of.wrapping_add(u32::from(byte) << 23),
        };
        let sequence = near(next[from], seq);
        let acknowledgement = near(next[1 - from], ack);
        if seq < 128 {
            next[from] = sequence.wrapping_add(len);
        }
        let header = Header {
            flags: flags.into(),
            sequence,
            acknowledgement,
            window: u16::from(window) << 4,
            options: tcp_options(options, ns, acknowledgement),
        };
        let frame = header.frame(from == 0, &vec![side; len as usize]);
        analyzer.packet(&Packet {
            number,
            timestamp_ns: ns,
            interface: 0,
            direction: None,
            original_len: frame.len() as u32,
            lost_before: 0,
            data: &frame,
        });
    }
    check(&analyzer.finish(), number);
}

struct Header {
    flags: u16,
    sequence: u32,
    acknowledgement: u32,
    window: u16,
    options: Vec<u8>,
}

impl Header {
    /// The segment in a frame, from the client or to it.
    fn frame(&self, from_client: bool, payload: &[u8]) -> Vec<u8> {
        const CLIENT: (&str, u16) = ("10.0.0.1", 40_000);
        const SERVER: (&str, u16) = ("10.0.0.2", 80);
        let (from, to) = match from_client {
            true => (CLIENT, SERVER),
            false => (SERVER, CLIENT),
        };
        let mut segment = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        segment.extend(self.sequence.to_be_bytes());
        segment.extend(self.acknowledgement.to_be_bytes());
        let words = (5 + self.options.len() as u16 / 4) << 12;
        segment.extend((words | self.flags).to_be_bytes());
        segment.extend(self.window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(&self.options);
        segment.extend(payload);
        framed(&ip(from.0, to.0, 6, &segment))
    }
}

fn tcp_options(choice: u8, ns: u64, ack: u32) -> Vec<u8> {
    let mut options = Vec::new();
    if choice & 1 != 0 {
        let tsval = ((ns / MILLISECOND) as u32).to_be_bytes();
        let echo = ((ns / MILLISECOND) as u32)
            .wrapping_sub(u32::from(choice))
            .to_be_bytes();
        options.extend([1, 1, 8, 10]);
        options.extend(tsval);
        options.extend(echo);
    }
    for block in 0..u32::from(choice >> 1 & 3) {
        if block == 0 {
            options.extend([1, 1, 5, 2 + 8 * (choice >> 1 & 3)]);
        }
        let left = ack.wrapping_add((block + 1) * u32::from(choice >> 3) * 100);
        options.extend(left.to_be_bytes());
        options.extend(left.wrapping_add(u32::from(choice)).to_be_bytes());
    }
    if choice & 0x80 != 0 {
        options.extend([2, 4, choice, 0, 3, 3, choice >> 4, 1, 4, 2, 1, 1]);
    }
    options.truncate(40);
    options
}

fn check(report: &Report, last: u64) {
    assert!(report.duration >= 0.0);
    for finding in &report.findings {
        let cited = finding.packets.packets();
        assert!(cited.len() <= MOST_CITED, "{finding:?}");
        let in_order = cited.is_sorted_by(|one, other| one < other);
        let are_there = cited.iter().all(|number| (1..=last).contains(number));
        assert!(in_order && are_there, "{finding:?} of {last} packets");
        assert!(finding.since <= finding.until, "{finding:?}");
    }
    // Inside of JSON whatever is not harmless is escaped, so that a backslash tells.
    let json = serde_json::to_string(report).expect("a report is JSON");
    assert!(!json.contains("\\u00"), "{json}");
}
