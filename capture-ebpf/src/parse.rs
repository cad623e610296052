//! One pass over the headers of a frame: link layer and tags, IPv4 or IPv6 with its extension
//! headers, ARP, and the ports. Bounded, without panics, and without a copy of the packet. What
//! comes before is a hook, what comes after is [`crate::classify()`].

use capture_common::{LinkLayer, MAX_EXTENSION_HEADERS, MAX_VLAN_TAGS, ProtocolClass};
use network_types::ip::IpProto;

/// A frame to parse, as the hook has it.
pub trait Frame {
    /// The `N` bytes at `offset` from the start of the frame, `None` where it ends before.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// Gives back `offset`. In the kernel it hides from the verifier how the offset came about, so
    /// that the ways through the parser that meet again are followed once and not each to its end.
    #[inline(always)]
    fn meet(&self, offset: usize) -> usize {
        offset
    }
}

/// What the criteria look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Which addresses there are.
    pub network: Network,
    /// Protocol as tasks tell it apart.
    pub class: ProtocolClass,
    /// Source address (ARP: sender protocol address), network byte order; IPv4 in the first four
    /// bytes, the rest 0.
    pub source: [u8; 16],
    /// Destination address (ARP: target protocol address), likewise.
    pub destination: [u8; 16],
    /// Source and destination port in host byte order, of TCP, UDP and SCTP.
    pub ports: Option<(u16, u16)>,
    /// Part of a fragmented datagram.
    pub fragment: Fragment,
    /// Identification of that datagram, as its bytes on the wire.
    pub identification: u32,
    /// IPv4: the protocol of that datagram. IPv6: 0.
    pub fragment_protocol: u8,
    /// The frame was too short, or had too many headers, to decide on everything.
    pub malformed: bool,
}

/// Network layer, as far as addresses go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// No addresses.
    None,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// ARP for IPv4 over Ethernet; has addresses but no protocol and no ports.
    Arp,
}

/// Part of a fragmented datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    No,
    /// The first one, which has the ports.
    First,
    /// A later one.
    Later,
}

/// EtherType values (IEEE 802 numbers), host byte order.
mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const SERVICE_VLAN: u16 = 0x88a8;
}

const ETHERNET_HEADER_LEN: usize = 14;
const ETHER_TYPE_OFFSET: usize = 12;
const VLAN_TAG_LEN: usize = 4;
const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const ARP_LEN: usize = 28;
const FRAGMENT_HEADER_LEN: usize = 8;

const TCP: u8 = IpProto::Tcp as u8;
const UDP: u8 = IpProto::Udp as u8;
const SCTP: u8 = IpProto::Sctp as u8;
const ICMP: u8 = IpProto::Icmp as u8;
const ICMPV6: u8 = IpProto::Ipv6Icmp as u8;
const HOP_BY_HOP: u8 = IpProto::HopOpt as u8;
const ROUTING: u8 = IpProto::Ipv6Route as u8;
const FRAGMENT: u8 = IpProto::Ipv6Frag as u8;
const AUTHENTICATION: u8 = IpProto::Ah as u8;
const DESTINATION: u8 = IpProto::Ipv6Opts as u8;

impl Headers {
    /// Headers of a frame in which nothing was found.
    pub const EMPTY: Self = Self {
        network: Network::None,
        class: ProtocolClass::Other,
        source: [0; 16],
        destination: [0; 16],
        ports: None,
        fragment: Fragment::No,
        identification: 0,
        fragment_protocol: 0,
        malformed: false,
    };
}

/// Parses a frame that begins with `link` into `headers`, whatever was there before.
///
/// Never fails: where the frame is too short for a header, what stands before it is still there and
/// `malformed` is set.
#[inline(always)]
pub fn parse<F: Frame>(frame: &F, link: LinkLayer, headers: &mut Headers) {
    *headers = Headers::EMPTY;
    let whole = match link {
        LinkLayer::Ethernet => ethernet(frame, headers),
        LinkLayer::None => raw_ip(frame, headers),
    };
    headers.malformed = whole.is_none();
}

/// `None` here and below: something could not be decided.
#[inline(always)]
fn ethernet<F: Frame>(frame: &F, headers: &mut Headers) -> Option<()> {
    let mut ether_type = u16::from_be_bytes(frame.load(ETHER_TYPE_OFFSET)?);
    let mut offset = ETHERNET_HEADER_LEN;
    for _ in 0..MAX_VLAN_TAGS {
        if !is_vlan(ether_type) {
            break;
        }
        let tag: [u8; VLAN_TAG_LEN] = frame.load(offset)?;
        ether_type = u16::from_be_bytes([tag[2], tag[3]]);
        offset = frame.meet(offset + VLAN_TAG_LEN);
    }
    match ether_type {
        ether_type::IPV4 => ipv4(frame, offset, headers),
        ether_type::IPV6 => ipv6(frame, offset, headers),
        ether_type::ARP => arp(frame, offset, headers),
        deeper if is_vlan(deeper) => None,
        _ => Some(()),
    }
}

#[inline(always)]
fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, ether_type::VLAN | ether_type::SERVICE_VLAN)
}

#[inline(always)]
fn raw_ip<F: Frame>(frame: &F, headers: &mut Headers) -> Option<()> {
    let [first] = frame.load(0)?;
    match first >> 4 {
        4 => ipv4(frame, 0, headers),
        6 => ipv6(frame, 0, headers),
        _ => None,
    }
}

/// RFC 826, Ethernet and IPv4 only.
#[inline(always)]
fn arp<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    let arp: [u8; ARP_LEN] = frame.load(offset)?;
    // Hardware type 1, protocol type 0x0800, lengths 6 and 4.
    if arp[..6] != [0, 1, 8, 0, 6, 4] {
        return Some(());
    }
    headers.network = Network::Arp;
    headers.source[..4].copy_from_slice(&arp[14..18]);
    headers.destination[..4].copy_from_slice(&arp[24..28]);
    Some(())
}

/// RFC 791.
#[inline(always)]
fn ipv4<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    let ip: [u8; IPV4_HEADER_LEN] = frame.load(offset)?;
    let header_len = usize::from(ip[0] & 0x0f) * 4;
    if ip[0] >> 4 != 4 || header_len < IPV4_HEADER_LEN {
        return None;
    }
    headers.network = Network::V4;
    headers.source[..4].copy_from_slice(&ip[12..16]);
    headers.destination[..4].copy_from_slice(&ip[16..20]);
    let protocol = ip[9];
    headers.class = match protocol {
        ICMP => ProtocolClass::Icmp,
        other => transport_class(other),
    };
    let fragment = u16::from_be_bytes([ip[6], ip[7]]);
    if fragment & 0x3fff != 0 {
        headers.identification = u32::from(u16::from_ne_bytes([ip[4], ip[5]]));
        headers.fragment_protocol = protocol;
        headers.fragment = Fragment::First;
        if fragment & 0x1fff != 0 {
            headers.fragment = Fragment::Later;
            return Some(());
        }
    }
    ports(frame, frame.meet(offset + header_len), protocol, headers)
}

/// RFC 8200; the chain of extension headers up to a bound.
#[inline(always)]
fn ipv6<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    let ip: [u8; IPV6_HEADER_LEN] = frame.load(offset)?;
    if ip[0] >> 4 != 6 {
        return None;
    }
    headers.network = Network::V6;
    headers.source.copy_from_slice(&ip[8..24]);
    headers.destination.copy_from_slice(&ip[24..40]);
    let mut next = ip[6];
    let mut offset = offset + IPV6_HEADER_LEN;
    for _ in 0..MAX_EXTENSION_HEADERS {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION => {
                let [following, len] = frame.load(offset)?;
                next = following;
                offset = frame.meet(offset + (usize::from(len) + 1) * 8);
            }
            // RFC 4302: in units of four bytes, less two.
            AUTHENTICATION => {
                let [following, len] = frame.load(offset)?;
                next = following;
                offset = frame.meet(offset + (usize::from(len) + 2) * 4);
            }
            FRAGMENT => {
                let header: [u8; FRAGMENT_HEADER_LEN] = frame.load(offset)?;
                let position = u16::from_be_bytes([header[2], header[3]]);
                next = header[0];
                offset = frame.meet(offset + FRAGMENT_HEADER_LEN);
                // Offset 0 and nothing to follow is an atomic fragment (RFC 6946): not one.
                if position & !0x6 != 0 {
                    headers.identification =
                        u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
                    headers.fragment = Fragment::First;
                    if position >> 3 != 0 {
                        headers.fragment = Fragment::Later;
                        headers.class = ipv6_class(next);
                        return Some(());
                    }
                }
            }
            _ => break,
        }
    }
    if is_extension(next) {
        return None;
    }
    headers.class = ipv6_class(next);
    ports(frame, offset, next, headers)
}

#[inline(always)]
fn is_extension(next: u8) -> bool {
    matches!(
        next,
        HOP_BY_HOP | ROUTING | DESTINATION | AUTHENTICATION | FRAGMENT
    )
}

#[inline(always)]
fn ipv6_class(protocol: u8) -> ProtocolClass {
    match protocol {
        ICMPV6 => ProtocolClass::Icmp,
        other => transport_class(other),
    }
}

#[inline(always)]
fn transport_class(protocol: u8) -> ProtocolClass {
    match protocol {
        TCP => ProtocolClass::Tcp,
        UDP => ProtocolClass::Udp,
        _ => ProtocolClass::Other,
    }
}

/// Source and destination port are the first four bytes in TCP, UDP and SCTP alike.
#[inline(always)]
fn ports<F: Frame>(frame: &F, offset: usize, protocol: u8, headers: &mut Headers) -> Option<()> {
    if matches!(protocol, TCP | UDP | SCTP) {
        let ports: [u8; 4] = frame.load(offset)?;
        headers.ports = Some((
            u16::from_be_bytes([ports[0], ports[1]]),
            u16::from_be_bytes([ports[2], ports[3]]),
        ));
    }
    Some(())
}
