//! Random frames and filters that meet often: few addresses, ports and identifications, every kind
//! of header that the matcher looks through, and damage. What a filter should take of them is for
//! [`crate::reference`] to say.

use std::{net::IpAddr, ops::RangeInclusive};

use serde_json::{Value, json};

use crate::{
    random::Random,
    reference::{Endpoint, Filter, Protocol},
    traffic::{
        self, AUTHENTICATION, DESTINATION_OPTIONS, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6,
        ETHERTYPE_LLDP, ETHERTYPE_QINQ, ETHERTYPE_VLAN, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6,
        ROUTING, SCTP, TCP, UDP,
    },
};

const V4: [&str; 4] = ["10.1.0.1", "10.1.0.2", "10.1.1.3", "10.2.0.4"];
const V6: [&str; 4] = [
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:0:1::3",
    "2001:db9::4",
];
const PORTS: [u16; 4] = [0, 80, 443, 65535];

/// Bytes before the EtherType.
const MAC_ADDRESSES: usize = 12;

/// An Ethernet frame with this number in its payload, of at least 14 bytes; one in four is damaged.
pub fn frame(random: &mut Random, number: u32) -> Vec<u8> {
    let mut frame = whole_frame(random, number);
    if random.one_in(4) {
        damage(random, &mut frame, MAC_ADDRESSES);
    }
    frame
}

/// The same without damage.
pub fn whole_frame(random: &mut Random, number: u32) -> Vec<u8> {
    let (ethertype, packet) = match random.below(10) {
        0..4 => (ETHERTYPE_IPV4, ipv4(random, number)),
        4..8 => (ETHERTYPE_IPV6, ipv6(random, number)),
        8 => (ETHERTYPE_ARP, arp(random)),
        _ => (
            *random.pick(&[ETHERTYPE_LLDP, 0x0026, 0x8847]),
            traffic::numbered(number, 60),
        ),
    };
    let tags: Vec<_> = (0..random.below(10).saturating_sub(4))
        .map(|_| {
            (
                *random.pick(&[ETHERTYPE_VLAN, ETHERTYPE_QINQ]),
                random.bits() as u16,
            )
        })
        .collect();
    traffic::tagged(&tags, ethertype, &packet)
}

/// Whether the expression language of pcap says the same of a whole frame as the contract: it looks neither into VLAN
/// tags, nor behind IPv6 extension headers, nor for ports of later fragments.
pub fn is_common_ground(frame: &[u8]) -> bool {
    match [frame[12], frame[13]] {
        [0x81, 0x00] | [0x88, 0xa8] => false,
        [0x08, 0x00] => u16::from_be_bytes([frame[20], frame[21]]) & 0x1fff == 0,
        [0x86, 0xdd] => {
            let extensions = [
                HOP_BY_HOP,
                ROUTING,
                FRAGMENT,
                AUTHENTICATION,
                DESTINATION_OPTIONS,
            ];
            !extensions.contains(&frame[20])
        }
        _ => true,
    }
}

/// A packet of an interface without link layer, of at least 14 bytes; one in four is damaged.
pub fn raw_ip(random: &mut Random, number: u32) -> Vec<u8> {
    let mut packet = match random.below(9) {
        0..4 => ipv4(random, number),
        4..8 => ipv6(random, number),
        _ => noise(random, 14),
    };
    if random.one_in(4) {
        damage(random, &mut packet, 0);
    }
    packet
}

/// At least so many bytes that mean nothing, but for an EtherType that often means something.
pub fn noise(random: &mut Random, least: usize) -> Vec<u8> {
    let len = least + random.below(120);
    let mut bytes: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
    if let Some(place) = bytes.get_mut(MAC_ADDRESSES..MAC_ADDRESSES + 2)
        && !random.one_in(4)
    {
        let ethertypes = [
            ETHERTYPE_IPV4,
            ETHERTYPE_IPV6,
            ETHERTYPE_ARP,
            ETHERTYPE_VLAN,
            ETHERTYPE_QINQ,
        ];
        place.copy_from_slice(&random.pick(&ethertypes).to_be_bytes());
    }
    bytes
}

/// An IPv6 packet whose ports lie `distance` bytes in or some 2,000 more, behind long extension
/// headers.
pub fn far_ports(random: &mut Random, number: u32, distance: usize) -> Vec<u8> {
    let mut next = *random.pick(&[TCP, UDP, SCTP]);
    let mut body = transport(random, next, number);
    let end = body.len() + distance;
    while body.len() < end {
        body = traffic::extension(next, 256, &body);
        next = *random.pick(&[HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS]);
    }
    traffic::ipv6(address6(random), address6(random), next, &body)
}

fn address4(random: &mut Random) -> &'static str {
    V4[random.below(V4.len())]
}

fn address6(random: &mut Random) -> &'static str {
    V6[random.below(V6.len())]
}

fn arp(random: &mut Random) -> Vec<u8> {
    traffic::arp(address4(random), address4(random))[MAC_ADDRESSES + 2..].to_vec()
}

/// A message that quotes the beginning of another packet, as an error does, mostly of a kind that is
/// one.
fn quoting(random: &mut Random, protocol: u8, number: u32) -> Vec<u8> {
    let kinds: &[u8] = if protocol == ICMP {
        &[3, 3, 4, 5, 11, 12, 0, 1, 8]
    } else {
        &[1, 1, 2, 3, 4, 127, 128, 137]
    };
    let kind = *random.pick(kinds);
    let mut quoted = if (protocol == ICMP) != random.one_in(16) {
        ipv4(random, number)
    } else {
        ipv6(random, number)
    };
    if random.one_in(3) {
        quoted.truncate(random.below(quoted.len() + 1));
    }
    traffic::echo(kind, &quoted)
}

fn transport(random: &mut Random, protocol: u8, number: u32) -> Vec<u8> {
    if matches!(protocol, ICMP | ICMPV6) && random.one_in(2) {
        return quoting(random, protocol, number);
    }
    let (source, destination) = (*random.pick(&PORTS), *random.pick(&PORTS));
    let payload = traffic::numbered(number, 8 + random.below(200));
    match protocol {
        TCP => traffic::tcp(source, destination, &payload),
        UDP => traffic::udp(source, destination, &payload),
        SCTP => traffic::sctp(source, destination, &payload),
        ICMP => traffic::echo(8, &payload),
        ICMPV6 => traffic::echo(128, &payload),
        _ => payload,
    }
}

/// A place in a datagram: unfragmented mostly, and few identifications, so that parts meet.
fn part(random: &mut Random) -> (u16, u16, bool) {
    let identification = random.below(3) as u16;
    let offset = if random.one_in(4) {
        1 << random.below(13)
    } else {
        1 + random.below(100) as u16
    };
    match random.below(6) {
        0 => (identification, 0, true),
        1 => (identification, offset, true),
        2 => (identification, offset, false),
        _ => (identification, 0, false),
    }
}

fn ipv4(random: &mut Random, number: u32) -> Vec<u8> {
    let protocol = *random.pick(&[TCP, TCP, UDP, UDP, SCTP, ICMP, ICMPV6, 47, AUTHENTICATION]);
    let (identification, offset, more) = part(random);
    let options = vec![1; 4 * (random.below(15).saturating_sub(4))];
    let body = transport(random, protocol, number);
    traffic::Ipv4::new(address4(random), address4(random), protocol)
        .fragment(identification, offset, more)
        .options(&options)
        .packet(&body)
}

fn ipv6(random: &mut Random, number: u32) -> Vec<u8> {
    let mut next = *random.pick(&[TCP, TCP, UDP, UDP, SCTP, ICMPV6, ICMP, 50, 59, 135]);
    let mut body = transport(random, next, number);
    let count = if random.one_in(2) {
        random.below(10)
    } else {
        random.below(2)
    };
    for _ in 0..count {
        let header = *random.pick(&[
            HOP_BY_HOP,
            ROUTING,
            DESTINATION_OPTIONS,
            AUTHENTICATION,
            FRAGMENT,
        ]);
        body = match header {
            AUTHENTICATION => authentication(random, next, &body),
            FRAGMENT => {
                let (identification, offset, more) = part(random);
                traffic::fragment(next, u32::from(identification), offset, more, &body)
            }
            _ => traffic::extension(next, 1 + random.below(3), &body),
        };
        next = header;
    }
    traffic::ipv6(address6(random), address6(random), next, &body)
}

/// An authentication header (RFC 4302) of any length that IPv6 might see and some that it should
/// not: its unit is four bytes, all other headers' is eight.
fn authentication(random: &mut Random, next: u8, body: &[u8]) -> Vec<u8> {
    let words = 3 + random.below(8);
    let mut header = vec![0; 4 * words];
    header[0] = next;
    header[1] = (words - 2) as u8;
    header.extend_from_slice(body);
    header
}

/// Cuts the frame, to no less than 14 bytes, or changes a byte or a bit of its headers, of which
/// the first bytes are spared.
fn damage(random: &mut Random, frame: &mut Vec<u8>, spared: usize) {
    let at = spared + random.below(frame.len().min(100) - spared);
    match random.below(3) {
        0 => frame.truncate(14 + random.below(frame.len() - 13)),
        1 => frame[at] = random.bits() as u8,
        _ => frame[at] ^= 1 << random.below(8),
    }
}

/// A filter that is valid, with as many of the frames' addresses and ports as chance will have it.
pub fn filter(random: &mut Random) -> Filter {
    let protocol = *random.pick(&[
        Protocol::All,
        Protocol::All,
        Protocol::All,
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Icmp,
    ]);
    let v6 = random.one_in(2);
    let mut filter = Filter {
        protocol,
        ..Filter::default()
    };
    filter.icmp_errors = random.one_in(3);
    let with_ports = protocol != Protocol::Icmp;
    let endpoint = |random: &mut Random, address: bool| Endpoint {
        addresses: address.then(|| networks(random, v6)),
        ports: (with_ports && random.one_in(2)).then(|| ports(random)),
    };
    let with_address = !random.one_in(4);
    filter.local = endpoint(random, with_address);
    if with_address && random.one_in(2) {
        filter.peer = endpoint(random, true);
    }
    filter
}

/// The same without what the language of tcpdump has no words for: what an ICMP error quotes.
pub fn plain_filter(random: &mut Random) -> Filter {
    Filter {
        icmp_errors: false,
        ..filter(random)
    }
}

fn ports(random: &mut Random) -> Vec<RangeInclusive<u16>> {
    (0..1 + random.below(2))
        .map(|_| {
            let (one, other) = (*random.pick(&PORTS), *random.pick(&PORTS));
            if random.one_in(2) {
                one..=one
            } else {
                one.min(other)..=one.max(other)
            }
        })
        .collect()
}

/// One of a family, and often others, which may be of the other one and within each other.
fn networks(random: &mut Random, v6: bool) -> Vec<(IpAddr, u8)> {
    let mut networks = vec![network(random, v6)];
    if random.one_in(2) {
        let more = 1 + random.below(4);
        for _ in 0..more {
            let other = random.one_in(3) != v6;
            networks.push(network(random, other));
        }
    }
    networks
}

fn network(random: &mut Random, v6: bool) -> (IpAddr, u8) {
    let (pool, lengths) = if v6 {
        (V6, [128, 64, 31, 0])
    } else {
        (V4, [32, 24, 15, 0])
    };
    let address = random.pick(&pool).parse().expect("an address");
    let len = match random.below(8) {
        0..3 => lengths[0],
        3..7 => *random.pick(&lengths),
        _ => random.below(usize::from(lengths[0]) + 1) as u8,
    };
    (address, len)
}

/// The filter as options of `run`.
pub fn options(filter: &Filter) -> Vec<String> {
    let Filter {
        protocol,
        local,
        peer,
        icmp_errors,
    } = filter;
    let mut options = vec!["--protocol".to_owned(), word(*protocol).to_owned()];
    for (endpoint, ip, port) in [
        (local, "--ip", "--port"),
        (peer, "--peer-ip", "--peer-port"),
    ] {
        let Endpoint { addresses, ports } = endpoint;
        if let Some(addresses) = addresses {
            options.extend([ip.to_owned(), address_words(addresses).join(",")]);
        }
        if let Some(ports) = ports {
            options.extend([port.to_owned(), port_words(ports).join(",")]);
        }
    }
    if *icmp_errors {
        options.push("--icmp-errors".to_owned());
    }
    options
}

/// The filter as a request for a task on the interface `lo`, in the API's JSON.
pub fn request(filter: &Filter) -> Value {
    let Filter {
        protocol,
        local,
        peer,
        icmp_errors,
    } = filter;
    let mut request = json!({"interfaces": ["lo"], "protocol": word(*protocol)});
    for (endpoint, ip, port) in [(local, "ip", "ports"), (peer, "peer_ip", "peer_ports")] {
        let Endpoint { addresses, ports } = endpoint;
        if let Some(addresses) = addresses {
            request[ip] = address_words(addresses).into();
        }
        if let Some(ports) = ports {
            request[port] = port_words(ports).into();
        }
    }
    if *icmp_errors {
        request["icmp_errors"] = true.into();
    }
    request
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::All => "all",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
    }
}

fn address_words(addresses: &[(IpAddr, u8)]) -> Vec<String> {
    let words = addresses.iter();
    words
        .map(|(address, len)| format!("{address}/{len}"))
        .collect()
}

fn port_words(ports: &[RangeInclusive<u16>]) -> Vec<String> {
    ports
        .iter()
        .map(|range| format!("{}-{}", range.start(), range.end()))
        .collect()
}
