//! Fields that lie at a fixed place of their header.

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Number,
    /// A number in units of so many bytes, shown in bytes.
    Times(u64),
    Hex,
    Flag,
    V4,
    V6,
    Mac,
}

/// A field: name, offset and length in its header, the bits of these bytes that are its own (0: all), and those within it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) mask: u64,
    pub(super) show: Show,
    /// Whether the lowest byte comes first.
    pub(super) is_little: bool,
    pub(super) fields: &'static [Self],
}

/// A whole field.
const fn whole(name: &'static str, at: usize, len: usize, show: Show) -> Spec {
    bits(name, at, len, 0, show)
}

/// Some bits of a field.
const fn bits(name: &'static str, at: usize, len: usize, mask: u64, show: Show) -> Spec {
    Spec {
        name,
        at,
        len,
        mask,
        show,
        is_little: false,
        fields: &[],
    }
}

/// A whole field, its bytes in the order of x86.
const fn little(name: &'static str, at: usize, len: usize, show: Show) -> Spec {
    Spec {
        is_little: true,
        ..whole(name, at, len, show)
    }
}

/// A field with others in it.
const fn with(spec: Spec, fields: &'static [Spec]) -> Spec {
    Spec { fields, ..spec }
}

use Show::{Flag, Hex, Mac, Number, Times, V4, V6};

pub(super) const ETHERNET: &[Spec] = &[
    whole("eth.dst", 0, 6, Mac),
    whole("eth.src", 6, 6, Mac),
    whole("eth.type", 12, 2, Hex),
];

pub(super) const VLAN: &[Spec] = &[
    bits("vlan.priority", 0, 2, 0xe000, Number),
    bits("vlan.dei", 0, 2, 0x1000, Flag),
    bits("vlan.id", 0, 2, 0x0fff, Number),
    whole("vlan.etype", 2, 2, Hex),
];

pub(super) const SERVICE_VLAN: &[Spec] = &[
    bits("ieee8021ad.priority", 0, 1, 0xe0, Number),
    bits("ieee8021ad.dei", 0, 1, 0x10, Number),
    bits("ieee8021ad.id", 0, 2, 0x0fff, Number),
];

pub(super) const LLC: &[Spec] = &[whole("llc.oui", 3, 3, Number), whole("llc.type", 6, 2, Hex)];

pub(super) const SLL: &[Spec] = &[
    whole("sll.pkttype", 0, 2, Number),
    whole("sll.hatype", 2, 2, Number),
    whole("sll.halen", 4, 2, Number),
    whole("sll.etype", 14, 2, Hex),
];

pub(super) const SLL2: &[Spec] = &[
    whole("sll.etype", 0, 2, Hex),
    whole("sll.ifindex", 4, 4, Number),
    whole("sll.hatype", 8, 2, Number),
    whole("sll.pkttype", 10, 1, Number),
    whole("sll.halen", 11, 1, Number),
];

pub(super) const ARP: &[Spec] = &[
    whole("arp.hw.type", 0, 2, Number),
    whole("arp.proto.type", 2, 2, Hex),
    whole("arp.hw.size", 4, 1, Number),
    whole("arp.proto.size", 5, 1, Number),
    whole("arp.opcode", 6, 2, Number),
    whole("arp.src.hw_mac", 8, 6, Mac),
    whole("arp.src.proto_ipv4", 14, 4, V4),
    whole("arp.dst.hw_mac", 18, 6, Mac),
    whole("arp.dst.proto_ipv4", 24, 4, V4),
];

pub(super) const MPLS: &[Spec] = &[
    bits("mpls.label", 0, 4, 0xffff_f000, Number),
    bits("mpls.exp", 0, 4, 0x0e00, Number),
    bits("mpls.bottom", 0, 4, 0x0100, Number),
    bits("mpls.ttl", 0, 4, 0x00ff, Number),
];

pub(super) const PPPOE: &[Spec] = &[
    bits("pppoe.version", 0, 1, 0xf0, Number),
    bits("pppoe.type", 0, 1, 0x0f, Number),
    whole("pppoe.code", 1, 1, Hex),
    whole("pppoe.session_id", 2, 2, Hex),
    whole("pppoe.payload_length", 4, 2, Number),
];

pub(super) const IPV4: &[Spec] = &[
    bits("ip.version", 0, 1, 0xf0, Number),
    bits("ip.hdr_len", 0, 1, 0x0f, Times(4)),
    with(
        whole("ip.dsfield", 1, 1, Hex),
        &[
            bits("ip.dsfield.dscp", 1, 1, 0xfc, Number),
            bits("ip.dsfield.ecn", 1, 1, 0x03, Number),
        ],
    ),
    whole("ip.len", 2, 2, Number),
    whole("ip.id", 4, 2, Hex),
    with(
        bits("ip.flags", 6, 1, 0xe0, Hex),
        &[
            bits("ip.flags.rb", 6, 1, 0x80, Flag),
            bits("ip.flags.df", 6, 1, 0x40, Flag),
            bits("ip.flags.mf", 6, 1, 0x20, Flag),
        ],
    ),
    bits("ip.frag_offset", 6, 2, 0x1fff, Times(8)),
    whole("ip.ttl", 8, 1, Number),
    whole("ip.proto", 9, 1, Number),
    whole("ip.checksum", 10, 2, Hex),
    whole("ip.src", 12, 4, V4),
    whole("ip.dst", 16, 4, V4),
];

pub(super) const IPV6: &[Spec] = &[
    bits("ipv6.version", 0, 1, 0xf0, Number),
    with(
        bits("ipv6.tclass", 0, 4, 0x0ff0_0000, Hex),
        &[
            bits("ipv6.tclass.dscp", 0, 4, 0x0fc0_0000, Number),
            bits("ipv6.tclass.ecn", 0, 4, 0x0030_0000, Number),
        ],
    ),
    bits("ipv6.flow", 1, 3, 0x000f_ffff, Hex),
    whole("ipv6.plen", 4, 2, Number),
    whole("ipv6.nxt", 6, 1, Number),
    whole("ipv6.hlim", 7, 1, Number),
    whole("ipv6.src", 8, 16, V6),
    whole("ipv6.dst", 24, 16, V6),
];

pub(super) const HOP_BY_HOP: &[Spec] = &[
    whole("ipv6.hopopts.nxt", 0, 1, Number),
    whole("ipv6.hopopts.len", 1, 1, Number),
];

pub(super) const DESTINATION: &[Spec] = &[
    whole("ipv6.dstopts.nxt", 0, 1, Number),
    whole("ipv6.dstopts.len", 1, 1, Number),
];

pub(super) const ROUTING: &[Spec] = &[
    whole("ipv6.routing.nxt", 0, 1, Number),
    whole("ipv6.routing.len", 1, 1, Number),
    whole("ipv6.routing.type", 2, 1, Number),
    whole("ipv6.routing.segleft", 3, 1, Number),
];

pub(super) const FRAGMENT: &[Spec] = &[
    whole("ipv6.fraghdr.nxt", 0, 1, Number),
    bits("ipv6.fraghdr.offset", 2, 2, 0xfff8, Number),
    bits("ipv6.fraghdr.more", 2, 2, 0x0001, Flag),
    whole("ipv6.fraghdr.ident", 4, 4, Hex),
];

pub(super) const AUTHENTICATION: &[Spec] = &[
    whole("ah.next_header", 0, 1, Number),
    whole("ah.length", 1, 1, Number),
    whole("ah.spi", 4, 4, Hex),
    whole("ah.sequence", 8, 4, Number),
];

pub(super) const TCP: &[Spec] = &[
    whole("tcp.srcport", 0, 2, Number),
    whole("tcp.dstport", 2, 2, Number),
    whole("tcp.seq_raw", 4, 4, Number),
    whole("tcp.ack_raw", 8, 4, Number),
    bits("tcp.hdr_len", 12, 1, 0xf0, Times(4)),
    with(
        bits("tcp.flags", 12, 2, 0x0fff, Hex),
        &[
            bits("tcp.flags.cwr", 13, 1, 0x80, Flag),
            bits("tcp.flags.ece", 13, 1, 0x40, Flag),
            bits("tcp.flags.urg", 13, 1, 0x20, Flag),
            bits("tcp.flags.ack", 13, 1, 0x10, Flag),
            bits("tcp.flags.push", 13, 1, 0x08, Flag),
            bits("tcp.flags.reset", 13, 1, 0x04, Flag),
            bits("tcp.flags.syn", 13, 1, 0x02, Flag),
            bits("tcp.flags.fin", 13, 1, 0x01, Flag),
        ],
    ),
    whole("tcp.window_size_value", 14, 2, Number),
    whole("tcp.checksum", 16, 2, Hex),
    whole("tcp.urgent_pointer", 18, 2, Number),
];

pub(super) const UDP: &[Spec] = &[
    whole("udp.srcport", 0, 2, Number),
    whole("udp.dstport", 2, 2, Number),
    whole("udp.length", 4, 2, Number),
    whole("udp.checksum", 6, 2, Hex),
];

pub(super) const ICMP: &[Spec] = &[
    whole("icmp.type", 0, 1, Number),
    whole("icmp.code", 1, 1, Number),
    whole("icmp.checksum", 2, 2, Hex),
];

pub(super) const ICMP_ECHO: &[Spec] = &[
    whole("icmp.ident", 4, 2, Number),
    whole("icmp.seq", 6, 2, Number),
];

pub(super) const ICMP_NEED_TO_FRAGMENT: &[Spec] = &[whole("icmp.mtu", 6, 2, Number)];

pub(super) const ICMP_REDIRECT: &[Spec] = &[whole("icmp.redir_gw", 4, 4, V4)];

pub(super) const ICMPV6: &[Spec] = &[
    whole("icmpv6.type", 0, 1, Number),
    whole("icmpv6.code", 1, 1, Number),
    whole("icmpv6.checksum", 2, 2, Hex),
];

pub(super) const ICMPV6_ECHO: &[Spec] = &[
    whole("icmpv6.echo.identifier", 4, 2, Hex),
    whole("icmpv6.echo.sequence_number", 6, 2, Number),
];

pub(super) const ICMPV6_TOO_BIG: &[Spec] = &[whole("icmpv6.mtu", 4, 4, Number)];

pub(super) const ICMPV6_ROUTER: &[Spec] = &[
    whole("icmpv6.nd.ra.cur_hop_limit", 4, 1, Number),
    whole("icmpv6.nd.ra.router_lifetime", 6, 2, Number),
];

pub(super) const ICMPV6_SOLICITATION: &[Spec] = &[whole("icmpv6.nd.ns.target_address", 8, 16, V6)];

pub(super) const ICMPV6_ADVERTISEMENT: &[Spec] = &[whole("icmpv6.nd.na.target_address", 8, 16, V6)];

pub(super) const SCTP: &[Spec] = &[
    whole("sctp.srcport", 0, 2, Number),
    whole("sctp.dstport", 2, 2, Number),
    whole("sctp.verification_tag", 4, 4, Hex),
    whole("sctp.checksum", 8, 4, Hex),
];

pub(super) const GRE: &[Spec] = &[
    whole("gre.flags_and_version", 0, 2, Hex),
    whole("gre.proto", 2, 2, Hex),
];

pub(super) const ERSPAN: &[Spec] = &[
    bits("erspan.version", 0, 2, 0xf000, Number),
    bits("erspan.vlan", 0, 2, 0x0fff, Number),
    bits("erspan.cos", 2, 2, 0xe000, Number),
    bits("erspan.truncated", 2, 2, 0x0400, Number),
    bits("erspan.spanid", 2, 2, 0x03ff, Number),
];

pub(super) const GTP: &[Spec] = &[
    with(
        whole("gtp.flags", 0, 1, Hex),
        &[
            bits("gtp.flags.version", 0, 1, 0xe0, Number),
            bits("gtp.flags.e", 0, 1, 0x04, Flag),
            bits("gtp.flags.s", 0, 1, 0x02, Flag),
            bits("gtp.flags.pn", 0, 1, 0x01, Flag),
        ],
    ),
    whole("gtp.message", 1, 1, Hex),
    whole("gtp.length", 2, 2, Number),
    whole("gtp.teid", 4, 4, Hex),
];

pub(super) const VXLAN: &[Spec] = &[
    whole("vxlan.flags", 0, 2, Hex),
    whole("vxlan.gbp", 2, 2, Number),
    whole("vxlan.vni", 4, 3, Number),
];

pub(super) const GENEVE: &[Spec] = &[
    bits("geneve.version", 0, 1, 0xc0, Number),
    whole("geneve.proto_type", 2, 2, Hex),
    whole("geneve.vni", 4, 3, Hex),
];

pub(super) const DNS: &[Spec] = &[
    whole("dns.id", 0, 2, Hex),
    with(
        whole("dns.flags", 2, 2, Hex),
        &[
            bits("dns.flags.response", 2, 2, 0x8000, Flag),
            bits("dns.flags.opcode", 2, 2, 0x7800, Number),
            bits("dns.flags.truncated", 2, 2, 0x0200, Flag),
            bits("dns.flags.recdesired", 2, 2, 0x0100, Flag),
        ],
    ),
    whole("dns.count.queries", 4, 2, Number),
    whole("dns.count.answers", 6, 2, Number),
    whole("dns.count.auth_rr", 8, 2, Number),
    whole("dns.count.add_rr", 10, 2, Number),
];

/// Of responses alone.
pub(super) const DNS_RESPONSE: &[Spec] = &[
    bits("dns.flags.authoritative", 2, 2, 0x0400, Flag),
    bits("dns.flags.recavail", 2, 2, 0x0080, Flag),
    bits("dns.flags.rcode", 2, 2, 0x000f, Number),
];

pub(super) const DHCP: &[Spec] = &[
    whole("dhcp.type", 0, 1, Number),
    whole("dhcp.hw.type", 1, 1, Hex),
    whole("dhcp.hw.len", 2, 1, Number),
    whole("dhcp.hops", 3, 1, Number),
    whole("dhcp.id", 4, 4, Hex),
    whole("dhcp.secs", 8, 2, Number),
    whole("dhcp.flags", 10, 2, Hex),
    whole("dhcp.ip.client", 12, 4, V4),
    whole("dhcp.ip.your", 16, 4, V4),
    whole("dhcp.ip.server", 20, 4, V4),
    whole("dhcp.ip.relay", 24, 4, V4),
    whole("dhcp.hw.mac_addr", 28, 6, Mac),
];

pub(super) const NTP: &[Spec] = &[
    with(
        whole("ntp.flags", 0, 1, Hex),
        &[
            bits("ntp.flags.li", 0, 1, 0xc0, Number),
            bits("ntp.flags.vn", 0, 1, 0x38, Number),
            bits("ntp.flags.mode", 0, 1, 0x07, Number),
        ],
    ),
    whole("ntp.stratum", 1, 1, Number),
];

/// Control messages (mode 6).
pub(super) const NTP_CONTROL: &[Spec] = &[
    NTP[0],
    with(
        whole("ntp.ctrl.flags2", 1, 1, Hex),
        &[
            bits("ntp.ctrl.flags2.r", 1, 1, 0x80, Flag),
            bits("ntp.ctrl.flags2.error", 1, 1, 0x40, Flag),
            bits("ntp.ctrl.flags2.more", 1, 1, 0x20, Flag),
            bits("ntp.ctrl.flags2.opcode", 1, 1, 0x1f, Number),
        ],
    ),
    whole("ntp.ctrl.sequence", 2, 2, Number),
    whole("ntp.ctrl.associd", 6, 2, Number),
];

/// Private messages (mode 7).
pub(super) const NTP_PRIVATE: &[Spec] = &[
    with(
        whole("ntp.flags", 0, 1, Hex),
        &[
            bits("ntp.priv.flags.r", 0, 1, 0x80, Flag),
            bits("ntp.flags.vn", 0, 1, 0x38, Number),
            bits("ntp.flags.mode", 0, 1, 0x07, Number),
        ],
    ),
    whole("ntp.priv.impl", 2, 1, Number),
    whole("ntp.priv.reqcode", 3, 1, Number),
];

pub(super) const NBSS: &[Spec] = &[
    whole("nbss.type", 0, 1, Hex),
    whole("nbss.length", 1, 3, Number),
];

pub(super) const SMB: &[Spec] = &[
    whole("smb.cmd", 4, 1, Hex),
    with(
        whole("smb.flags", 9, 1, Hex),
        &[bits("smb.flags.response", 9, 1, 0x80, Flag)],
    ),
];

pub(super) const SMB2: &[Spec] = &[
    little("smb2.nt_status", 8, 4, Hex),
    little("smb2.cmd", 12, 2, Number),
    with(
        little("smb2.flags", 16, 4, Hex),
        &[Spec {
            mask: 1,
            ..little("smb2.flags.response", 16, 4, Flag)
        }],
    ),
];
