//! Link layers and what lies between them and IP: Ethernet with tags, MPLS, PPPoE, Linux cooked captures, raw IP,
//! BSD loopback, PPP; and ARP.

use super::{
    bytes::{Cursor, be16, be32},
    decoded::{Decoded, Next},
    headers::{Arp, Ethernet},
    problem::Problem,
};
use crate::address::{Address, Mac};

/// LINKTYPE_ numbers (tcpdump.org/linktypes.html).
pub(crate) mod link_type {
    pub(crate) const NULL: u16 = 0;
    pub(crate) const ETHERNET: u16 = 1;
    pub(crate) const PPP: u16 = 9;
    /// DLT_RAW of Linux and of the BSDs, which some programs write in place of LINKTYPE_RAW.
    pub(crate) const DLT_RAW: [u16; 2] = [12, 14];
    pub(crate) const RAW: u16 = 101;
    pub(crate) const LOOP: u16 = 108;
    pub(crate) const LINUX_SLL: u16 = 113;
    pub(crate) const IPV4: u16 = 228;
    pub(crate) const IPV6: u16 = 229;
    pub(crate) const LINUX_SLL2: u16 = 276;
}

/// EtherType values (IEEE 802 numbers).
pub(crate) mod ether_type {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const TRANSPARENT_BRIDGING: u16 = 0x6558;
    pub(crate) const ERSPAN: u16 = 0x88be;
    pub(crate) const ERSPAN_III: u16 = 0x22eb;
    pub(crate) const VLAN: u16 = 0x8100;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const MPLS_MULTICAST: u16 = 0x8848;
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
    pub(crate) const SERVICE_VLAN: u16 = 0x88a8;
    /// Of QinQ before 802.1ad.
    pub(crate) const OLD_SERVICE_VLAN: [u16; 2] = [0x9100, 0x9200];
}

/// Most tags, and most MPLS labels, that are followed.
const MAX_TAGS: usize = 8;

/// Below the lowest EtherType this is the length of an IEEE 802.3 frame.
const MAX_802_3_LEN: u16 = 1500;

/// Decodes a frame that begins as `kind` says.
#[inline]
pub(super) fn decode<'a>(kind: u16, mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    match kind {
        link_type::ETHERNET => ethernet(cursor, into),
        link_type::RAW | link_type::IPV4 | link_type::IPV6 => Next::Ip(cursor),
        raw if link_type::DLT_RAW.contains(&raw) => Next::Ip(cursor),
        link_type::LINUX_SLL => {
            let Some(header) = cursor.peek::<16>() else {
                return into.short();
            };
            cursor.skip(16);
            by_ether_type(be16(header, 14), cursor, into)
        }
        link_type::LINUX_SLL2 => {
            let Some(header) = cursor.peek::<20>() else {
                return into.short();
            };
            cursor.skip(20);
            by_ether_type(be16(header, 0), cursor, into)
        }
        // The family before IP has values of the host that wrote the file; the version of IP says enough.
        link_type::NULL | link_type::LOOP => {
            cursor.skip(4);
            Next::Ip(cursor)
        }
        link_type::PPP => {
            // RFC 1662: address and control may be left out.
            if cursor.peek::<2>() == Some(&[0xff, 0x03]) {
                cursor.skip(2);
            }
            ppp(cursor, into)
        }
        _ => unknown(cursor, into),
    }
}

/// Ethernet II, and IEEE 802.3 with SNAP.
#[inline]
pub(super) fn ethernet<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<14>() else {
        return into.short();
    };
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, ..] = *header;
    if into.tunnels == 0 {
        into.ethernet = Some(Ethernet {
            destination: Mac([d0, d1, d2, d3, d4, d5]),
            source: Mac([s0, s1, s2, s3, s4, s5]),
        });
    }
    cursor.skip(14);
    let kind = be16(header, 12);
    // What nearly every frame carries.
    match kind {
        ether_type::IPV4 => {
            into.ether_type = kind;
            Next::Ipv4(cursor)
        }
        ether_type::IPV6 => {
            into.ether_type = kind;
            Next::Ipv6(cursor)
        }
        _ => by_ether_type(kind, cursor, into),
    }
}

/// What an EtherType announces.
#[inline]
pub(super) fn by_ether_type<'a>(
    mut kind: u16,
    mut cursor: Cursor<'a>,
    into: &mut Decoded<'a>,
) -> Next<'a> {
    for _ in 0..MAX_TAGS {
        if !is_vlan(kind) {
            break;
        }
        let Some(tag) = cursor.peek::<4>() else {
            return into.short();
        };
        into.vlan.get_or_insert(be16(tag, 0) & 0x0fff);
        kind = be16(tag, 2);
        cursor.skip(4);
    }
    into.ether_type = kind;
    match kind {
        ether_type::IPV4 => Next::Ipv4(cursor),
        ether_type::IPV6 => Next::Ipv6(cursor),
        ether_type::ARP => arp(cursor, into),
        ether_type::MPLS | ether_type::MPLS_MULTICAST => mpls(cursor, into),
        ether_type::PPPOE_SESSION => pppoe(cursor, into),
        deeper if is_vlan(deeper) => into.stop(Problem::TooDeep),
        len if len <= MAX_802_3_LEN => llc(len, cursor, into),
        _ => unknown(cursor, into),
    }
}

/// A length in place of the EtherType (IEEE 802.3), then LLC; SNAP (RFC 1042) brings the EtherType after all.
#[cold]
fn llc<'a>(len: u16, mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    cursor.truncate(usize::from(len));
    match cursor.peek::<8>() {
        Some([0xaa, 0xaa, 0x03, 0, 0, 0, high, low]) => {
            let kind = u16::from_be_bytes([*high, *low]);
            cursor.skip(8);
            if kind > MAX_802_3_LEN {
                return by_ether_type(kind, cursor, into);
            }
            unknown(cursor, into)
        }
        _ => unknown(cursor, into),
    }
}

/// Something that is not looked into.
fn unknown<'a>(cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    into.payload = cursor.rest();
    into.payload_len = into.wire_len.saturating_sub(cursor.at() as u32);
    Next::End
}

#[inline]
fn is_vlan(kind: u16) -> bool {
    matches!(kind, ether_type::VLAN | ether_type::SERVICE_VLAN)
        || ether_type::OLD_SERVICE_VLAN.contains(&kind)
}

/// RFC 3032: labels to the bottom of the stack, then IP by its version, or Ethernet behind a control word (RFC 4385).
fn mpls<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    for _ in 0..MAX_TAGS {
        let Some(label) = cursor.peek::<4>() else {
            return into.short();
        };
        cursor.skip(4);
        if label[2] & 1 == 0 {
            continue;
        }
        return match cursor.rest().first().map(|first| first >> 4) {
            Some(4 | 6) => Next::Ip(cursor),
            Some(0) => {
                cursor.skip(4);
                ethernet(cursor, into)
            }
            _ => unknown(cursor, into),
        };
    }
    into.stop(Problem::TooDeep)
}

/// RFC 2516: version, code, session, length, then PPP.
fn pppoe<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(header) = cursor.peek::<6>() else {
        return into.short();
    };
    cursor.skip(6);
    cursor.truncate(usize::from(be16(header, 4)));
    ppp(cursor, into)
}

/// The protocol field of PPP (RFC 1661), one byte where it is odd.
fn ppp<'a>(mut cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let protocol = match *cursor.rest() {
        [odd, ..] if odd & 1 == 1 => {
            cursor.skip(1);
            u16::from(odd)
        }
        [first, second, ..] => {
            cursor.skip(2);
            u16::from_be_bytes([first, second])
        }
        _ => return into.short(),
    };
    match protocol {
        0x0021 => Next::Ipv4(cursor),
        0x0057 => Next::Ipv6(cursor),
        0x0281 => mpls(cursor, into),
        _ => unknown(cursor, into),
    }
}

fn arp<'a>(cursor: Cursor<'a>, into: &mut Decoded<'a>) -> Next<'a> {
    let Some(message) = cursor.peek::<28>() else {
        return into.short();
    };
    // Hardware type 1, protocol type 0x0800, lengths 6 and 4: others are no concern of IPv4 over Ethernet.
    if be32(message, 0) != 0x0001_0800 || be16(message, 4) != 0x0604 {
        return Next::End;
    }
    let mac = |at: usize| {
        let mut mac = [0; 6];
        mac.copy_from_slice(&message[at..at + 6]);
        Mac(mac)
    };
    let address = |at: usize| Address::v4(be32(message, at).to_be_bytes());
    into.arp = Some(Arp {
        operation: be16(message, 6),
        sender_mac: mac(8),
        sender: address(14),
        target_mac: mac(18),
        target: address(24),
    });
    Next::End
}
