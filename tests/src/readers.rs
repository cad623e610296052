//! Reading captures back by programs that are not ours: tshark, tcpdump, capinfos and editcap.
//! editcap turns a file into nanosecond pcap, whose 16-byte record headers are read here.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{output, traffic};

/// One packet of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// Length on the wire.
    pub original_len: usize,
    /// The bytes that were kept.
    pub bytes: Vec<u8>,
}

/// All packets of a file of one link type, read by Wireshark's library.
pub fn packets(path: &Path) -> Vec<Packet> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plain = directory.path().join("plain.pcap");
    output(
        Command::new("editcap")
            .args(["-F", "nsecpcap"])
            .arg(path)
            .arg(&plain),
    );
    parse_pcap(&fs::read(&plain).expect("editcap wrote its file"), path)
}

/// All packets of a file that is nanosecond pcap already, read here: for files by the hundred.
pub fn plain_packets(path: &Path) -> Vec<Packet> {
    let file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse_pcap(&file, path)
}

/// Parses nanosecond pcap (draft-ietf-opsawg-pcap) in host byte order.
fn parse_pcap(file: &[u8], origin: &Path) -> Vec<Packet> {
    let number = |at: usize| {
        let bytes = file
            .get(at..at + 4)
            .unwrap_or_else(|| panic!("{origin:?}: cut at {at}"));
        u32::from_ne_bytes(bytes.try_into().expect("four bytes"))
    };
    assert_eq!(number(0), 0xa1b2_3c4d, "{origin:?}: no nanosecond pcap");
    let (mut at, mut packets) = (24, Vec::new());
    while at < file.len() {
        let kept = number(at + 8) as usize;
        let bytes = file
            .get(at + 16..at + 16 + kept)
            .unwrap_or_else(|| panic!("{origin:?}: a record is cut at {at}"));
        packets.push(Packet {
            time_ns: u64::from(number(at)) * 1_000_000_000 + u64::from(number(at + 4)),
            original_len: number(at + 12) as usize,
            bytes: bytes.to_vec(),
        });
        at += 16 + kept;
    }
    packets
}

/// Panics unless times never go back and lie within the last hour.
pub fn assert_ordered(packets: &[Packet]) {
    for pair in packets.windows(2) {
        assert!(
            pair[0].time_ns <= pair[1].time_ns,
            "time goes back: {pair:?}"
        );
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_nanos() as u64;
    if let (Some(first), Some(last)) = (packets.first(), packets.last()) {
        assert!(
            first.time_ns > now - 3_600_000_000_000,
            "too old: {}",
            first.time_ns
        );
        assert!(
            last.time_ns <= now + 1_000_000_000,
            "in the future: {}",
            last.time_ns
        );
    }
}

/// tshark's fields of every packet that passes a display filter, a row each.
pub fn fields(path: &Path, filter: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(path).args(["-T", "fields"]);
    if !filter.is_empty() {
        command.args(["-Y", filter]);
    }
    for name in names {
        command.args(["-e", name]);
    }
    let text = output(command.stderr(Stdio::piped()));
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

/// The numbers of numbered frames among packets, in their order.
pub fn numbers(packets: &[Packet]) -> impl Iterator<Item = u32> {
    let numbers = packets.iter();
    numbers.filter_map(|packet| traffic::number_in(&packet.bytes))
}

/// Whether packets are numbered frames from 0 on, none missing: the first that were sent.
pub fn is_gapless(packets: &[Packet]) -> bool {
    numbers(packets).eq(0..packets.len() as u32)
}

/// How many packets of a file pass a tcpdump expression.
pub fn tcpdump_count(path: &Path, expression: &str) -> usize {
    let mut command = Command::new("tcpdump");
    command
        .args(["-n", "--count", "-r"])
        .arg(path)
        .arg(expression);
    let text = output(&mut command);
    let count = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    count.unwrap_or_else(|| panic!("{command:?} says: {text}"))
}

/// Writes the packets of a file that pass a tcpdump expression into another one.
pub fn tcpdump_filter(from: &Path, expression: &str, to: &Path) {
    output(
        // Without its optimizer, which is not what is tested.
        Command::new("tcpdump")
            .args(["-O", "-Z", "root", "--nano", "-r"])
            .arg(from)
            .arg("-w")
            .arg(to)
            .arg(expression),
    );
}

/// What capinfos says of a file, in full.
pub fn capinfos(path: &Path) -> String {
    output(Command::new("capinfos").arg("-M").arg(path))
}

/// How many packets capinfos counts.
pub fn packet_count(path: &Path) -> u64 {
    let text = output(
        Command::new("capinfos")
            .args(["-T", "-r", "-c", "-M"])
            .arg(path),
    );
    let count = text.trim().rsplit('\t').next();
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("capinfos {}: {text}", path.display()))
}

/// The bytes that one side of the only TCP connection of a file sent, put together by tshark.
pub fn tcp_stream(path: &Path) -> Vec<u8> {
    let text = output(
        Command::new("tshark")
            .args(["-n", "-q", "-z", "follow,tcp,raw,0"])
            .args(["-o", "tcp.desegment_tcp_streams:FALSE"])
            .arg("-r")
            .arg(path),
    );
    // Headings, then a line of hexadecimal for each segment; the answer's lines are indented.
    let mut data = Vec::new();
    for line in text
        .lines()
        .filter(|line| line.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        for pair in line.as_bytes().chunks(2) {
            let digit = |byte: u8| char::from(byte).to_digit(16).expect("checked above") as u8;
            data.push(digit(pair[0]) << 4 | digit(pair[1]));
        }
    }
    data
}
