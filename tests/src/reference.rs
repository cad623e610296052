//! A second reading of the section "Matching" of the contract: which frames a task takes. Written
//! to be read, frame by frame and task by task, and sharing no code with the product.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

/// `protocol` of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Every frame.
    #[default]
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP over IPv4, and ICMPv6 over IPv6.
    Icmp,
}

/// One endpoint of a task; what is `None` matches everything.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Addresses and prefix lengths.
    pub addresses: Option<Vec<(IpAddr, u8)>>,
    /// Ports.
    pub ports: Option<Vec<RangeInclusive<u16>>>,
}

/// The filter of a task.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `protocol`.
    pub protocol: Protocol,
    /// `ip` and `ports`.
    pub local: Endpoint,
    /// `peer_ip` and `peer_ports`.
    pub peer: Endpoint,
    /// `icmp_errors`.
    pub icmp_errors: bool,
}

/// A filter with its memory of fragmented datagrams.
#[derive(Clone, Debug)]
pub struct Matcher {
    filter: Filter,
    datagrams: HashSet<Datagram>,
}

/// What a frame says, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Source and destination address; sender and target of ARP.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// It is ARP.
    pub arp: bool,
    /// IP protocol behind the extension headers.
    pub protocol: Option<u8>,
    /// Source and destination port.
    pub ports: Option<(u16, u16)>,
    /// What stands in the packet that an ICMP or ICMPv6 error quotes.
    pub quoted: Option<Box<Reading>>,
    /// The fragmented datagram it belongs to, and whether it is the first part.
    pub fragment: Option<(Datagram, bool)>,
    /// Something could not be read: too short, or too many headers.
    pub malformed: bool,
}

/// What identifies a fragmented datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
pub type Datagram = (IpAddr, IpAddr, u32, u8);

impl Filter {
    /// The filter that options of `run` mean, one word each. Only for options of the tests' own.
    pub fn from_options<'a>(options: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut filter, mut options) = (Self::default(), options.into_iter());
        while let Some(option) = options.next() {
            if option == "--icmp-errors" {
                filter.icmp_errors = true;
                continue;
            }
            let value = options.next().expect("every other option has a value");
            match option {
                "--protocol" => {
                    filter.protocol = match value {
                        "all" => Protocol::All,
                        "tcp" => Protocol::Tcp,
                        "udp" => Protocol::Udp,
                        "icmp" => Protocol::Icmp,
                        _ => panic!("no protocol {value}"),
                    }
                }
                "--ip" => filter.local.add_addresses(value),
                "--peer-ip" => filter.peer.add_addresses(value),
                "--port" => filter.local.add_ports(value),
                "--peer-port" => filter.peer.add_ports(value),
                _ => panic!("no option {option}"),
            }
        }
        filter
    }

    /// Nothing is given: every frame is taken, whatever it is.
    fn is_empty(&self) -> bool {
        let Self {
            protocol,
            local,
            peer,
            icmp_errors: _,
        } = self;
        let none = |end: &Endpoint| end.addresses.is_none() && end.ports.is_none();
        *protocol == Protocol::All && none(local) && none(peer)
    }

    fn takes(&self, frame: &Reading) -> bool {
        let itself = |frame| self.takes_protocol(frame) && self.takes_endpoints(frame);
        let quoted = frame.quoted.as_deref().filter(|_| self.icmp_errors);
        self.is_empty() || itself(frame) || quoted.is_some_and(itself)
    }

    fn takes_protocol(&self, frame: &Reading) -> bool {
        let v4 = frame.addresses.is_some_and(|(source, _)| source.is_ipv4());
        match (self.protocol, frame.protocol) {
            (Protocol::All, _) | (Protocol::Tcp, Some(6)) | (Protocol::Udp, Some(17)) => true,
            (Protocol::Icmp, Some(1)) => v4,
            (Protocol::Icmp, Some(58)) => !v4,
            _ => false,
        }
    }

    fn takes_endpoints(&self, frame: &Reading) -> bool {
        let source = (
            frame.addresses.map(|both| both.0),
            frame.ports.map(|both| both.0),
        );
        let destination = (
            frame.addresses.map(|both| both.1),
            frame.ports.map(|both| both.1),
        );
        let (local, peer) = (&self.local, &self.peer);
        local.takes(source) && peer.takes(destination)
            || local.takes(destination) && peer.takes(source)
    }
}

fn network(text: &str) -> (IpAddr, u8) {
    let (address, len) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().expect("an address");
    let most = if address.is_ipv4() { 32 } else { 128 };
    (
        address,
        if len.is_empty() {
            most
        } else {
            len.parse().expect("a prefix length")
        },
    )
}

impl Endpoint {
    fn add_addresses(&mut self, text: &str) {
        let addresses = self.addresses.get_or_insert_default();
        addresses.extend(text.split(',').map(network));
    }

    fn add_ports(&mut self, text: &str) {
        let ports = self.ports.get_or_insert_default();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            ports.push(first.parse().expect("a port")..=last.parse().expect("a port"));
        }
    }

    fn takes(&self, (address, port): (Option<IpAddr>, Option<u16>)) -> bool {
        let address = match &self.addresses {
            None => true,
            Some(all) => address.is_some_and(|address| {
                let mut all = all.iter();
                all.any(|(wanted, len)| contains(*wanted, *len, address))
            }),
        };
        let port = match &self.ports {
            None => true,
            Some(wanted) => {
                port.is_some_and(|port| wanted.iter().any(|range| range.contains(&port)))
            }
        };
        address && port
    }
}

/// The first bits are the same; the families never contain each other.
fn contains(network: IpAddr, len: u8, address: IpAddr) -> bool {
    let same = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    same >= u32::from(len)
}

impl Matcher {
    /// A matcher that has seen nothing yet.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            datagrams: HashSet::new(),
        }
    }

    /// Whether the task takes this Ethernet frame, the next one on its interface.
    pub fn takes(&mut self, frame: &[u8]) -> bool {
        self.takes_reading(&read(frame))
    }

    /// The same of a frame that was read already.
    pub fn takes_reading(&mut self, reading: &Reading) -> bool {
        let taken = self.filter.takes(reading);
        match reading.fragment {
            Some((datagram, true)) => {
                // An identification that is used again belongs to the newer datagram.
                self.datagrams.remove(&datagram);
                if taken {
                    self.datagrams.insert(datagram);
                }
                taken
            }
            Some((datagram, false)) => taken || self.datagrams.contains(&datagram),
            None => taken,
        }
    }
}

/// Reads an Ethernet frame.
pub fn read(frame: &[u8]) -> Reading {
    let mut reading = Reading::default();
    reading.malformed = ethernet(frame, &mut reading).is_none();
    reading
}

/// Reads a packet of an interface without link layer (tun, WireGuard): it begins with the IP header.
pub fn read_raw_ip(packet: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let whole = match packet.first().map(|first| first >> 4) {
        Some(4) => ipv4(packet, &mut reading),
        Some(6) => ipv6(packet, &mut reading),
        _ => None,
    };
    reading.malformed = whole.is_none();
    reading
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Here and below, `None` is "could not be read further".
fn ethernet(frame: &[u8], reading: &mut Reading) -> Option<()> {
    let (mut at, mut tags) = (12, 0);
    let mut ethertype = number16(frame, at)?;
    while matches!(ethertype, 0x8100 | 0x88a8) {
        tags += 1;
        if tags > 4 {
            return None;
        }
        at += 4;
        ethertype = number16(frame, at)?;
    }
    let rest = &frame[at + 2..];
    match ethertype {
        0x0800 => ipv4(rest, reading),
        0x86dd => ipv6(rest, reading),
        0x0806 => arp(rest, reading),
        _ => Some(()),
    }
}

fn arp(packet: &[u8], reading: &mut Reading) -> Option<()> {
    let packet = packet.get(..28)?;
    // Ethernet (1) and IPv4 (0x0800), with addresses of six and four bytes.
    if packet[..6] == [0, 1, 8, 0, 6, 4] {
        reading.arp = true;
        reading.addresses = Some((address4(&packet[14..18]), address4(&packet[24..28])));
    }
    Some(())
}

fn address4(bytes: &[u8]) -> IpAddr {
    let bytes: [u8; 4] = bytes.try_into().expect("four bytes");
    Ipv4Addr::from(bytes).into()
}

fn address6(bytes: &[u8]) -> IpAddr {
    let bytes: [u8; 16] = bytes.try_into().expect("sixteen bytes");
    Ipv6Addr::from(bytes).into()
}

fn ipv4(packet: &[u8], reading: &mut Reading) -> Option<()> {
    let header = packet.get(..20)?;
    let header_len = usize::from(header[0] & 15) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return None;
    }
    let (source, destination) = (address4(&header[12..16]), address4(&header[16..20]));
    let protocol = header[9];
    reading.addresses = Some((source, destination));
    reading.protocol = Some(protocol);
    let (offset, more) = (number16(header, 6)? & 0x1fff, header[6] & 0x20 != 0);
    if offset != 0 || more {
        let identification = u32::from(number16(header, 4)?);
        let datagram = (source, destination, identification, protocol);
        reading.fragment = Some((datagram, offset == 0));
    }
    match offset {
        0 => ports(packet, header_len, protocol, reading),
        _ => Some(()),
    }
}

fn ipv6(packet: &[u8], reading: &mut Reading) -> Option<()> {
    let header = packet.get(..40)?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (source, destination) = (address6(&header[8..24]), address6(&header[24..40]));
    reading.addresses = Some((source, destination));
    let (mut next, mut at, mut seen) = (header[6], 40, 0);
    // Hop-by-hop, routing, fragment, authentication, destination options.
    while matches!(next, 0 | 43 | 44 | 51 | 60) {
        seen += 1;
        if seen > 8 {
            return None;
        }
        let len = match next {
            44 => 8,
            51 => (usize::from(*packet.get(at + 1)?) + 2) * 4,
            _ => (usize::from(*packet.get(at + 1)?) + 1) * 8,
        };
        let is_fragment = next == 44;
        next = *packet.get(at)?;
        if is_fragment {
            let header = packet.get(at..at + 8)?;
            let position = number16(header, 2)?;
            let (offset, more) = (position >> 3, position & 1 != 0);
            if offset != 0 || more {
                let identification =
                    u32::from_be_bytes(header[4..8].try_into().expect("four bytes"));
                let datagram = (source, destination, identification, 0);
                reading.fragment = Some((datagram, offset == 0));
            }
            if offset != 0 {
                // What follows is the middle of something; only its type is known.
                reading.protocol = Some(next);
                return Some(());
            }
        }
        at += len;
    }
    reading.protocol = Some(next);
    ports(packet, at, next, reading)
}

/// TCP, UDP and SCTP begin with the two ports; an ICMP error ends with what it is about.
fn ports(packet: &[u8], at: usize, protocol: u8, reading: &mut Reading) -> Option<()> {
    reading.quoted = quoted(packet, at, protocol, reading.addresses?.0.is_ipv4()).map(Box::new);
    if matches!(protocol, 6 | 17 | 132) {
        reading.ports = Some((number16(packet, at)?, number16(packet, at + 2)?));
    }
    Some(())
}

/// Types of ICMP: destination unreachable, source quench, redirect, time exceeded, parameter problem;
/// of ICMPv6: the lower half. Eight bytes later the packet is quoted, of which there may be little.
fn quoted(packet: &[u8], at: usize, protocol: u8, v4: bool) -> Option<Reading> {
    let message = packet.get(at..)?;
    let is_error = match (v4, protocol, message.first()?) {
        (true, 1, kind) => [3, 4, 5, 11, 12].contains(kind),
        (false, 58, kind) => *kind <= 127,
        _ => false,
    };
    let reading = read_raw_ip(message.get(8..).filter(|_| is_error)?);
    // What a quote quotes in turn is nobody's business.
    Some(Reading {
        quoted: None,
        ..reading
    })
    .filter(|reading| reading.addresses.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic;

    fn filter(ip: &str, len: u8, port: u16) -> Filter {
        let ip = ip.parse().expect("an address");
        Filter {
            local: Endpoint {
                addresses: Some(vec![(ip, len)]),
                ports: Some(vec![port..=port]),
            },
            ..Filter::default()
        }
    }

    #[test]
    fn the_port_belongs_to_the_address() {
        let mut task = Matcher::new(filter("10.0.0.1", 32, 80));
        let ip = traffic::Ipv4::new("10.0.0.2", "10.0.0.1", traffic::TCP);
        assert!(task.takes(&ip.frame(&traffic::tcp(999, 80, b""))));
        assert!(!task.takes(&ip.frame(&traffic::tcp(80, 999, b""))));
    }

    #[test]
    fn one_of_a_list_is_enough() {
        let filter =
            Filter::from_options(["--ip", "10.0.0.1,10.1.0.0/16", "--peer-ip", "10.0.0.9"]);
        let mut task = Matcher::new(filter);
        for (from, to, is_taken) in [
            ("10.0.0.1", "10.0.0.9", true),
            ("10.0.0.9", "10.1.2.3", true),
            ("10.0.0.1", "10.1.2.3", false),
            ("10.0.0.2", "10.0.0.9", false),
        ] {
            let frame = traffic::Ipv4::new(from, to, traffic::UDP).frame(&traffic::udp(1, 2, b""));
            assert_eq!(task.takes(&frame), is_taken, "{from} {to}");
        }
    }

    #[test]
    fn later_fragments_follow_the_first() {
        let mut task = Matcher::new(filter("10.0.0.0", 8, 9));
        let ip = traffic::Ipv4::new("10.0.0.2", "192.0.2.1", traffic::UDP);
        let later = ip.clone().fragment(7, 4, false).frame(&[0; 8]);
        assert!(!task.takes(&later));
        assert!(
            task.takes(
                &ip.fragment(7, 0, true)
                    .frame(&traffic::udp(9, 1, b"12345678"))
            )
        );
        assert!(task.takes(&later));
    }

    #[test]
    fn nine_extension_headers_are_too_many() {
        let mut body = traffic::udp(1, 9, b"");
        for count in 1..=9 {
            let next = if count == 1 {
                traffic::UDP
            } else {
                traffic::DESTINATION_OPTIONS
            };
            body = traffic::extension(next, 1, &body);
            let frame = traffic::ipv6_frame("fd00::1", "fd00::2", 60, &body);
            assert_eq!(read(&frame).ports.is_some(), count <= 8, "{count} headers");
            assert_eq!(read(&frame).malformed, count > 8, "{count} headers");
        }
    }
}
