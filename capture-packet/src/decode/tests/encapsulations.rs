//! Every encapsulation around the same UDP datagram, and what tshark says of it.

use super::*;
use crate::testing::{Header, ethernet, framed, ip, ip_with, mac, tshark, udp};

const CLIENT: &str = "10.9.0.2";
const SERVER: &str = "10.9.0.1";
const CLIENT6: &str = "2001:db8::2";
const SERVER6: &str = "2001:db8::1";

fn datagram() -> Vec<u8> {
    udp(5353, 9999, b"xxxxxxxxxxxxxxxxxxxx")
}

fn v4() -> Vec<u8> {
    ip(CLIENT, SERVER, 17, &datagram())
}

fn v6() -> Vec<u8> {
    ip(CLIENT6, SERVER6, 17, &datagram())
}

/// A packet with a header between IPv6 and UDP, of which `header` is all but the first byte.
fn extended(kind: u8, header: &[u8]) -> Vec<u8> {
    let payload = [&[17], header, &datagram()].concat();
    framed(&ip(CLIENT6, SERVER6, kind, &payload))
}

fn tagged(tags: &[(u16, u16)], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, (_, id)) in tags.iter().enumerate() {
        bytes.extend(id.to_be_bytes());
        bytes.extend(
            tags.get(place + 1)
                .map_or(kind, |(next, _)| *next)
                .to_be_bytes(),
        );
    }
    ethernet(
        mac(1),
        mac(2),
        tags[0].0,
        &[bytes, payload.to_vec()].concat(),
    )
}

fn gre(flags: u16, kind: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = [flags.to_be_bytes(), kind.to_be_bytes()].concat();
    framed(&ip(
        "198.51.100.2",
        "198.51.100.1",
        47,
        &[&header, options, payload].concat(),
    ))
}

fn in_udp(port: u16, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let payload = [header, payload].concat();
    framed(&ip(
        "198.51.100.2",
        "198.51.100.1",
        17,
        &udp(40_000, port, &payload),
    ))
}

fn pppoe(protocol: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = (protocol.len() + payload.len()) as u16;
    [&[0x11, 0, 0, 1], &len.to_be_bytes()[..], protocol, payload].concat()
}

/// Name, link type, frame, and how many tunnels there are.
pub(super) fn all() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let eth = |kind, payload: &[u8]| ethernet(mac(1), mac(2), kind, payload);
    let with_options = {
        let mut packet = v4();
        packet[0] = 0x47;
        packet.splice(20..20, [7, 7, 4, 0, 0, 0, 0, 0]);
        let len = packet.len() as u16;
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        packet
    };
    let ah = [&[17, 4, 0, 0], &[0; 20][..]].concat();
    let snap = {
        let payload = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4()[..]].concat();
        eth(payload.len() as u16, &payload)
    };
    let atomic = [&[0][..], &[0, 0, 0, 0, 0, 9]].concat();
    vec![
        ("ethernet", 1, framed(&v4()), 0),
        ("ethernet6", 1, framed(&v6()), 0),
        ("options", 1, framed(&with_options), 0),
        ("tag", 1, tagged(&[(0x8100, 42)], 0x0800, &v4()), 0),
        ("priority", 1, tagged(&[(0x8100, 0xe000)], 0x0800, &v4()), 0),
        (
            "802.1ad",
            1,
            tagged(&[(0x88a8, 100), (0x8100, 13)], 0x86dd, &v6()),
            0,
        ),
        (
            "0x9100",
            1,
            tagged(&[(0x9100, 999), (0x8100, 13)], 0x0800, &v4()),
            0,
        ),
        (
            "6 tags",
            1,
            tagged(&[1, 2, 3, 4, 5, 6].map(|id| (0x8100, id)), 0x0800, &v4()),
            0,
        ),
        ("snap", 1, snap, 0),
        (
            "mpls",
            1,
            eth(0x8847, &[&[0, 1, 1, 64], &v4()[..]].concat()),
            0,
        ),
        (
            "mpls 2",
            1,
            eth(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64], &v6()[..]].concat()),
            0,
        ),
        (
            "mpls ethernet",
            1,
            eth(
                0x8847,
                &[&[0, 1, 0x11, 64, 0, 0, 0, 0], &framed(&v4())[..]].concat(),
            ),
            0,
        ),
        ("pppoe", 1, eth(0x8864, &pppoe(&[0, 0x21], &v4())), 0),
        ("pppoe6", 1, eth(0x8864, &pppoe(&[0, 0x57], &v6())), 0),
        (
            "tag pppoe",
            1,
            tagged(&[(0x8100, 7)], 0x8864, &pppoe(&[0, 0x21], &v4())),
            0,
        ),
        ("hop by hop", 1, extended(0, &[0, 1, 4, 0, 0, 0, 0]), 0),
        (
            "destination",
            1,
            extended(60, &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            0,
        ),
        ("atomic fragment", 1, extended(44, &atomic), 0),
        ("ah6", 1, extended(51, &ah[1..]), 0),
        (
            "ah4",
            1,
            framed(&ip(CLIENT, SERVER, 51, &[&ah, &datagram()[..]].concat())),
            0,
        ),
        (
            "ipip",
            1,
            framed(&ip("198.51.100.2", "198.51.100.1", 4, &v4())),
            1,
        ),
        (
            "6in4",
            1,
            framed(&ip("198.51.100.2", "198.51.100.1", 41, &v6())),
            1,
        ),
        ("4in6", 1, framed(&ip(CLIENT6, SERVER6, 4, &v4())), 1),
        ("gre", 1, gre(0, 0x0800, &[], &v4()), 1),
        ("gre key", 1, gre(0x2000, 0x86dd, &[0, 0, 0, 1], &v6()), 1),
        ("gre all", 1, gre(0xb000, 0x0800, &[0; 12], &v4()), 1),
        ("gre ethernet", 1, gre(0, 0x6558, &[], &framed(&v4())), 1),
        (
            "erspan",
            1,
            gre(
                0x1000,
                0x88be,
                &[0, 0, 0, 1, 0x10, 1, 0, 0, 0, 0, 0, 1],
                &framed(&v4()),
            ),
            1,
        ),
        (
            "vxlan",
            1,
            in_udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &framed(&v4())),
            1,
        ),
        (
            "geneve",
            1,
            in_udp(
                6081,
                &[1, 0, 0x65, 0x58, 0, 0, 7, 0, 0, 0, 0, 0],
                &framed(&v4()),
            ),
            1,
        ),
        (
            "gtp",
            1,
            in_udp(2152, &[0x30, 0xff, 0, 48, 0, 0, 0, 1], &v4()),
            1,
        ),
        ("raw", 101, v4(), 0),
        ("raw6", 101, v6(), 0),
        ("ppp", 9, [&[0xff, 3, 0, 0x21], &v4()[..]].concat(), 0),
        (
            "sll",
            113,
            [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &v4()[..]].concat(),
            0,
        ),
        (
            "sll2",
            276,
            [
                &[
                    0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0,
                ],
                &v6()[..],
            ]
            .concat(),
            0,
        ),
        ("null", 0, [&[2, 0, 0, 0], &v4()[..]].concat(), 0),
    ]
}

impl Decoded<'_> {
    /// Link types and frames, for other tests.
    pub(crate) fn examples() -> Vec<(u16, Vec<u8>)> {
        let all = all().into_iter();
        all.map(|(_, link_type, frame, _)| (link_type, frame))
            .collect()
    }
}

/// The datagram is found in all of them, and where tshark finds it.
#[test]
fn the_datagram_is_found() {
    let mut by_link_type = std::collections::BTreeMap::<u16, Vec<_>>::new();
    for (name, link_type, frame, tunnels) in all() {
        let decoded = Decoded::new(link_type, &frame, frame.len() as u32);
        assert_eq!(
            decoded.transport.ports(),
            Some((5353, 9999)),
            "{name}: {decoded:?}"
        );
        assert_eq!(decoded.payload, [b'x'; 20], "{name}");
        assert_eq!(decoded.payload_len, 20, "{name}");
        assert_eq!(decoded.tunnels, tunnels, "{name}");
        by_link_type
            .entry(link_type)
            .or_default()
            .push((name, frame));
    }
    for (link_type, frames) in by_link_type {
        let fields = [
            "ip.src",
            "ipv6.src",
            "udp.srcport",
            "udp.length",
            "vlan.id",
            "ieee8021ad.id",
        ];
        // Whether there is Ethernet behind a label is configured in tshark.
        let mut args = vec!["-d", "mpls.label==17,pwethcw"];
        args.extend(["-T", "fields", "-E", "separator=;", "-E", "aggregator=,"]);
        args.extend(fields.iter().flat_map(|field| ["-e", *field]));
        let packets: Vec<_> = frames.iter().map(|(_, frame)| (0, frame.clone())).collect();
        let Some(lines) = tshark(link_type, &packets, &args) else {
            return;
        };
        assert_eq!(lines.len(), frames.len());
        for ((name, frame), line) in frames.iter().zip(lines) {
            let decoded = Decoded::new(link_type, frame, frame.len() as u32);
            let fields: Vec<_> = line.split(';').collect();
            let last = |at: usize| fields[at].rsplit(',').next().unwrap_or_default().to_owned();
            let ip = decoded.ip.expect("IP");
            let source = if ip.is_v4() { last(0) } else { last(1) };
            assert_eq!(source, ip.source.to_string(), "{name}");
            assert_eq!(
                (last(2).as_str(), last(3).as_str()),
                ("5353", "28"),
                "{name}"
            );
            let vlan = [fields[5], fields[4]].join(",");
            let vlan = vlan.trim_start_matches(',').split(',').next();
            assert_eq!(
                vlan.unwrap_or_default(),
                decoded.vlan.map_or(String::new(), |vlan| vlan.to_string()),
                "{name}"
            );
        }
    }
}

#[test]
fn fragments_are_told() {
    let part = |fragment, payload: &[u8]| {
        let header = Header {
            fragment,
            id: 77,
            ..Header::default()
        };
        framed(&ip_with(header, CLIENT, SERVER, 17, payload))
    };
    let whole = udp(5353, 9999, &[7; 40]);
    let first = part(0x2000, &whole[..24]);
    let first = decode(&first);
    assert_eq!(first.transport.ports(), Some((5353, 9999)));
    let is_first = Fragment {
        offset: 0,
        more: true,
    };
    assert_eq!(first.ip.and_then(|ip| ip.fragment), Some(is_first));
    assert!(first.problems.is_empty());
    let second = part(3, &whole[24..]);
    let second = decode(&second);
    assert_eq!(
        (second.transport, second.payload),
        (Transport::None, &whole[24..])
    );
    let is_last = Fragment {
        offset: 24,
        more: false,
    };
    assert_eq!(second.ip.and_then(|ip| ip.fragment), Some(is_last));
    // IPv6: the identification is in the extension header.
    let header = [17, 0, 0, 0x19, 0, 0, 0, 9];
    let frame = framed(&ip(
        CLIENT6,
        SERVER6,
        44,
        &[&header[..], &whole[24..]].concat(),
    ));
    let ip = decode(&frame).ip.expect("IP");
    let is_between = Fragment {
        offset: 24,
        more: true,
    };
    assert_eq!(
        (ip.fragment, ip.identification),
        (Some(is_between), Some(9))
    );
    assert_eq!(ip.protocol, 17);
}
