//! TCP with its options, UDP, ICMP, SCTP, and the tunnels within UDP.

use super::{
    bytes::{Cursor, be16, be32},
    decoded::{Decoded, Next},
    headers::{Icmp, SackBlocks, Sctp, Tcp, TcpFlags, Transport, Tunnel, Udp},
    ip::protocol,
    link::ether_type,
    problem::Problem,
};

/// What the protocol number says.
#[inline]
pub(super) fn decode<'a>(cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(ip) = &into.ip else { return Next::End };
    let (protocol, is_fragment) = (ip.protocol, ip.fragment.is_some());
    match protocol {
        protocol::TCP => tcp(is_fragment, cursor, into),
        protocol::UDP | protocol::UDP_LITE => udp(protocol, is_fragment, cursor, into),
        protocol::ICMP if ip.is_v4() => icmp(false, cursor, into),
        protocol::ICMPV6 if !ip.is_v4() => icmp(true, cursor, into),
        protocol::SCTP => sctp(cursor, into),
        _ => Next::End,
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
fn tcp<'a>(is_fragment: bool, cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<20>() else {
        return into.short();
    };
    let header_len = usize::from(header[12] >> 4) * 4;
    let segment_len = into.payload_len as usize;
    // The first of several fragments may end before its own header does.
    if header_len < 20 || (header_len > segment_len && !is_fragment) {
        return into.stop(Problem::TcpHeaderLength);
    }
    // Built where it stays.
    into.transport = Transport::Tcp(Tcp {
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
    });
    let captured = cursor.rest();
    let options = &captured[20..header_len.min(captured.len())];
    if let Transport::Tcp(tcp) = &mut into.transport
        && !options.is_empty()
        && !tcp_options(options, tcp)
        && into.frame.len() >= into.wire_len as usize
    {
        into.problems.add(Problem::TcpOption);
    }
    payload(cursor, header_len, into);
    Next::End
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
    into.set(blocks.iter().map(|block| (be32(block, 0), be32(block, 4))));
}

#[inline]
fn udp<'a>(
    protocol: u8,
    is_fragment: bool,
    cursor: Cursor<'a>,
    into: &mut Decoded<'a>,
) -> Next<'a> {
    let Some(header) = cursor.peek::<8>() else {
        return into.short();
    };
    let udp = Udp {
        source_port: be16(header, 0),
        destination_port: be16(header, 2),
    };
    let claimed = u32::from(be16(header, 4));
    let carried = into.payload_len;
    let mut cursor = cursor;
    // 0 is a jumbogram (RFC 2675), or the coverage of UDP-Lite. A fragment holds less than the datagram.
    if protocol == protocol::UDP && claimed != 0 && !is_fragment {
        if claimed < 8 || claimed > carried {
            into.problems.add(Problem::UdpLength);
        } else {
            into.payload_len = claimed;
            cursor.truncate(claimed as usize);
        }
    }
    payload(cursor, 8, into);
    into.transport = Transport::Udp(udp);
    if matches!(udp.destination_port, 4789 | 8472 | 6081 | 2152) && !is_fragment {
        cursor.skip(8);
        return udp_tunnel(udp.destination_port, cursor, into);
    }
    Next::End
}

/// VXLAN, Geneve and GTP-U, where the first bytes are theirs too: the port alone says little.
fn udp_tunnel<'a>(port: u16, mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<8>() else {
        return Next::End;
    };
    match port {
        // The flag of a valid identifier, and nothing in the reserved bits.
        4789 | 8472 if header[0] == 0x08 && header[1..4] == [0; 3] => {
            cursor.skip(8);
            into.enter(Tunnel::Vxlan, Next::Ethernet(cursor))
        }
        6081 if header[0] >> 6 == 0 => {
            cursor.skip(8 + usize::from(header[0] & 0x3f) * 4);
            let kind = be16(header, 2);
            let inner = match kind {
                ether_type::TRANSPARENT_BRIDGING => Next::Ethernet(cursor),
                _ => Next::EtherType(kind, cursor),
            };
            into.enter(Tunnel::Geneve, inner)
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
            into.enter(Tunnel::Gtp, Next::Ip(cursor))
        }
        _ => Next::End,
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
fn icmp<'a>(is_v6: bool, cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<8>() else {
        return into.short();
    };
    into.transport = Transport::Icmp(Icmp {
        is_v6,
        kind: header[0],
        code: header[1],
        rest: be32(header, 4),
    });
    payload(cursor, 8, into);
    Next::End
}

#[inline]
fn sctp<'a>(cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<12>() else {
        return into.short();
    };
    into.transport = Transport::Sctp(Sctp {
        source_port: be16(header, 0),
        destination_port: be16(header, 2),
        tag: be32(header, 4),
        first_chunk: cursor.rest().get(12).copied(),
    });
    payload(cursor, 12, into);
    Next::End
}
