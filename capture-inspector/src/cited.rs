//! The packets that findings cite, read a second time: who sent what to whom. Only files can be read again.

use std::collections::BTreeSet;

use capture_analysis::PacketId;
use capture_file::read::{Item, Packet};
use capture_packet::decode::{Arp, Decoded, Tcp, TcpFlags, Transport};
use jiff::Timestamp;

use crate::{analysis::Analysis, input::Input};

/// Most packets that are read again.
const MOST: usize = 2048;

/// A packet that a finding cites, in a line.
#[derive(Clone, Debug)]
pub struct CitedPacket {
    /// Which one.
    pub id: PacketId,
    /// When it was captured; a pcapng simple packet has no time.
    pub time: Option<Timestamp>,
    /// Address of the sender.
    pub source: String,
    /// Address that it was sent to.
    pub destination: String,
    /// Protocol.
    pub protocol: String,
    /// Bytes on the wire.
    pub original_len: u32,
    /// What it is, in a few words.
    pub info: String,
}

/// Reads those of the files again that findings cite, in the order of files and numbers; without those of pipes, and of
/// what cannot be read again.
pub fn cited_packets(inputs: &mut [Input], analysis: &Analysis) -> Vec<CitedPacket> {
    let findings = analysis.report.findings.iter();
    let wanted: BTreeSet<_> = findings.flat_map(|it| it.packets.cited()).collect();
    let wanted: Vec<_> = wanted.into_iter().take(MOST).collect();
    let mut cited = Vec::with_capacity(wanted.len());
    for wanted in wanted.chunk_by(|one, other| one.file() == other.file()) {
        match inputs.get_mut(wanted[0].file()) {
            Some(input) if input.is_file() => read_again(input, wanted, &mut cited),
            _ => {}
        }
    }
    cited
}

fn read_again(input: &mut Input, wanted: &[PacketId], cited: &mut Vec<CitedPacket>) {
    let Ok(mut reader) = input.reader() else {
        return;
    };
    let mut link_types = Vec::new();
    let mut wanted = wanted.iter().copied().peekable();
    while let Some(next) = wanted.peek() {
        match reader.next() {
            Ok(Some(Item::Packet(packet))) if packet.number == next.number() => {
                let link_type = link_types.get(packet.interface as usize);
                cited.push(line(*next, &packet, link_type.copied().unwrap_or(1)));
                wanted.next();
            }
            Ok(Some(Item::Interface(interface))) => link_types.push(interface.link_type),
            Ok(Some(_)) => {}
            // It was read up to here before.
            Ok(None) | Err(_) => return,
        }
    }
}

fn line(id: PacketId, packet: &Packet<'_>, link_type: u16) -> CitedPacket {
    let headers = Decoded::new(link_type, packet.data, packet.original_len);
    let (source, destination) = ends(&headers);
    let (protocol, info) = summary(&headers);
    let time = packet.timestamp_ns;
    CitedPacket {
        id,
        time: time.and_then(|ns| Timestamp::from_nanosecond(ns.into()).ok()),
        source,
        destination,
        protocol,
        original_len: packet.original_len,
        info,
    }
}

fn ends(headers: &Decoded<'_>) -> (String, String) {
    match (&headers.ip, &headers.ethernet) {
        (Some(ip), _) => (ip.source.to_string(), ip.destination.to_string()),
        (None, Some(ethernet)) => (
            ethernet.source.to_string(),
            ethernet.destination.to_string(),
        ),
        (None, None) => (String::new(), String::new()),
    }
}

fn summary(headers: &Decoded<'_>) -> (String, String) {
    let (protocol, info) = match (&headers.transport, &headers.arp, &headers.ip) {
        (Transport::Tcp(tcp), ..) => ("TCP", tcp_info(tcp, headers.payload_len)),
        (Transport::Udp(udp), ..) => {
            let (from, to) = (udp.source_port, udp.destination_port);
            let len = headers.payload_len;
            ("UDP", format!("{from} → {to}, {len} bytes"))
        }
        (Transport::Icmp(icmp), ..) => {
            let name = if icmp.is_v6 { "ICMPv6" } else { "ICMP" };
            (name, format!("type {}, code {}", icmp.kind, icmp.code))
        }
        (_, Some(arp), _) => ("ARP", arp_info(arp)),
        (_, None, Some(ip)) if ip.fragment.is_some() => {
            ("IP", format!("fragment of protocol {}", ip.protocol))
        }
        (_, None, Some(ip)) => ("IP", format!("protocol {}", ip.protocol)),
        (_, None, None) => ("–", format!("EtherType 0x{:04x}", headers.ether_type)),
    };
    (protocol.to_owned(), info)
}

fn tcp_info(tcp: &Tcp, payload_len: u32) -> String {
    let flags = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
        (TcpFlags::URG, "URG"),
    ];
    let flags = flags.into_iter().filter(|(flag, _)| tcp.flags.any(*flag));
    let flags: Vec<_> = flags.map(|(_, name)| name).collect();
    format!(
        "{} → {} [{}], sequence {}, window {}, {payload_len} bytes",
        tcp.source_port,
        tcp.destination_port,
        flags.join(", "),
        tcp.sequence,
        tcp.window
    )
}

fn arp_info(arp: &Arp) -> String {
    let Arp {
        operation,
        sender_mac,
        sender,
        target,
        ..
    } = arp;
    match operation {
        1 => format!("{sender} asks who has {target}"),
        2 => format!("{sender} is at {sender_mac}"),
        other => format!("operation {other} of {sender}"),
    }
}
