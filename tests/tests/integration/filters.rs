//! The rows of the task that choose packets, each with frames that it takes and frames that it
//! leaves. Frames come in from the peer unless a test says otherwise.

use capture_tests::{
    table::{Labelled, check},
    traffic::{
        AUTHENTICATION, DESTINATION_OPTIONS, Direction, ETHERTYPE_ARP, ETHERTYPE_IPV4,
        ETHERTYPE_IPV6, ETHERTYPE_LLDP, ETHERTYPE_QINQ, ETHERTYPE_VLAN, FRAGMENT, HOP_BY_HOP, ICMP,
        ICMPV6, Ipv4, ROUTING, SCTP, TCP, UDP, arp, authentication, echo, ethernet, extension,
        fragment, ipv6, ipv6_frame, numbered, sctp, tagged, tcp, udp,
    },
};

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const C: &str = "198.51.100.3";
const A6: &str = "2001:db8::1";
const B6: &str = "2001:db8::2";
const C6: &str = "2001:db8:1::3";

fn tcp4(from: &str, sport: u16, to: &str, dport: u16) -> Vec<u8> {
    Ipv4::new(from, to, TCP).frame(&tcp(sport, dport, b"data"))
}

fn udp4(from: &str, sport: u16, to: &str, dport: u16) -> Vec<u8> {
    Ipv4::new(from, to, UDP).frame(&udp(sport, dport, b"data"))
}

fn tcp6(from: &str, sport: u16, to: &str, dport: u16) -> Vec<u8> {
    ipv6_frame(from, to, TCP, &tcp(sport, dport, b"data"))
}

fn udp6(from: &str, sport: u16, to: &str, dport: u16) -> Vec<u8> {
    ipv6_frame(from, to, UDP, &udp(sport, dport, b"data"))
}

/// A little of everything.
fn mixture() -> Vec<Labelled> {
    vec![
        ("tcp4", tcp4(A, 1000, B, 80)),
        ("tcp6", tcp6(A6, 1000, B6, 80)),
        ("udp4", udp4(A, 1000, B, 53)),
        ("udp6", udp6(A6, 1000, B6, 53)),
        (
            "sctp4",
            Ipv4::new(A, B, SCTP).frame(&sctp(1000, 80, b"data")),
        ),
        ("icmp4", Ipv4::new(A, B, ICMP).frame(&echo(8, b"data"))),
        ("icmp6", ipv6_frame(A6, B6, ICMPV6, &echo(128, b"data"))),
        // The numbers of the other family's ICMP are no ICMP here.
        (
            "proto58v4",
            Ipv4::new(A, B, ICMPV6).frame(&echo(128, b"data")),
        ),
        ("proto1v6", ipv6_frame(A6, B6, ICMP, &echo(8, b"data"))),
        ("gre4", Ipv4::new(A, B, 47).frame(&[0; 8])),
        ("arp", arp(A, B)),
        (
            "lldp",
            ethernet(ETHERTYPE_LLDP, &[2, 7, 4, 2, 0, 0, 0, 0, 1, 0, 0]),
        ),
        ("unknown", ethernet(0x9999, b"what is this")),
        // 802.3 with a length where Ethernet II has the type: spanning tree.
        ("llc", ethernet(38, &[0x42, 0x42, 3, 0, 0, 0, 0, 0])),
    ]
}

#[test]
fn protocol() {
    let filters = [
        ("", "*"),
        ("--protocol all", "*"),
        ("--protocol tcp", "tcp4 tcp6"),
        ("--protocol udp", "udp4 udp6"),
        ("--protocol icmp", "icmp4 icmp6"),
    ];
    check(Direction::Ingress, "tc", &mixture(), &filters);
    check(Direction::Egress, "tc", &mixture(), &filters);
    check(Direction::Ingress, "xdp", &mixture(), &filters);
    check(
        Direction::Ingress,
        "xdp-generic",
        &mixture(),
        &filters[2..4],
    );
}

#[test]
fn ip() {
    let frames = [
        ("from", udp4(A, 1, C, 2)),
        ("to", tcp4(C, 1, A, 2)),
        ("near", udp4(B, 1, C, 2)),
        ("far", udp4(C, 1, "203.0.113.9", 2)),
        ("from6", udp6(A6, 1, C6, 2)),
        ("to6", tcp6(C6, 1, A6, 2)),
        ("near6", udp6(C6, 1, B6, 2)),
        ("far6", udp6(C6, 1, "2001:db8:2::9", 2)),
        ("icmp", Ipv4::new(C, A, ICMP).frame(&echo(8, b"data"))),
    ];
    let filters = [
        ("--ip 192.0.2.1", "from to icmp"),
        ("--ip 192.0.2.0/24", "from to near icmp"),
        ("--ip 192.0.2.0/31", "from to icmp"),
        ("--ip 0.0.0.0/0", "from to near far icmp"),
        ("--ip 2001:db8::1", "from6 to6"),
        ("--ip 2001:db8::/64", "from6 to6 near6"),
        ("--ip 2001:db8::/127", "from6 to6"),
        ("--ip ::/0", "from6 to6 near6 far6"),
        ("--ip 192.0.2.1 --protocol tcp", "to"),
        ("--ip 192.0.2.1 --protocol icmp", "icmp"),
        ("--ip 203.0.113.77", ""),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
}

#[test]
fn lists_of_addresses() {
    // What a router tells C about a packet of C's for A.
    let unreachable = {
        let quoted = Ipv4::new(C, A, UDP).packet(&udp(9, 53, b"data"));
        Ipv4::new("203.0.113.1", C, ICMP).frame(&echo(3, &quoted))
    };
    let frames = [
        ("a", udp4(A, 53, C, 9)),
        ("to-b", tcp4(C, 9, B, 53)),
        ("a-b", tcp4(A, 9, B, 53)),
        ("c", udp4(C, 53, "203.0.113.9", 9)),
        ("others", udp4("203.0.113.8", 53, "203.0.113.9", 53)),
        ("a6", udp6(A6, 53, C6, 9)),
        ("b6", tcp6(C6, 9, B6, 9)),
        ("c6", tcp6(C6, 9, "2001:db8:2::9", 53)),
        ("arp", arp(C, A)),
        ("arp-others", arp(C, "203.0.113.9")),
        ("unreachable", unreachable),
    ];
    let filters = [
        ("--ip 192.0.2.1,192.0.2.2", "a to-b a-b arp"),
        (
            "--ip 192.0.2.2 --ip 2001:db8::1,192.0.2.1",
            "a to-b a-b a6 arp",
        ),
        ("--ip 192.0.2.1,2001:db8::2/127", "a a-b b6 arp"),
        ("--ip 192.0.2.1,192.0.2.2,203.0.113.8/31", {
            "a to-b a-b c others arp arp-others"
        }),
        ("--ip 192.0.2.1,192.0.2.2 --port 53", "a to-b a-b"),
        (
            "--ip 192.0.2.1,2001:db8::1 --port 53 --icmp-errors",
            "a a6 unreachable",
        ),
        ("--ip 192.0.2.1,192.0.2.2 --protocol tcp", "to-b a-b"),
        (
            "--ip 192.0.2.1,192.0.2.2,2001:db8::2 --peer-ip 198.51.100.3,2001:db8:1::3",
            "a to-b b6 arp",
        ),
        // Both sides have both.
        (
            "--ip 192.0.2.1,192.0.2.2 --peer-ip 192.0.2.0/24,203.0.113.0/24",
            "a-b",
        ),
        (
            "--ip 192.0.2.1,192.0.2.2 --peer-ip 198.51.100.3,192.0.2.1 --peer-port 9",
            "a to-b a-b",
        ),
        ("--ip 192.0.2.77,2001:db8::77", ""),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
    check(Direction::Ingress, "xdp", &frames, &filters[1..3]);
    check(Direction::Egress, "tc", &frames, &filters[..4]);
}

#[test]
fn ports_belong_to_the_ip() {
    let frames = [
        ("to-service", tcp4(B, 80, A, 443)),
        ("from-service", tcp4(A, 443, B, 80)),
        // The port is there, at the other end.
        ("other-end", tcp4(A, 80, B, 443)),
        ("other-end-back", udp4(B, 443, A, 80)),
        ("udp", udp4(C, 5, A, 443)),
        ("sctp", Ipv4::new(A, C, SCTP).frame(&sctp(443, 5, b"data"))),
        ("others", tcp4(B, 443, C, 443)),
        ("in-range", udp4(A, 8050, C, 5)),
        ("past-range", udp4(A, 8101, C, 5)),
        ("last-of-range", udp4(A, 8100, C, 5)),
        ("six", tcp6(A6, 443, B6, 80)),
        ("six-other-end", tcp6(A6, 80, B6, 443)),
        ("port-zero", udp4(A, 0, C, 65535)),
    ];
    let filters = [
        (
            "--ip 192.0.2.1 --port 443",
            "to-service from-service udp sctp",
        ),
        (
            "--ip 192.0.2.1 --port 443 --protocol tcp",
            "to-service from-service",
        ),
        ("--ip 192.0.2.1 --port 443,8000-8100", {
            "to-service from-service udp sctp in-range last-of-range"
        }),
        ("--ip 192.0.2.1 --port 443 --port 8000-8100", {
            "to-service from-service udp sctp in-range last-of-range"
        }),
        ("--ip 2001:db8::1 --port 443", "six"),
        ("--port 8000-8101", "in-range past-range last-of-range"),
        ("--port 443", {
            "to-service from-service other-end other-end-back udp sctp others six six-other-end"
        }),
        ("--port 65535", "port-zero"),
        ("--port 0", "port-zero"),
        ("--port 443 --protocol udp", "other-end-back udp"),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
}

#[test]
fn pairs() {
    let frames = [
        ("there", tcp4(A, 80, B, 1000)),
        ("back", tcp4(B, 1000, A, 80)),
        ("crossed", tcp4(B, 80, A, 1000)),
        ("udp", udp4(A, 80, B, 1000)),
        ("one-only", tcp4(A, 80, C, 1000)),
        ("peer-only", tcp4(C, 80, B, 1000)),
        ("icmp", Ipv4::new(B, A, ICMP).frame(&echo(8, b"data"))),
        ("arp", arp(B, A)),
        ("arp-other", arp(C, A)),
        ("six", udp6(B6, 1, A6, 2)),
        ("six-other", udp6(B6, 1, C6, 2)),
        ("self", udp4(A, 80, A, 1000)),
    ];
    let filters = [
        (
            "--ip 192.0.2.1 --peer-ip 192.0.2.2",
            "there back crossed udp icmp arp",
        ),
        (
            "--ip 192.0.2.2 --peer-ip 192.0.2.1",
            "there back crossed udp icmp arp",
        ),
        (
            "--ip 192.0.2.1 --port 80 --peer-ip 192.0.2.2",
            "there back udp",
        ),
        (
            "--ip 192.0.2.1 --peer-ip 192.0.2.2 --peer-port 1000",
            "there back udp",
        ),
        (
            "--ip 192.0.2.1 --port 80 --peer-ip 192.0.2.2 --peer-port 1000 --protocol tcp",
            { "there back" },
        ),
        (
            "--ip 192.0.2.1 --port 1000 --peer-ip 192.0.2.2 --peer-port 80",
            "crossed",
        ),
        ("--ip 2001:db8::1 --peer-ip 2001:db8::2", "six"),
        (
            "--ip 192.0.2.0/24 --peer-ip 198.51.100.0/24",
            "one-only peer-only arp-other",
        ),
        (
            "--ip 192.0.2.1 --peer-ip 192.0.2.0/24",
            "there back crossed udp icmp arp self",
        ),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
}

#[test]
fn arp_goes_with_its_addresses() {
    let reverse = {
        // Another protocol type: no IPv4 addresses in it.
        let mut frame = arp(A, B);
        frame[16] = 0x12;
        frame
    };
    let mut tagged_arp = arp(A, B);
    tagged_arp.splice(12..12, [0x81, 0, 0, 7]);
    let frames = [
        ("sender", arp(A, C)),
        ("target", arp(C, A)),
        ("neither", arp(B, C)),
        ("tagged", tagged_arp),
        ("not-ipv4", reverse),
        ("short", ethernet(ETHERTYPE_ARP, &arp(A, B)[14..41])),
        ("whole", ethernet(ETHERTYPE_ARP, &arp(A, B)[14..42])),
    ];
    let filters = [
        ("", "*"),
        ("--ip 192.0.2.1", "sender target tagged whole"),
        ("--ip 192.0.2.1 --port 80", ""),
        ("--port 2048", ""),
        ("--ip 192.0.2.1 --protocol tcp", ""),
        ("--ip 192.0.2.1 --peer-ip 198.51.100.3", "sender target"),
        ("--ip 2001:db8::1", ""),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
}

fn vlan_frames() -> Vec<Labelled> {
    let packet = Ipv4::new(A, B, UDP).packet(&udp(1000, 53, b"data"));
    let packet6 = ipv6(A6, B6, TCP, &tcp(1000, 80, b"data"));
    let (dot1q, dot1ad) = (ETHERTYPE_VLAN, ETHERTYPE_QINQ);
    vec![
        ("plain", ethernet(ETHERTYPE_IPV4, &packet)),
        // Priority 5, drop eligible, VLAN 10: the whole control field comes back.
        ("tag", tagged(&[(dot1q, 0xb00a)], ETHERTYPE_IPV4, &packet)),
        (
            "priority-tag",
            tagged(&[(dot1q, 0xe000)], ETHERTYPE_IPV4, &packet),
        ),
        ("tag6", tagged(&[(dot1q, 10)], ETHERTYPE_IPV6, &packet6)),
        (
            "qinq",
            tagged(&[(dot1ad, 100), (dot1q, 10)], ETHERTYPE_IPV4, &packet),
        ),
        (
            "qinq-old",
            tagged(&[(dot1q, 100), (dot1q, 10)], ETHERTYPE_IPV4, &packet),
        ),
        (
            "qinq6",
            tagged(&[(dot1ad, 100), (dot1q, 10)], ETHERTYPE_IPV6, &packet6),
        ),
        (
            "three",
            tagged(
                &[(dot1ad, 1), (dot1q, 2), (dot1q, 3)],
                ETHERTYPE_IPV4,
                &packet,
            ),
        ),
        (
            "service-only",
            tagged(&[(dot1ad, 100)], ETHERTYPE_IPV4, &packet),
        ),
        (
            "tagged-unknown",
            tagged(&[(dot1q, 10)], 0x9999, b"what is this"),
        ),
    ]
}

const VLAN_FILTERS: [(&str, &str); 5] = [
    ("", "*"),
    (
        "--ip 192.0.2.1",
        "plain tag priority-tag qinq qinq-old three service-only",
    ),
    (
        "--ip 192.0.2.2 --port 53",
        "plain tag priority-tag qinq qinq-old three service-only",
    ),
    ("--protocol tcp", "tag6 qinq6"),
    ("--ip 2001:db8::2", "tag6 qinq6"),
];

#[test]
fn vlan_tags_stripped_on_the_way_in() {
    check(Direction::Ingress, "tc", &vlan_frames(), &VLAN_FILTERS);
}

#[test]
fn vlan_tags_in_the_frame() {
    check(Direction::Egress, "tc", &vlan_frames(), &VLAN_FILTERS);
    check(
        Direction::Ingress,
        "xdp",
        &vlan_frames(),
        &VLAN_FILTERS[..2],
    );
    check(
        Direction::Ingress,
        "xdp-generic",
        &vlan_frames(),
        &VLAN_FILTERS[..2],
    );
}

#[test]
fn ipv4_options_are_looked_through() {
    let mut most = vec![1_u8; 39];
    most.push(0);
    let with = |options: &[u8], dport| {
        Ipv4::new(A, B, UDP)
            .options(options)
            .frame(&udp(1000, dport, b"data"))
    };
    let frames = [
        ("none", with(&[], 53)),
        // A router alert (RFC 2113).
        ("four", with(&[0x94, 4, 0, 0], 53)),
        ("forty", with(&most, 53)),
        ("other", with(&most, 54)),
    ];
    let filters = [
        ("--port 53", "none four forty"),
        ("--ip 192.0.2.2 --port 54", "other"),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
    check(Direction::Ingress, "xdp", &frames, &filters);
}

#[test]
fn ipv6_extension_headers_are_looked_through() {
    let body = udp(1000, 53, b"data");
    let chain = |headers: &[u8]| {
        let (mut next, mut bytes) = (UDP, body.clone());
        for (at, &header) in headers.iter().enumerate().rev() {
            bytes = match header {
                AUTHENTICATION => authentication(next, &bytes),
                FRAGMENT => fragment(next, 9, 0, false, &bytes),
                _ => extension(next, 1 + at % 3, &bytes),
            };
            next = header;
        }
        ipv6_frame(A6, B6, next, &bytes)
    };
    let encrypted = ipv6_frame(A6, B6, 50, &body);
    let frames = [
        ("none", chain(&[])),
        ("hop", chain(&[HOP_BY_HOP])),
        ("routing", chain(&[ROUTING])),
        ("destination", chain(&[DESTINATION_OPTIONS])),
        ("authentication", chain(&[AUTHENTICATION])),
        ("atomic", chain(&[FRAGMENT])),
        ("usual", {
            chain(&[
                HOP_BY_HOP,
                DESTINATION_OPTIONS,
                ROUTING,
                FRAGMENT,
                AUTHENTICATION,
            ])
        }),
        ("eight", chain(&[60; 8])),
        ("nine", chain(&[60; 9])),
        ("esp", encrypted),
    ];
    let all = "none hop routing destination authentication atomic usual eight";
    let filters = [
        ("--protocol udp", all),
        ("--port 53", all),
        ("--ip 2001:db8::2 --port 53 --protocol udp", all),
        ("--ip 2001:db8::1", "*"),
        ("--protocol tcp", ""),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
    check(Direction::Ingress, "xdp", &frames, &filters[1..2]);
}

fn fragments() -> Vec<Labelled> {
    let body = udp(1000, 53, &numbered(1, 40));
    let other = udp(1000, 54, &numbered(2, 40));
    let four = |id, offset: u16, more, body: &[u8]| {
        let from = usize::from(offset) * 8;
        Ipv4::new(A, B, UDP)
            .fragment(id, offset, more)
            .frame(&body[from..(from + 16)])
    };
    let six = |id, offset: u16, more, body: &[u8]| {
        let from = usize::from(offset) * 8;
        let rest = fragment(UDP, id, offset, more, &body[from..from + 16]);
        ipv6_frame(A6, B6, FRAGMENT, &rest)
    };
    vec![
        ("first", four(7, 0, true, &body)),
        ("middle", four(7, 2, true, &body)),
        ("other-first", four(8, 0, true, &other)),
        ("other-last", four(8, 4, false, &other)),
        ("last", four(7, 4, false, &body)),
        // The first one never came.
        ("orphan", four(9, 2, false, &body)),
        // The same identification between other addresses.
        (
            "stranger",
            Ipv4::new(A, C, UDP).fragment(7, 2, false).frame(&[0; 16]),
        ),
        ("first6", six(70_000, 0, true, &body)),
        ("other-first6", six(70_001, 0, true, &other)),
        ("middle6", six(70_000, 2, true, &body)),
        ("other-last6", six(70_001, 4, false, &other)),
        ("last6", six(70_000, 4, false, &body)),
        ("orphan6", six(70_002, 2, false, &body)),
        ("whole", udp4(A, 1000, B, 53)),
    ]
}

#[test]
fn later_fragments_go_with_the_first() {
    let filters = [
        ("--port 53", "first middle last first6 middle6 last6 whole"),
        ("--ip 192.0.2.2 --port 53", "first middle last whole"),
        ("--ip 2001:db8::2 --port 53", "first6 middle6 last6"),
        (
            "--port 54",
            "other-first other-last other-first6 other-last6",
        ),
        (
            "--ip 192.0.2.1",
            "first middle other-first other-last last orphan stranger whole",
        ),
        ("--ip 192.0.2.1 --protocol udp", {
            "first middle other-first other-last last orphan stranger whole"
        }),
        (
            "--ip 192.0.2.1 --port 1000 --peer-ip 192.0.2.2 --peer-port 53",
            { "first middle last whole" },
        ),
        ("--protocol tcp", ""),
    ];
    check(Direction::Ingress, "tc", &fragments(), &filters);
    check(Direction::Egress, "tc", &fragments(), &filters[..2]);
    check(Direction::Ingress, "xdp", &fragments(), &filters[..1]);
}

#[test]
fn short_frames_match_what_they_can_decide() {
    let udp4 = udp4(A, 1000, B, 53);
    let udp6 = udp6(A6, 1000, B6, 53);
    let mut version = udp4.clone();
    version[14] = 0x55;
    let mut header_len = udp4.clone();
    header_len[14] = 0x44;
    let frames = [
        ("header-only", udp4[..14].to_vec()),
        ("cut-address", udp4[..33].to_vec()),
        ("no-ports", udp4[..34].to_vec()),
        ("cut-ports", udp4[..37].to_vec()),
        ("ports", udp4[..38].to_vec()),
        ("cut-address6", udp6[..53].to_vec()),
        ("no-ports6", udp6[..54].to_vec()),
        ("ports6", udp6[..58].to_vec()),
        ("wrong-version", version),
        ("wrong-header-length", header_len),
    ];
    let filters = [
        ("", "*"),
        ("--ip 192.0.2.1", "no-ports cut-ports ports"),
        (
            "--protocol udp",
            "no-ports cut-ports ports no-ports6 ports6",
        ),
        ("--port 53", "ports ports6"),
        ("--ip 2001:db8::2", "no-ports6 ports6"),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
    check(Direction::Ingress, "xdp", &frames, &filters[2..4]);
}
