//! TCP with its options, UDP, ICMP, SCTP, and the tunnels within UDP.

use super::{
    Cursor, Decoded, Ip, Problem, Tunnel, be16, be32,
    ip::{any, protocol, tunnel},
    link::{self, short},
};

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
}

/// A UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// An ICMP or ICMPv6 header; [`Decoded::payload`](super::Decoded::payload) begins behind its eight bytes.
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

/// What the protocol number says.
#[inline]
pub(super) fn decode<'a>(ip: &Ip, cursor: Cursor<'a>, into: &mut Decoded<'a>) {
    match ip.protocol {
        protocol::TCP => tcp(ip, cursor, into),
        protocol::UDP | protocol::UDP_LITE => udp(ip, cursor, into),
        protocol::ICMP if ip.is_v4() => icmp(false, cursor, into),
        protocol::ICMPV6 if !ip.is_v4() => icmp(true, cursor, into),
        protocol::SCTP => sctp(cursor, into),
        _ => {}
    }
}

/// The first eight bytes of a TCP header, where a quote ends before the header does.
pub(super) fn quoted(quote: &Decoded<'_>) -> Option<Transport> {
    let ip = quote.ip?;
    let is_first = ip.fragment.is_none_or(|fragment| fragment.offset == 0);
    if ip.protocol != protocol::TCP || quote.transport != Transport::None || !is_first {
        return None;
    }
    let header = quote.payload.first_chunk::<8>()?;
    Some(Transport::Tcp(Tcp {
        source_port: be16(header, 0),
        destination_port: be16(header, 2),
        sequence: be32(header, 4),
        acknowledgement: 0,
        flags: TcpFlags::default(),
        window: 0,
        header_len: 0,
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::default(),
    }))
}

/// Takes `header_len` bytes off the payload.
#[inline]
fn payload<'a>(mut cursor: Cursor<'a>, header_len: usize, into: &mut Decoded<'a>) {
    cursor.skip(header_len);
    into.payload = cursor.rest();
    into.payload_len = into.payload_len.saturating_sub(header_len as u32);
}

#[inline]
fn tcp<'a>(ip: &Ip, cursor: Cursor<'a>, into: &mut Decoded<'a>) {
    let Some(header) = cursor.peek::<20>() else {
        return short(into);
    };
    let header_len = usize::from(header[12] >> 4) * 4;
    let segment_len = into.payload_len as usize;
    // The first of several fragments may end before its own header does.
    if header_len < 20 || (header_len > segment_len && ip.fragment.is_none()) {
        return into.problems.add(Problem::TcpHeaderLength);
    }
    let mut tcp = Tcp {
        source_port: be16(header, 0),
        destination_port: be16(header, 2),
        sequence: be32(header, 4),
        acknowledgement: be32(header, 8),
        flags: TcpFlags(be16(header, 12) & 0x01ff),
        window: be16(header, 14),
        header_len: header_len as u8,
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::default(),
    };
    let captured = cursor.rest();
    let options = &captured[20..header_len.min(captured.len())];
    if !options.is_empty() && !tcp_options(options, &mut tcp) && !into.is_cut() {
        into.problems.add(Problem::TcpOption);
    }
    payload(cursor, header_len, into);
    into.transport = Transport::Tcp(tcp);
}

/// Reads the options; false where one has a length that cannot be.
#[inline]
fn tcp_options(mut options: &[u8], tcp: &mut Tcp) -> bool {
    // What nearly every segment of an established connection has.
    if let [1, 1, 8, 10, t0, t1, t2, t3, e0, e1, e2, e3] = *options {
        tcp.timestamps = Some((
            u32::from_be_bytes([t0, t1, t2, t3]),
            u32::from_be_bytes([e0, e1, e2, e3]),
        ));
        return true;
    }
    while let [kind, rest @ ..] = options {
        match kind {
            0 => return true,
            1 => {
                options = rest;
                continue;
            }
            _ => {}
        }
        let Some(len) = rest.first().map(|len| usize::from(*len)) else {
            return false;
        };
        let Some(value) = options.get(2..len) else {
            return false;
        };
        match (kind, value) {
            (2, [a, b]) => tcp.mss = Some(u16::from_be_bytes([*a, *b])),
            (3, [shift]) => tcp.window_scale = Some((*shift).min(14)),
            (4, []) => tcp.sack_permitted = true,
            (5, blocks) => sack(blocks, &mut tcp.sack),
            (8, value) if value.len() == 8 => {
                tcp.timestamps = Some((be32(value, 0), be32(value, 4)));
            }
            _ => {}
        }
        options = &options[len..];
    }
    true
}

fn sack(value: &[u8], into: &mut SackBlocks) {
    let (blocks, _) = value.as_chunks::<8>();
    let pairs = into.blocks.iter_mut().zip(blocks);
    let pairs = pairs.map(|(place, block)| *place = (be32(block, 0), be32(block, 4)));
    into.len = pairs.count() as u8;
}

#[inline]
fn udp<'a>(ip: &Ip, cursor: Cursor<'a>, into: &mut Decoded<'a>) {
    let Some(header) = cursor.peek::<8>() else {
        return short(into);
    };
    let udp = Udp {
        source_port: be16(header, 0),
        destination_port: be16(header, 2),
    };
    let claimed = u32::from(be16(header, 4));
    let carried = into.payload_len;
    let mut cursor = cursor;
    // 0 is a jumbogram (RFC 2675), or the coverage of UDP-Lite. A fragment holds less than the datagram.
    if ip.protocol == protocol::UDP && claimed != 0 && ip.fragment.is_none() {
        if claimed < 8 || claimed > carried {
            into.problems.add(Problem::UdpLength);
        } else {
            into.payload_len = claimed;
            cursor.truncate(claimed as usize);
        }
    }
    payload(cursor, 8, into);
    into.transport = Transport::Udp(udp);
    if matches!(udp.destination_port, 4789 | 8472 | 6081 | 2152) && ip.fragment.is_none() {
        cursor.skip(8);
        udp_tunnel(udp.destination_port, cursor, into);
    }
}

/// VXLAN, Geneve and GTP-U, where the first bytes are theirs too: the port alone says little.
fn udp_tunnel<'a>(port: u16, mut cursor: Cursor<'a>, into: &mut Decoded<'a>) {
    let Some(header) = cursor.peek::<8>() else {
        return;
    };
    match port {
        // The flag of a valid identifier, and nothing in the reserved bits.
        4789 | 8472 if header[0] == 0x08 && header[1..4] == [0; 3] => {
            cursor.skip(8);
            tunnel(Tunnel::Vxlan, into, |into| link::ethernet(cursor, into));
        }
        6081 if header[0] >> 6 == 0 => {
            cursor.skip(8 + usize::from(header[0] & 0x3f) * 4);
            let kind = be16(header, 2);
            tunnel(Tunnel::Geneve, into, |into| {
                if kind == link::ether_type::TRANSPARENT_BRIDGING {
                    link::ethernet(cursor, into);
                } else {
                    link::by_ether_type(kind, cursor, into);
                }
            });
        }
        // Version 1, GTP and not GTP', a G-PDU. Any optional field brings all three (TS 29.281 section 5.1).
        2152 if header[0] & 0xf0 == 0x30 && header[1] == 0xff => {
            let has_extensions = header[0] & 0x04 != 0;
            cursor.skip(8);
            if header[0] & 0x07 != 0 {
                let next = cursor.rest().get(3).copied().unwrap_or(0);
                cursor.skip(4);
                if has_extensions {
                    gtp_extensions(next, &mut cursor);
                }
            }
            tunnel(Tunnel::Gtp, into, |into| any(cursor, into));
        }
        _ => {}
    }
}

/// Extension headers of GTP-U, in units of four bytes, the type of the next at the end of each.
fn gtp_extensions(mut next: u8, cursor: &mut Cursor<'_>) {
    while next != 0 {
        let len = cursor
            .rest()
            .first()
            .map_or(0, |units| usize::from(*units) * 4);
        if len == 0 {
            return;
        }
        next = cursor.rest().get(len - 1).copied().unwrap_or(0);
        cursor.skip(len);
    }
}

#[inline]
fn icmp<'a>(is_v6: bool, cursor: Cursor<'a>, into: &mut Decoded<'a>) {
    let Some(header) = cursor.peek::<8>() else {
        return short(into);
    };
    into.transport = Transport::Icmp(Icmp {
        is_v6,
        kind: header[0],
        code: header[1],
        rest: be32(header, 4),
    });
    payload(cursor, 8, into);
}

#[inline]
fn sctp<'a>(cursor: Cursor<'a>, into: &mut Decoded<'a>) {
    let Some(header) = cursor.peek::<12>() else {
        return short(into);
    };
    into.transport = Transport::Sctp(Sctp {
        source_port: be16(header, 0),
        destination_port: be16(header, 2),
        tag: be32(header, 4),
        first_chunk: cursor.rest().get(12).copied(),
    });
    payload(cursor, 12, into);
}
