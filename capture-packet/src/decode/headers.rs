//! What headers say, as values.

use crate::address::{Address, Mac};

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination.
    pub destination: Mac,
    /// Source.
    pub source: Mac,
}

/// An ARP message for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender hardware address.
    pub sender_mac: Mac,
    /// Sender protocol address.
    pub sender: Address,
    /// Target hardware address.
    pub target_mac: Mac,
    /// Target protocol address.
    pub target: Address,
}

/// How a packet is carried inside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// IPv4 or IPv6 directly within IP (RFC 2003, 4213, 2473).
    Ip,
    /// RFC 2784, 2890.
    Gre,
    /// RFC 7348, UDP port 4789, or 8472 as Linux had it before.
    Vxlan,
    /// RFC 8926, UDP port 6081.
    Geneve,
    /// GTP-U, UDP port 2152 (3GPP TS 29.281).
    Gtp,
}

/// An IPv4 or IPv6 header, with what extension headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// What it carries, the last next-header field of IPv6.
    pub protocol: u8,
    /// Time to live, hop limit.
    pub ttl: u8,
    /// Type of service, traffic class: DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// Identification: of every IPv4 packet, and of fragments of IPv6.
    pub identification: Option<u32>,
    /// The flag of IPv4; IPv6 is never fragmented on the way.
    pub dont_fragment: bool,
    /// Bytes of the headers up to what is carried.
    pub header_len: u16,
    /// Offset of the header in the frame.
    pub offset: u16,
    /// Length of the packet on the wire, header included. A jumbogram or a super-frame of an offload gives 0 in the
    /// header; this is then what the frame holds.
    pub total_len: u32,
    /// Where the packet is part of a fragmented one.
    pub fragment: Option<Fragment>,
}

/// A part of a fragmented packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where its payload lies in that of the whole, in bytes.
    pub offset: u32,
    /// Whether others follow.
    pub more: bool,
}

impl Ip {
    /// Whether it is IPv4.
    #[inline]
    pub fn is_v4(&self) -> bool {
        self.source.is_v4()
    }
}

/// What IP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Nothing that is decoded.
    None,
    /// TCP.
    Tcp(Tcp),
    /// UDP or UDP-Lite.
    Udp(Udp),
    /// ICMP or ICMPv6.
    Icmp(Icmp),
    /// SCTP.
    Sctp(Sctp),
}

/// A TCP header (RFC 9293).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; meaningless without the flag.
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// Bytes of the header with options.
    pub header_len: u8,
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Shift of the window (RFC 7323 section 2), 14 at most.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018).
    pub sack_permitted: bool,
    /// TSval and TSecr (RFC 7323 section 3).
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks.
    pub sack: SackBlocks,
}

/// The control bits of TCP, as in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// FIN.
    pub const FIN: u16 = 0x01;
    /// SYN.
    pub const SYN: u16 = 0x02;
    /// RST.
    pub const RST: u16 = 0x04;
    /// PSH.
    pub const PSH: u16 = 0x08;
    /// ACK.
    pub const ACK: u16 = 0x10;
    /// URG.
    pub const URG: u16 = 0x20;

    /// Whether all of `bits` are set.
    #[inline]
    pub fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    /// Whether any of `bits` is set.
    #[inline]
    pub fn any(self, bits: u16) -> bool {
        self.0 & bits != 0
    }
}

/// The SACK blocks of a segment, left edge to right edge, four at most (RFC 2018).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(u32, u32); 4],
    len: u8,
}

impl SackBlocks {
    /// The blocks in the order of the option: a duplicate (RFC 2883) is the first.
    #[inline]
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.len)]
    }

    /// Puts the blocks of an option in, as many as there is room for.
    pub(super) fn set(&mut self, edges: impl Iterator<Item = (u32, u32)>) {
        let places = self.blocks.iter_mut().zip(edges);
        self.len = places.map(|(place, edges)| *place = edges).count() as u8;
    }
}

/// A UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// An ICMP or ICMPv6 header; the payload begins behind its eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Whether it is ICMPv6.
    pub is_v6: bool,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Bytes 4 to 8: identifier and sequence number, the MTU, the pointer, as the type has it.
    pub rest: u32,
}

impl Icmp {
    /// Whether it is an error that quotes a packet (RFC 792, RFC 1122 section 3.2.2; RFC 4443 section 2.1).
    #[inline]
    pub fn is_error(&self) -> bool {
        match self.is_v6 {
            true => self.kind < 128,
            false => matches!(self.kind, 3 | 4 | 5 | 11 | 12),
        }
    }
}

/// An SCTP common header (RFC 9260).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Verification tag.
    pub tag: u32,
    /// Type of the first chunk.
    pub first_chunk: Option<u8>,
}

impl Transport {
    /// Source and destination port, where it has ports.
    #[inline]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self {
            Self::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Self::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            Self::Sctp(sctp) => Some((sctp.source_port, sctp.destination_port)),
            Self::Icmp(_) | Self::None => None,
        }
    }
}
