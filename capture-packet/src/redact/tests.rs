//! Frames of every kind: nothing of an address, a key or a payload is left, and what is left can be read.

use std::{collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;

use super::*;
use crate::{
    address::Address,
    decode::{Decoded, TcpFlags, Transport, link_type},
    testing::{self, MILLISECOND, START, ethernet, framed, icmp, ip, tcp, tshark, udp},
};

const KEY: [u8; KEY_LEN] = [9; KEY_LEN];

/// Addresses whose bytes occur nowhere by chance.
const V4: [&str; 4] = [
    "198.51.100.77",
    "203.0.113.201",
    "10.83.97.211",
    "192.168.143.219",
];
const V6: [&str; 3] = [
    "2001:db8:71a3:9c4f:b3d1:e7f2:a1c5:d9b7",
    "fd6e:93b1:c7a5::d4e8:f1b3",
    "fe80::7c3d:91ff:feb7:e5c3",
];
const MAC: [u8; 6] = [0x00, 0x1b, 0x21, 0xd7, 0xc3, 0xb9];
const OTHER_MAC: [u8; 6] = [0x3c, 0xfd, 0xfe, 0xa9, 0xe1, 0x97];

fn anonymiser() -> Redactor {
    Redactor::anonymising(Pseudonyms::new(&KEY))
}

fn redacted(redactor: &mut Redactor, link_type: u16, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    redactor.redact(link_type, frame, frame.len() as u32, &mut out);
    assert!(out.len() <= frame.len());
    out
}

fn anonymised(frame: &[u8]) -> Vec<u8> {
    redacted(&mut anonymiser(), link_type::ETHERNET, frame)
}

fn octets(address: &str) -> Vec<u8> {
    match address.parse().expect("an address") {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Every form in which an address could have got out.
fn traces() -> Vec<Vec<u8>> {
    let addresses = V4.iter().chain(&V6);
    let mut traces: Vec<_> = addresses.clone().map(|address| octets(address)).collect();
    // The end of an address of IPv6: of groups, and of hardware addresses in it.
    traces.extend(V6.iter().map(|address| octets(address)[13..].to_vec()));
    traces.extend(addresses.map(|address| address.as_bytes().to_vec()));
    traces.extend([MAC, OTHER_MAC].map(|mac| mac[1..].to_vec()));
    traces.push(SECRET.to_vec());
    traces
}

const SECRET: &[u8] = b"hunter2";

fn leaks(out: &[u8]) -> Option<Vec<u8>> {
    let found = |trace: &Vec<u8>| memchr::memmem::find(out, trace).is_some();
    traces().into_iter().find(found)
}

/// An application that tells all.
fn payload() -> Vec<u8> {
    let mut payload = Vec::new();
    for trace in traces() {
        payload.extend(trace);
    }
    payload
}

fn on_ethernet(packet: &[u8]) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    ethernet(MAC, OTHER_MAC, kind, packet)
}

/// An IPv6 packet with an extension header of this kind in front of what it carries.
fn extended(kind: u8, next: u8, extension: &[u8], inner: &[u8]) -> Vec<u8> {
    let units = (extension.len() + 2) / 8 - 1;
    let header = [&[next, units as u8], extension].concat();
    assert_eq!(header.len() % 8, 0);
    ip(V6[0], V6[1], kind, &[&header[..], inner].concat())
}

fn with_options(options: &[u8], inner: &[u8]) -> Vec<u8> {
    let plain = ip(V4[0], V4[1], 17, &[options, inner].concat());
    let mut packet = plain;
    packet[0] = 0x45 + (options.len() / 4) as u8;
    packet
}

fn neighbour(kind: u8, body: &[u8]) -> Vec<u8> {
    ip(
        V6[2],
        V6[0],
        58,
        &[&[kind, 0, 0, 0, 0, 0, 0, 0], body].concat(),
    )
}

/// A frame of every kind that has addresses in it, and what it is.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let (a, b) = (octets(V4[0]), octets(V4[2]));
    let (x, y) = (octets(V6[0]), octets(V6[2]));
    let data = payload();
    let inner_udp = udp(4000, 4001, &data);
    let inner_v4 = ip(V4[2], V4[3], 17, &inner_udp);
    let inner_v6 = ip(V6[2], V6[1], 17, &inner_udp);
    let inner_frame = on_ethernet(&inner_v4);
    let arp = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..],
        &MAC,
        &a,
        &OTHER_MAC,
        &b,
        &data,
    ]
    .concat();
    let route = [&[7, 11, 12][..], &a, &b, &[0]].concat();
    let stamps = [&[68, 20, 21, 1][..], &a, &[0, 0, 0, 1], &b, &[0, 0, 0, 2]].concat();
    let unknown = [&[0x88, 6][..], &a, &[0, 0]].concat();
    let home = [&[1, 2, 0, 0, 0xc9, 16][..], &x, &[0x1e, 4][..], &a, &[1, 0]].concat();
    let segments = [&[4, 1, 1, 0, 0, 0][..], &x, &y].concat();
    let type_0 = [&[0, 2, 0, 0, 0, 0][..], &x, &y].concat();
    let link = [&[1, 1][..], &MAC, &[2, 1], &OTHER_MAC].concat();
    let prefix = [
        &[3, 4, 64, 0xc0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0][..],
        &x,
    ]
    .concat();
    let servers = [&[25, 5, 0, 0, 0, 0, 0, 9][..], &x, &y].concat();
    let names = [&[31, 3, 0, 0, 0, 0, 0, 9][..], &a, &b, &a, &b].concat();
    let group = [&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff][..], &x[13..]].concat();
    let report = [&[143, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1][..], &group, &x].concat();
    let redirected = [&y[..], &x, &[4, 7, 0, 0, 0, 0, 0, 0], &inner_v6].concat();
    let mptcp = [&[30, 8, 0x31, 1][..], &a, &[2, 4, 5, 180]].concat();
    let mut with_mptcp = tcp((80, 81), TcpFlags::SYN, 7, &[&mptcp[..], &data].concat());
    with_mptcp[12] = 0x80;
    let sctp = [&[0, 80, 0, 81, 1, 2, 3, 4][..], &a, &[1, 0, 0, 20], &data].concat();
    let gre = [&[0x80, 0, 8, 0, 0x12, 0x34, 0, 0][..], &inner_v4].concat();
    let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner_frame].concat();
    let geneve = [
        &[2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 1][..],
        &a,
        &inner_frame,
    ]
    .concat();
    let gtp = [
        &[0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 9, 9, 0][..],
        &inner_v4,
    ]
    .concat();
    vec![
        ("arp", ethernet(MAC, [0xff; 6], 0x0806, &arp)),
        (
            "tcp",
            on_ethernet(&ip(
                V4[0],
                V4[1],
                6,
                &tcp((80, 81), TcpFlags::ACK, 7, &data),
            )),
        ),
        (
            "tcp with an address in an option",
            on_ethernet(&ip(V4[0], V4[1], 6, &with_mptcp)),
        ),
        ("udp", on_ethernet(&ip(V6[0], V6[1], 17, &inner_udp))),
        (
            "vlan",
            ethernet(
                MAC,
                OTHER_MAC,
                0x8100,
                &[&[0, 7, 8, 0][..], &inner_v4].concat(),
            ),
        ),
        (
            "mpls",
            ethernet(
                MAC,
                OTHER_MAC,
                0x8847,
                &[&[0, 1, 1, 64][..], &inner_v4].concat(),
            ),
        ),
        (
            "record route",
            on_ethernet(&with_options(&route, &inner_udp)),
        ),
        (
            "timestamps",
            on_ethernet(&with_options(&stamps, &inner_udp)),
        ),
        (
            "an unknown option",
            on_ethernet(&with_options(&unknown, &inner_udp)),
        ),
        (
            "home address",
            on_ethernet(&extended(60, 17, &home, &inner_udp)),
        ),
        (
            "segments",
            on_ethernet(&extended(43, 17, &segments, &inner_udp)),
        ),
        (
            "routing",
            on_ethernet(&extended(43, 17, &type_0, &inner_udp)),
        ),
        (
            "mobility",
            on_ethernet(&extended(135, 59, &[&x[..], &y, &[0; 6]].concat(), &[])),
        ),
        ("ip in ip", on_ethernet(&ip(V4[0], V4[1], 4, &inner_v4))),
        ("6in4", on_ethernet(&ip(V4[0], V4[1], 41, &inner_v6))),
        ("gre", on_ethernet(&ip(V4[0], V4[1], 47, &gre))),
        (
            "vxlan",
            on_ethernet(&ip(V4[0], V4[1], 17, &udp(4000, 4789, &vxlan))),
        ),
        (
            "geneve",
            on_ethernet(&ip(V6[0], V6[1], 17, &udp(4000, 6081, &geneve))),
        ),
        (
            "gtp",
            on_ethernet(&ip(V4[0], V4[1], 17, &udp(2152, 2152, &gtp))),
        ),
        (
            "quote",
            on_ethernet(&ip(V4[1], V4[0], 1, &icmp(3, 1, 0, &inner_v4))),
        ),
        ("gateway", {
            let gateway = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
            on_ethernet(&ip(V4[1], V4[0], 1, &icmp(5, 1, gateway, &inner_v4)))
        }),
        (
            "quote of 8 bytes",
            on_ethernet(&ip(V4[1], V4[0], 1, &icmp(11, 0, 0, &inner_v4[..28]))),
        ),
        (
            "ping",
            on_ethernet(&ip(V4[1], V4[0], 1, &icmp(8, 0, 1, &data))),
        ),
        (
            "quote of ipv6",
            on_ethernet(&ip(V6[1], V6[0], 58, &icmp(1, 4, 0, &inner_v6))),
        ),
        ("solicitation", {
            let message = neighbour(135, &[&x[..], &link].concat());
            ethernet(
                MAC,
                [0x33, 0x33, 0xff, x[13], x[14], x[15]],
                0x86dd,
                &message,
            )
        }),
        (
            "advertisement",
            on_ethernet(&neighbour(
                134,
                &[&[0; 8][..], &link, &prefix, &servers, &names].concat(),
            )),
        ),
        ("redirect", on_ethernet(&neighbour(137, &redirected))),
        ("groups", on_ethernet(&ip(V6[2], "ff02::16", 58, &report))),
        ("sctp", on_ethernet(&ip(V4[0], V4[1], 132, &sctp))),
        ("ospf", on_ethernet(&ip(V4[0], V4[1], 89, &data))),
        ("esp", on_ethernet(&ip(V4[0], V4[1], 50, &data))),
        (
            "lldp",
            ethernet(MAC, [1, 0x80, 0xc2, 0, 0, 0xe], 0x88cc, &data),
        ),
        (
            "spanning tree",
            ethernet(
                MAC,
                [1, 0x80, 0xc2, 0, 0, 0],
                38,
                &[&[0x42, 0x42, 3][..], &data].concat(),
            ),
        ),
        ("pppoe", {
            let session = [&[0x11, 0, 0, 7, 0x04, 0, 0, 0x21][..], &inner_v4].concat();
            ethernet(MAC, OTHER_MAC, 0x8864, &session)
        }),
    ]
}

#[test]
fn nothing_gets_out() {
    for (what, frame) in frames() {
        assert!(leaks(&frame).is_some(), "{what} has nothing in it");
        let out = anonymised(&frame);
        assert_eq!(leaks(&out), None, "{what}: {out:02x?}");
        assert!(out.len() >= 14, "{what}");
    }
}

#[test]
fn nothing_gets_out_of_a_frame_that_was_cut_anywhere() {
    let mut redactor = anonymiser();
    for (what, frame) in frames() {
        for len in 0..frame.len().min(200) {
            let mut out = Vec::new();
            redactor.redact(
                link_type::ETHERNET,
                &frame[..len],
                frame.len() as u32,
                &mut out,
            );
            assert!(out.len() <= len);
            assert_eq!(leaks(&out), None, "{what}, {len} bytes: {out:02x?}");
        }
    }
}

/// All headers are as they were, but for the addresses.
#[test]
fn what_is_left_is_what_was_there() {
    let mut pseudonyms = Pseudonyms::new(&KEY);
    for (what, frame) in frames() {
        if what == "mobility" {
            // The header that is cut stands before what is carried.
            continue;
        }
        let out = anonymised(&frame);
        let before = Decoded::new(link_type::ETHERNET, &frame, frame.len() as u32);
        let after = Decoded::new(link_type::ETHERNET, &out, frame.len() as u32);
        assert_eq!(after.tunnels, before.tunnels, "{what}");
        assert_eq!(after.vlan, before.vlan, "{what}");
        assert_eq!(after.problems, before.problems, "{what}");
        if before.tcp().is_some() || before.udp().is_some() {
            assert!(after.payload.is_empty(), "{what}");
        }
        let Some((old, new)) = before.ip.zip(after.ip) else {
            assert_eq!(before.ip, after.ip, "{what}");
            continue;
        };
        assert_eq!(new.source, of(&mut pseudonyms, old.source), "{what}");
        assert_eq!(
            new.destination,
            of(&mut pseudonyms, old.destination),
            "{what}"
        );
        assert_eq!(new.total_len, old.total_len, "{what}");
        let kind = |transport: &Transport| std::mem::discriminant(transport);
        assert_eq!(kind(&after.transport), kind(&before.transport), "{what}");
        assert_eq!(after.transport.ports(), before.transport.ports(), "{what}");
        assert_eq!(after.payload_len, before.payload_len, "{what}");
    }
}

fn of(pseudonyms: &mut Pseudonyms, address: Address) -> Address {
    match address.ip() {
        IpAddr::V4(v4) => Address::v4(pseudonyms.v4(v4.octets())),
        IpAddr::V6(v6) => Address::v6(pseudonyms.v6(v6.octets())),
    }
}

#[test]
fn without_pseudonyms_only_the_payload_goes() {
    for (what, frame) in frames() {
        let out = redacted(&mut Redactor::stripping(), link_type::ETHERNET, &frame);
        assert!(memchr::memmem::find(&out, SECRET).is_none(), "{what}");
        assert_eq!(out[..14], frame[..14], "{what}");
        let before = Decoded::new(link_type::ETHERNET, &frame, frame.len() as u32);
        let after = Decoded::new(link_type::ETHERNET, &out, frame.len() as u32);
        assert!(before.ip == after.ip || what == "mobility", "{what}");
        assert_eq!(before.arp, after.arp, "{what}");
    }
}

#[test]
fn other_link_layers() {
    let packet = ip(V4[0], V4[1], 17, &udp(1, 2, &payload()));
    let cooked = [&[0, 0, 0, 1, 0, 6][..], &MAC, &[0xab, 0xcd, 8, 0]].concat();
    let of_tunnel = [&[0, 0, 3, 8, 0, 4][..], &octets(V4[0]), &[0; 4], &[8, 0]].concat();
    let cooked_2 = [&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6][..], &MAC, &[0, 0]].concat();
    for (kind, header) in [
        (link_type::RAW, vec![]),
        (link_type::IPV4, vec![]),
        (link_type::NULL, vec![2, 0, 0, 0]),
        (link_type::PPP, vec![0xff, 3, 0, 0x21]),
        (link_type::LINUX_SLL, cooked),
        (link_type::LINUX_SLL, of_tunnel),
        (link_type::LINUX_SLL2, cooked_2),
    ] {
        let out = redacted(&mut anonymiser(), kind, &[&header[..], &packet].concat());
        assert_eq!(leaks(&out), None, "{kind}");
        let decoded = Decoded::new(kind, &out, 1000);
        assert!(decoded.udp().is_some(), "{kind}");
    }
    // Wi-Fi: nobody here knows it.
    assert!(redacted(&mut anonymiser(), 105, &packet).is_empty());
}

/// A frame of TCP without payload, of which tshark can check everything.
fn acknowledgement(source: &str, destination: &str) -> Vec<u8> {
    let link = etherparse::PacketBuilder::ethernet2(MAC, OTHER_MAC);
    let network = match (octets(source).try_into(), octets(destination).try_into()) {
        (Ok(source), Ok(destination)) => link.ipv4(source, destination, 64),
        _ => link.ipv6(
            octets(source).try_into().expect("an address"),
            octets(destination).try_into().expect("an address"),
            64,
        ),
    };
    let mut frame = Vec::new();
    let segment = network.tcp(80, 81, 7, 1000).ack(8);
    segment.write(&mut frame, &[]).expect("a frame");
    frame
}

/// The checksum of TCP in such a frame of IPv4.
const TCP_CHECKSUM: usize = 14 + 20 + 16;
const IP_CHECKSUM: usize = 14 + 10;

fn checked(frames: &[Vec<u8>]) -> Option<Vec<String>> {
    let stamped: Vec<_> = (0..)
        .map(|n| START + n * MILLISECOND)
        .zip(frames.to_vec())
        .collect();
    let options = [
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
    ];
    let fields = [
        "-T",
        "fields",
        "-e",
        "ip.checksum.status",
        "-e",
        "tcp.checksum.status",
        "-e",
        "udp.checksum.status",
    ];
    tshark(
        link_type::ETHERNET,
        &stamped,
        &[&options[..], &fields].concat(),
    )
}

#[test]
fn a_right_checksum_is_right_and_a_wrong_one_is_wrong() {
    let right = acknowledgement(V4[0], V4[1]);
    let mut wrong = right.clone();
    wrong[TCP_CHECKSUM] ^= 0x40;
    let mut wrong_ip = right.clone();
    wrong_ip[IP_CHECKSUM] ^= 0x40;
    let v6 = acknowledgement(V6[0], V6[1]);
    let out: Vec<_> = [right, wrong, wrong_ip, v6]
        .iter()
        .map(|frame| anonymised(frame))
        .collect();
    let Some(status) = checked(&out) else { return };
    assert_eq!(status, ["1\t1\t", "1\t0\t", "0\t1\t", "\t1\t"]);
}

#[test]
fn a_checksum_tells_nothing_of_what_was_cut() {
    let frame =
        |data: &[u8]| on_ethernet(&ip(V4[0], V4[1], 6, &tcp((80, 81), TcpFlags::ACK, 7, data)));
    for redactor in [&mut anonymiser(), &mut Redactor::stripping()] {
        let [x, y] = [b"x", b"y"].map(|data| redacted(redactor, link_type::ETHERNET, &frame(data)));
        assert_eq!(x, y);
    }
    // Nor of an address, where the interface was to do the sum.
    let mut partial = frame(b"x");
    let sum = |frame: &[u8]| {
        let pseudo = [&frame[26..34], &[0, 6, 0, 21]].concat();
        let words = pseudo
            .chunks(2)
            .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        ((sum & 0xffff) + (sum >> 16)) as u16
    };
    let of_original = sum(&partial).to_be_bytes();
    partial[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&of_original);
    let out = anonymised(&partial);
    assert_eq!(out[TCP_CHECKSUM..TCP_CHECKSUM + 2], sum(&out).to_be_bytes());
    // UDP without one stays without one.
    let mut absent = on_ethernet(&ip(V4[0], V4[1], 17, &udp(1, 2, b"x")));
    absent[40..42].fill(0);
    assert_eq!(anonymised(&absent)[40..42], [0, 0]);
}

/// What tshark says of each frame: who, with whom, how many bytes.
fn conversations(frames: &[(u64, Vec<u8>)]) -> Option<Vec<(String, String, String)>> {
    let args = [
        "-T", "fields", "-e", "ip.src", "-e", "ip.dst", "-e", "ip.len",
    ];
    let lines = tshark(link_type::ETHERNET, frames, &args)?;
    assert_eq!(lines.len(), frames.len());
    let split = |line: String| {
        let mut parts = line.splitn(3, '\t').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        (next(), next(), next())
    };
    Some(lines.into_iter().map(split).collect())
}

#[test]
fn conversations_keep_their_shape() {
    let mut redactor = anonymiser();
    let all = [
        &V4[..],
        &["8.8.8.8", "10.83.97.1", "10.83.0.1", "224.0.0.251"],
    ]
    .concat();
    let mut frames = Vec::new();
    let mut out = Vec::new();
    for (n, source) in all.iter().enumerate() {
        for (m, destination) in all.iter().enumerate() {
            let data = vec![b'x'; n * 8 + m];
            let frame = testing::udp_frame((source, 1000), (destination, 53), &data);
            out.push((START, redacted(&mut redactor, link_type::ETHERNET, &frame)));
            frames.push((START, frame));
        }
    }
    let before = conversations(&frames);
    let after = conversations(&out);
    let (Some(before), Some(after)) = (before, after) else {
        return;
    };
    let mut names = BTreeMap::new();
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.2, new.2);
        for (old, new) in [(&old.0, &new.0), (&old.1, &new.1)] {
            assert_eq!(names.entry(old.clone()).or_insert_with(|| new.clone()), new);
        }
    }
    let mut pseudonyms: Vec<_> = names.values().collect();
    pseudonyms.sort();
    pseudonyms.dedup();
    assert_eq!(pseudonyms.len(), all.len());
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let mut whole: Vec<_> = frames().into_iter().map(|(_, frame)| frame).collect();
    whole.push(framed(&ip(V4[0], V4[1], 6, &tcp((1, 2), 0, 3, b""))));
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (prop::sample::select(whole), changes).prop_map(|(mut frame, changes)| {
        for (at, byte) in changes {
            let at = at.index(frame.len().min(120));
            frame[at] = byte;
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever a frame is: headers that `decode` finds in what is left have pseudonyms.
    #[test]
    fn no_frame_is_too_odd(frame in any_frame(), kind in prop::sample::select(vec![1_u16, 1, 1, 101, 113, 276, 0, 9]), wire in 0..3000_u32) {
        let mut redactor = anonymiser();
        let mut out = Vec::new();
        redactor.redact(kind, &frame, wire, &mut out);
        prop_assert!(out.len() <= frame.len());
        let before = Decoded::new(kind, &frame, wire.max(frame.len() as u32));
        let after = Decoded::new(kind, &out, wire.max(frame.len() as u32));
        if let (Some(old), Some(new)) = (before.ip, after.ip)
            && after.tunnels == before.tunnels && old.offset == new.offset
        {
            let mut pseudonyms = Pseudonyms::new(&KEY);
            prop_assert_eq!(new.source, of(&mut pseudonyms, old.source));
            prop_assert_eq!(new.destination, of(&mut pseudonyms, old.destination));
        }
        prop_assert!(memchr::memmem::find(&out, SECRET).is_none());
    }

    #[test]
    fn nor_is_any_sequence_of_bytes(frame in prop::collection::vec(any::<u8>(), 0..300), kind in 0..300_u16) {
        let mut out = Vec::new();
        anonymiser().redact(kind, &frame, frame.len() as u32, &mut out);
        prop_assert!(out.len() <= frame.len());
    }
}
