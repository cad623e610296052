//! Frames for tests: small builders of headers, and what tshark says of them.

pub mod tls;

use std::{io::Write as _, net::IpAddr, process::Command};

use crate::decode::TcpFlags;

/// In nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
/// In nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;

/// A time to begin with: 2026-01-01T00:00:00Z.
pub const START: u64 = 1_767_225_600 * SECOND;

/// The hardware address of a station.
pub fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An Ethernet frame.
pub fn ethernet(source: [u8; 6], destination: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &kind.to_be_bytes(), payload].concat()
}

/// What an IP header says beside addresses and protocol.
#[derive(Clone, Copy)]
pub struct Header {
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Identification.
    pub id: u16,
    /// Flags and offset, as in the header.
    pub fragment: u16,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            ttl: 64,
            id: 1,
            fragment: 0,
        }
    }
}

/// An IP packet of the version of its addresses.
pub fn ip(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip_with(Header::default(), source, destination, protocol, payload)
}

/// An IP packet with more said of its header. Identification and fragments are IPv4's.
pub fn ip_with(
    header: Header,
    source: &str,
    destination: &str,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    match (address(source), address(destination)) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut bytes = vec![0x45, 0];
            bytes.extend((20 + payload.len() as u16).to_be_bytes());
            bytes.extend(header.id.to_be_bytes());
            bytes.extend(header.fragment.to_be_bytes());
            bytes.extend([header.ttl, protocol, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            let sum = internet_checksum(&[&bytes]);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            bytes.extend(payload);
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend((payload.len() as u16).to_be_bytes());
            bytes.extend([protocol, header.ttl]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes.extend(payload);
            bytes
        }
        _ => panic!("two versions of IP in one packet"),
    }
}

/// An IP packet in an Ethernet frame between two stations.
pub fn framed(packet: &[u8]) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    ethernet(mac(1), mac(2), kind, packet)
}

/// UDP, its checksum left out.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    let fields = [source, destination, len, 0].map(u16::to_be_bytes);
    [&fields.concat(), payload].concat()
}

/// TCP without options. The checksum is left wrong: sums are not judged.
pub fn tcp(ports: (u16, u16), flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    bytes.extend(sequence.to_be_bytes());
    let acknowledgement: u32 = if flags & TcpFlags::ACK == 0 { 0 } else { 1 };
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.extend((0x5000 | flags).to_be_bytes());
    bytes.extend([0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// ICMP; `rest` are bytes 4 to 8.
pub fn icmp(kind: u8, code: u8, rest: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest.to_be_bytes());
    bytes.extend(payload);
    let sum = internet_checksum(&[&bytes]);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A whole frame with UDP.
pub fn udp_frame(from: (&str, u16), to: (&str, u16), payload: &[u8]) -> Vec<u8> {
    framed(&ip(from.0, to.0, 17, &udp(from.1, to.1, payload)))
}

/// A whole frame with TCP.
pub fn tcp_frame(
    from: (&str, u16),
    to: (&str, u16),
    flags: u16,
    sequence: u32,
    payload: &[u8],
) -> Vec<u8> {
    let segment = tcp((from.1, to.1), flags, sequence, payload);
    framed(&ip(from.0, to.0, 6, &segment))
}

/// A file of the name `pcap`, with nanoseconds, of frames and their times.
pub fn pcap(link_type: u16, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let word = |word: u32, bytes: &mut Vec<u8>| bytes.extend(word.to_le_bytes());
    for value in [
        0xa1b2_3c4d,
        0x0004_0002,
        0,
        0,
        262_144,
        u32::from(link_type),
    ] {
        word(value, &mut bytes);
    }
    for (ns, frame) in frames {
        let len = frame.len() as u32;
        for value in [(ns / SECOND) as u32, (ns % SECOND) as u32, len, len] {
            word(value, &mut bytes);
        }
        bytes.extend(frame);
    }
    bytes
}

/// The output of tshark on these frames, a line each; `None` where tshark is not installed.
pub fn tshark(link_type: u16, frames: &[(u64, Vec<u8>)], args: &[&str]) -> Option<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&pcap(link_type, frames))
        .expect("a file with packets");
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file.path()).args(args);
    let Ok(output) = command.output() else {
        eprintln!("not compared: tshark is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark {args:?}: {errors}");
    let lines = String::from_utf8(output.stdout).expect("text");
    Some(lines.lines().map(str::to_owned).collect())
}

/// Name, offset, length and value of a field, as both sides say them.
pub type Said = (String, u32, u32, String);

/// The fields of each frame as tshark has them. `None` where tshark is not installed.
pub fn pdml(link_type: u16, frames: &[(u64, Vec<u8>)]) -> Option<Vec<Vec<Said>>> {
    let lines = tshark(
        link_type,
        frames,
        &["-d", "mpls.label==17,pwethcw", "-T", "pdml"],
    )?;
    let mut packets = Vec::new();
    for line in lines {
        let line = line.trim_start();
        if line.starts_with("<packet>") {
            packets.push(Vec::new());
        }
        let attribute = |name: &str| {
            let start = line.find(&format!(" {name}=\""))? + name.len() + 3;
            let len = line[start..].find('"')?;
            Some(line[start..start + len].to_owned())
        };
        let number = |name| attribute(name).and_then(|value| value.parse().ok());
        let field = attribute("name")
            .zip(number("pos"))
            .zip(number("size"))
            .zip(attribute("show"));
        if let (Some((((name, at), len), value)), Some(packet)) = (field, packets.last_mut()) {
            packet.push((name, at, len, value));
        }
    }
    Some(packets)
}
