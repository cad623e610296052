//! One pass over the headers of a frame: link layer and tags, IPv4 or IPv6 with its extension
//! headers, ARP, and the ports. Bounded, without panics, and without a copy of the packet. What
//! comes before is a hook, what comes after is [`crate::classify()`].

use capture_common::{Address, LinkLayer, MAX_EXTENSION_HEADERS, MAX_VLAN_TAGS, ProtocolClass};

/// A frame to parse, as the hook has it.
pub trait Frame {
    /// `N` bytes of it.
    type HeaderBytes<const N: usize>: HeaderBytes;

    /// The `N` bytes at `offset` from the start of the frame, `None` where it ends before.
    fn window<const N: usize>(&self, offset: usize) -> Option<Self::HeaderBytes<N>>;

    /// Gives back `offset`. In the kernel it hides from the verifier how the offset came about, so
    /// that the ways through the parser that meet again are followed once and not each to its end.
    #[inline(always)]
    fn join_paths(&self, offset: usize) -> usize {
        offset
    }
}

/// Some bytes of a frame, read in words as they lie there: in network byte order, whatever the host's.
/// `AT` and the word's length must lie within the window.
pub trait HeaderBytes {
    /// The byte at `AT`.
    fn byte<const AT: usize>(&self) -> u8;
    /// The two bytes at `AT`.
    fn half<const AT: usize>(&self) -> u16;
    /// The four bytes at `AT`.
    fn word<const AT: usize>(&self) -> u32;
    /// The eight bytes at `AT`.
    fn double<const AT: usize>(&self) -> u64;

    /// The number in the two bytes at `AT`.
    #[inline(always)]
    fn number<const AT: usize>(&self) -> u16 {
        u16::from_be(self.half::<AT>())
    }
}

impl<const N: usize> HeaderBytes for [u8; N] {
    #[inline(always)]
    fn byte<const AT: usize>(&self) -> u8 {
        self[AT]
    }

    #[inline(always)]
    fn half<const AT: usize>(&self) -> u16 {
        u16::from_ne_bytes([self[AT], self[AT + 1]])
    }

    #[inline(always)]
    fn word<const AT: usize>(&self) -> u32 {
        u32::from_ne_bytes([self[AT], self[AT + 1], self[AT + 2], self[AT + 3]])
    }

    #[inline(always)]
    fn double<const AT: usize>(&self) -> u64 {
        u64::from_ne_bytes([
            self[AT],
            self[AT + 1],
            self[AT + 2],
            self[AT + 3],
            self[AT + 4],
            self[AT + 5],
            self[AT + 6],
            self[AT + 7],
        ])
    }
}

/// What the criteria look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Source address (ARP: sender protocol address), where `network` says that there is one.
    pub source: Address,
    /// Destination address (ARP: target protocol address), likewise.
    pub destination: Address,
    /// Which addresses there are.
    pub network: Network,
    /// Protocol as tasks tell it apart.
    pub class: ProtocolClass,
    /// The frame was too short, or had too many headers, to decide on everything.
    pub malformed: bool,
    /// Part of a fragmented datagram.
    pub fragment: Fragment,
    /// IPv4: the protocol of that datagram. IPv6: 0. Of a part only.
    pub fragment_protocol: u8,
    /// Identification of that datagram, as its bytes on the wire. Of a part only.
    pub identification: u32,
    /// Source and destination port in host byte order, of TCP, UDP and SCTP.
    pub ports: Option<(u16, u16)>,
    /// Where the ICMP or ICMPv6 header begins, in bytes from the start of the frame; 0 where there is
    /// none.
    pub icmp: u16,
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
const ICMP_HEADER_LEN: usize = 8;

// Protocol numbers (IANA), of IPv4 and in the next-header field of IPv6 alike.
const HOP_BY_HOP: u8 = 0;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION: u8 = 60;
const SCTP: u8 = 132;

impl Headers {
    /// Headers of a frame in which nothing was found.
    pub const EMPTY: Self = Self {
        source: [0; 2],
        destination: [0; 2],
        network: Network::None,
        class: ProtocolClass::Other,
        malformed: false,
        fragment: Fragment::No,
        fragment_protocol: 0,
        identification: 0,
        ports: None,
        icmp: 0,
    };

    /// Forgets what says of something that it is there. What it would tell of, as the addresses, may stay.
    #[inline(always)]
    fn reset(&mut self) {
        self.network = Network::None;
        self.class = ProtocolClass::Other;
        self.malformed = false;
        self.fragment = Fragment::No;
        self.ports = None;
        self.icmp = 0;
    }
}

/// Parses a frame that begins with `link` into `headers`, whatever was there before.
///
/// Never fails: where the frame is too short for a header, what stands before it is still there and
/// `malformed` is set.
#[inline(always)]
pub fn parse<F: Frame>(frame: &F, link: LinkLayer, headers: &mut Headers) {
    headers.reset();
    let whole = match link {
        LinkLayer::Ethernet => ethernet(frame, headers),
        LinkLayer::None => ip(frame, 0, headers),
    };
    headers.malformed = whole.is_none();
}

/// Parses the packet that the ICMP or ICMPv6 error at `icmp` quotes into `headers`; false where the
/// message is no error or quotes nothing that can be read. A quote may end anywhere.
///
/// Errors are, of ICMP, destination unreachable, source quench, redirect, time exceeded and parameter
/// problem (RFC 792, RFC 1122 section 3.2.2); of ICMPv6 all types below 128 (RFC 4443 section 2.1).
/// In all of them the quote follows eight bytes.
#[inline(always)]
pub fn parse_quoted<F: Frame>(
    frame: &F,
    icmp: usize,
    network: Network,
    headers: &mut Headers,
) -> bool {
    headers.reset();
    let Some(message) = frame.window::<ICMP_HEADER_LEN>(icmp) else {
        return false;
    };
    let kind = message.byte::<0>();
    let is_error = match network {
        Network::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Network::V6 => kind < 128,
        Network::None | Network::Arp => false,
    };
    // An address that was read is enough for some criteria, and the others then do not match.
    is_error && {
        let _ = ip(frame, frame.join_paths(icmp + ICMP_HEADER_LEN), headers);
        matches!(headers.network, Network::V4 | Network::V6)
    }
}

/// `None` here and below: something could not be decided.
#[inline(always)]
fn ethernet<F: Frame>(frame: &F, headers: &mut Headers) -> Option<()> {
    let mut ether_type = frame.window::<2>(ETHER_TYPE_OFFSET)?.number::<0>();
    let mut offset = ETHERNET_HEADER_LEN;
    for _ in 0..MAX_VLAN_TAGS {
        if !is_vlan(ether_type) {
            break;
        }
        ether_type = frame.window::<VLAN_TAG_LEN>(offset)?.number::<2>();
        offset = frame.join_paths(offset + VLAN_TAG_LEN);
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

/// IP of either version.
#[inline(always)]
fn ip<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    match frame.window::<1>(offset)?.byte::<0>() >> 4 {
        4 => ipv4(frame, offset, headers),
        6 => ipv6(frame, offset, headers),
        _ => None,
    }
}

/// RFC 826, Ethernet and IPv4 only.
#[inline(always)]
fn arp<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    let arp = frame.window::<ARP_LEN>(offset)?;
    // Hardware type 1, protocol type 0x0800, lengths 6 and 4.
    if arp.word::<0>() != u32::from_ne_bytes([0, 1, 8, 0])
        || arp.half::<4>() != u16::from_ne_bytes([6, 4])
    {
        return Some(());
    }
    headers.network = Network::Arp;
    headers.source = short_address(arp.word::<14>());
    headers.destination = short_address(arp.word::<24>());
    Some(())
}

/// An IPv4 address, of its four bytes as they lie in a frame.
#[inline(always)]
fn short_address(word: u32) -> Address {
    const {
        assert!(
            cfg!(target_endian = "little"),
            "the lower half is the first"
        )
    };
    [u64::from(word), 0]
}

/// RFC 791.
#[inline(always)]
fn ipv4<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    let ip = frame.window::<IPV4_HEADER_LEN>(offset)?;
    let first = ip.byte::<0>();
    let header_len = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_len < IPV4_HEADER_LEN {
        return None;
    }
    headers.network = Network::V4;
    headers.source = short_address(ip.word::<12>());
    headers.destination = short_address(ip.word::<16>());
    let protocol = ip.byte::<9>();
    headers.class = match protocol {
        ICMP => ProtocolClass::Icmp,
        other => transport_class(other),
    };
    let fragment = ip.number::<6>();
    if fragment & 0x3fff != 0 {
        headers.identification = u32::from(ip.half::<4>());
        headers.fragment_protocol = protocol;
        headers.fragment = Fragment::First;
        if fragment & 0x1fff != 0 {
            headers.fragment = Fragment::Later;
            return Some(());
        }
    }
    transport(
        frame,
        frame.join_paths(offset + header_len),
        protocol,
        headers,
    )
}

/// RFC 8200; the chain of extension headers up to a bound.
#[inline(always)]
fn ipv6<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Option<()> {
    let ip = frame.window::<IPV6_HEADER_LEN>(offset)?;
    if ip.byte::<0>() >> 4 != 6 {
        return None;
    }
    headers.network = Network::V6;
    headers.source = [ip.double::<8>(), ip.double::<16>()];
    headers.destination = [ip.double::<24>(), ip.double::<32>()];
    let mut next = ip.byte::<6>();
    let mut offset = offset + IPV6_HEADER_LEN;
    for _ in 0..MAX_EXTENSION_HEADERS {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION => {
                let header = frame.window::<2>(offset)?;
                next = header.byte::<0>();
                offset = frame.join_paths(offset + (usize::from(header.byte::<1>()) + 1) * 8);
            }
            // RFC 4302: in units of four bytes, less two.
            AUTHENTICATION => {
                let header = frame.window::<2>(offset)?;
                next = header.byte::<0>();
                offset = frame.join_paths(offset + (usize::from(header.byte::<1>()) + 2) * 4);
            }
            FRAGMENT => {
                let header = frame.window::<FRAGMENT_HEADER_LEN>(offset)?;
                let position = header.number::<2>();
                next = header.byte::<0>();
                offset = frame.join_paths(offset + FRAGMENT_HEADER_LEN);
                // Offset 0 and nothing to follow is an atomic fragment (RFC 6946): not one.
                if position & !0x6 != 0 {
                    headers.identification = header.word::<4>();
                    headers.fragment_protocol = 0;
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
    transport(frame, offset, next, headers)
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

/// Source and destination port are the first four bytes in TCP, UDP and SCTP alike. Of ICMP only the
/// place is noted.
#[inline(always)]
fn transport<F: Frame>(
    frame: &F,
    offset: usize,
    protocol: u8,
    headers: &mut Headers,
) -> Option<()> {
    if matches!(protocol, TCP | UDP | SCTP) {
        let ports = frame.window::<4>(offset)?;
        headers.ports = Some((ports.number::<0>(), ports.number::<2>()));
    } else if matches!(headers.class, ProtocolClass::Icmp) {
        headers.icmp = offset as u16;
    }
    Some(())
}
