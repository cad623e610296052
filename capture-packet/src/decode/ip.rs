//! IPv4 (RFC 791) and IPv6 (RFC 8200) with extension headers, fragments, and tunnels directly within IP.

use super::{
    bytes::{Cursor, be16, be32},
    decoded::{Decoded, Next},
    headers::{Fragment, Ip, Transport, Tunnel},
    link::ether_type,
    problem::Problem,
};
use crate::address::Address;

/// Protocol numbers (IANA).
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IPV4: u8 = 4;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const IPV6: u8 = 41;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const GRE: u8 = 47;
    pub(crate) const AUTHENTICATION: u8 = 51;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const NO_NEXT: u8 = 59;
    pub(crate) const DESTINATION: u8 = 60;
    pub(crate) const SCTP: u8 = 132;
    pub(crate) const UDP_LITE: u8 = 136;
    pub(crate) const MOBILITY: u8 = 135;
    pub(crate) const HOST_IDENTITY: u8 = 139;
    pub(crate) const SHIM6: u8 = 140;
}

/// Most extension headers that are followed.
const MAX_EXTENSIONS: usize = 16;

/// IP of either version, by the first nibble.
#[inline]
pub(super) fn any<'a>(cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    match cursor.rest().first().map(|first| first >> 4) {
        Some(4) => Next::Ipv4(cursor),
        Some(6) => Next::Ipv6(cursor),
        Some(_) => into.stop(Problem::IpVersion),
        None => into.short(),
    }
}

/// IPv4.
#[inline]
pub(super) fn v4<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<20>() else {
        return into.short();
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 {
        return into.stop(Problem::IpVersion);
    }
    if header_len < 20 {
        return into.stop(Problem::IpHeaderLength);
    }
    let offset = cursor.at();
    let on_wire = (into.wire_len as usize).saturating_sub(offset);
    let claimed = match be16(header, 2) {
        0 => on_wire,
        claimed => usize::from(claimed),
    };
    if claimed < header_len || claimed > on_wire {
        into.problems.add(Problem::IpLength);
    }
    let total_len = claimed.clamp(header_len, on_wire.max(header_len));
    let flags = be16(header, 6);
    let fragment = (flags & 0x3fff != 0).then_some(Fragment {
        offset: u32::from(flags & 0x1fff) * 8,
        more: flags & 0x2000 != 0,
    });
    let Ok(offset) = u16::try_from(offset) else {
        return into.stop(Problem::TooDeep);
    };
    let mut ip = Ip {
        source: Address::v4(be32(header, 12).to_be_bytes()),
        destination: Address::v4(be32(header, 16).to_be_bytes()),
        protocol: header[9],
        ttl: header[8],
        traffic_class: header[1],
        identification: Some(u32::from(be16(header, 4))),
        dont_fragment: flags & 0x4000 != 0,
        header_len: header_len as u16,
        offset,
        total_len: total_len as u32,
        fragment,
    };
    if cursor.left() < header_len {
        into.short();
    }
    cursor.truncate(total_len);
    cursor.skip(header_len);
    // RFC 4302, the one extension header that IPv4 has too.
    if ip.protocol == protocol::AUTHENTICATION
        && ip.fragment.is_none_or(|fragment| fragment.offset == 0)
        && !extensions(&mut cursor, &mut ip, into)
    {
        return undecoded(ip, cursor, into);
    }
    carried(ip, cursor, into)
}

/// IPv6.
#[inline]
pub(super) fn v6<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<40>() else {
        return into.short();
    };
    if header[0] >> 4 != 6 {
        return into.stop(Problem::IpVersion);
    }
    let offset = cursor.at();
    let on_wire = (into.wire_len as usize).saturating_sub(offset);
    let claimed = match be16(header, 4) {
        0 if header[6] != protocol::NO_NEXT => on_wire,
        claimed => 40 + usize::from(claimed),
    };
    if claimed > on_wire {
        into.problems.add(Problem::IpLength);
    }
    let total_len = claimed.min(on_wire.max(40));
    let address = |at: usize| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&header[at..at + 16]);
        Address::v6(bytes)
    };
    let Ok(offset) = u16::try_from(offset) else {
        return into.stop(Problem::TooDeep);
    };
    let mut ip = Ip {
        source: address(8),
        destination: address(24),
        protocol: header[6],
        ttl: header[7],
        traffic_class: (header[0] << 4) | (header[1] >> 4),
        identification: None,
        dont_fragment: true,
        header_len: 40,
        offset,
        total_len: total_len as u32,
        fragment: None,
    };
    cursor.truncate(total_len);
    cursor.skip(40);
    if is_extension(ip.protocol) && !extensions(&mut cursor, &mut ip, into) {
        return undecoded(ip, cursor, into);
    }
    carried(ip, cursor, into)
}

/// A packet of which it is not known what it carries.
#[cold]
fn undecoded<'a>(ip: Ip, cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    into.ip = Some(ip);
    into.transport = Transport::None;
    into.payload = cursor.rest();
    into.payload_len = ip.total_len.saturating_sub(u32::from(ip.header_len));
    Next::End
}

fn is_extension(next: u8) -> bool {
    use protocol::{
        AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, HOST_IDENTITY, MOBILITY, ROUTING, SHIM6,
    };
    matches!(
        next,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}

/// Follows extension headers up to what is carried; false where that is not reached.
fn extensions(cursor: &mut Cursor<'_>, ip: &mut Ip, into: &mut Decoded<'_>) -> bool {
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(ip.protocol) || (ip.is_v4() && ip.protocol != protocol::AUTHENTICATION) {
            return true;
        }
        let Some(header) = cursor.peek::<8>() else {
            into.short();
            return false;
        };
        let len = match ip.protocol {
            protocol::FRAGMENT => {
                let position = be16(header, 2);
                ip.identification = Some(be32(header, 4));
                // Offset 0 and nothing to follow is an atomic fragment (RFC 6946), which is none.
                if position & 0xfff9 != 0 {
                    ip.fragment = Some(Fragment {
                        offset: u32::from(position & 0xfff8),
                        more: position & 1 != 0,
                    });
                }
                8
            }
            // RFC 4302: in units of four bytes, less two.
            protocol::AUTHENTICATION => (usize::from(header[1]) + 2) * 4,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        ip.protocol = header[0];
        ip.header_len = ip.header_len.saturating_add(len as u16);
        cursor.skip(len);
        if ip.fragment.is_some_and(|fragment| fragment.offset > 0) {
            return true;
        }
    }
    into.problems.add(Problem::TooDeep);
    false
}

/// What an IP packet carries.
#[inline]
fn carried<'a>(ip: Ip, cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let ip = into.ip.insert(ip);
    // Inside of a tunnel there is the transport of the outer packet.
    into.transport = Transport::None;
    into.payload = cursor.rest();
    into.payload_len = ip.total_len.saturating_sub(u32::from(ip.header_len));
    if ip.fragment.is_some_and(|fragment| fragment.offset > 0) {
        return Next::End;
    }
    match ip.protocol {
        protocol::IPV4 | protocol::IPV6 => into.enter(Tunnel::Ip, Next::Ip(cursor)),
        protocol::GRE => gre(cursor, into),
        _ => Next::Transport(cursor),
    }
}

/// GRE with its optional fields (RFC 2784, 2890); version 1 is PPTP's and carries PPP (RFC 2637).
fn gre<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<4>() else {
        return into.short();
    };
    let flags = be16(header, 0);
    // Other versions, and source routing of RFC 1701, which nothing sends any more.
    if flags & 0x4007 != 0 {
        return Next::End;
    }
    // Checksum, key and sequence number take four bytes each.
    let optional = [0x8000, 0x2000, 0x1000];
    let optional = optional.iter().filter(|bit| flags & **bit != 0).count();
    cursor.skip(4 + optional * 4);
    let kind = be16(header, 2);
    let inner = match kind {
        ether_type::TRANSPARENT_BRIDGING => Next::Ethernet(cursor),
        // ERSPAN: type I has no header of its own and no sequence number in GRE, II has eight bytes, III twelve and
        // with the flag O eight more (draft-foschiano-erspan).
        ether_type::ERSPAN => {
            if flags & 0x1000 != 0 {
                cursor.skip(8);
            }
            Next::Ethernet(cursor)
        }
        ether_type::ERSPAN_III => {
            let has_platform = cursor
                .peek::<12>()
                .is_some_and(|header| header[11] & 1 != 0);
            cursor.skip(if has_platform { 20 } else { 12 });
            Next::Ethernet(cursor)
        }
        _ => Next::EtherType(kind, cursor),
    };
    into.enter(Tunnel::Gre, inner)
}
