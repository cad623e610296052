use std::collections::HashSet;

use super::*;
use crate::{
    decode::Decoded,
    testing::{Said, ethernet, framed, icmp, ip, mac, pdml, tcp_frame, udp, udp_frame},
};

fn flatten(fields: &[Field], into: &mut Vec<Said>) {
    for field in fields {
        if !matches!(field.value, Value::Title(_) | Value::Bytes) {
            into.push((
                field.name.to_owned(),
                field.offset,
                field.len,
                field.value.to_string(),
            ));
        }
        flatten(&field.fields, into);
    }
}

fn frames() -> Vec<(u16, Vec<u8>)> {
    let mut frames: Vec<_> = Decoded::examples();
    let mut with_options = tcp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 443), 0x0c2, 7, &[0; 20]);
    with_options[46] = 0xa0;
    let options = [
        2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 1, 3, 3, 7,
    ];
    with_options[54..].copy_from_slice(&options);
    frames.push((1, with_options));
    frames.push((
        1,
        tcp_frame(("fe80::1", 1), ("fe80::2", 2), 0x1d1, 9, b"hello"),
    ));
    let probe = ip("10.0.0.1", "10.0.0.2", 17, &udp(40_000, 33_434, b"probe"));
    frames.push((
        1,
        framed(&ip("10.0.0.3", "10.0.0.1", 1, &icmp(11, 0, 0, &probe))),
    ));
    frames.push((
        1,
        framed(&ip(
            "10.0.0.3",
            "10.0.0.1",
            1,
            &icmp(8, 0, 0x0102_0304, b"ping"),
        )),
    ));
    frames.push((
        1,
        framed(&ip(
            "fe80::3",
            "fe80::1",
            58,
            &icmp(128, 0, 0x0102_0304, b"ping"),
        )),
    ));
    let arp = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &mac(1),
        &[10, 0, 0, 1],
        &[0; 6],
        &[10, 0, 0, 2],
    ];
    frames.push((1, ethernet(mac(1), [0xff; 6], 0x0806, &arp.concat())));
    frames.push((
        1,
        udp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 9999), b"data"),
    ));
    let mut answer = vec![0x12, 0x34, 0x85, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
    answer.extend(b"\x03www\x07example\x03org\x00\x00\x01\x00\x01");
    answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01");
    answer.extend(b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x0e\x10\x00\x10");
    answer.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frames.push((
        1,
        udp_frame(("10.0.0.53", 53), ("10.0.0.1", 40_000), &answer),
    ));
    answer[2] = 1;
    answer.truncate(33);
    answer[7] = 0;
    frames.push((
        1,
        udp_frame(("10.0.0.1", 40_000), ("10.0.0.53", 53), &answer),
    ));
    let mut discover = vec![0; 240];
    discover[..8].copy_from_slice(&[1, 1, 6, 0, 1, 2, 3, 4]);
    discover[28..34].copy_from_slice(&mac(7));
    discover[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    discover.extend([53, 1, 1, 255]);
    frames.push((
        1,
        udp_frame(("0.0.0.0", 68), ("255.255.255.255", 67), &discover),
    ));
    let mut time = vec![0x24, 2, 6, 0xe9];
    time.resize(48, 0);
    frames.push((1, udp_frame(("10.0.0.1", 123), ("10.0.0.2", 123), &time)));
    frames
}

/// Each field is where tshark has it, and says the same.
#[test]
fn as_tshark() {
    let mut differences = Vec::new();
    for link_type in [1, 101, 113, 276] {
        let frames: Vec<_> = frames()
            .into_iter()
            .filter(|(kind, _)| *kind == link_type)
            .collect();
        let packets: Vec<_> = frames.iter().map(|(_, frame)| (0, frame.clone())).collect();
        let Some(said) = pdml(link_type, &packets) else {
            return;
        };
        assert_eq!(said.len(), frames.len());
        for ((_, frame), theirs) in frames.iter().zip(said) {
            let theirs: HashSet<Said> = theirs.into_iter().collect();
            let mut ours = Vec::new();
            flatten(&fields(link_type, frame), &mut ours);
            let missing: Vec<_> = ours
                .iter()
                .filter(|field| !theirs.contains(field))
                .collect();
            let instead = theirs
                .iter()
                .filter(|(name, ..)| missing.iter().any(|field| field.0 == *name));
            let instead: Vec<_> = instead.collect();
            if !missing.is_empty() {
                differences.push(format!("{missing:?}, and tshark has {instead:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// What is compared above is there.
#[test]
fn fields_of_each_protocol() {
    let mut said = Vec::new();
    for (link_type, frame) in frames() {
        flatten(&fields(link_type, &frame), &mut said);
    }
    for name in [
        "eth.src",
        "eth.len",
        "llc.type",
        "vlan.id",
        "ieee8021ad.id",
        "sll.etype",
        "arp.opcode",
        "mpls.label",
        "pppoe.session_id",
        "ppp.protocol",
        "ip.flags.df",
        "ip.frag_offset",
        "ipv6.flow",
        "ipv6.hopopts.nxt",
        "ipv6.dstopts.len",
        "ipv6.fraghdr.ident",
        "ah.spi",
        "tcp.flags.syn",
        "tcp.len",
        "tcp.options.mss_val",
        "tcp.options.wscale.shift",
        "tcp.options.timestamp.tsval",
        "udp.length",
        "icmp.ident",
        "icmpv6.echo.sequence_number",
        "gre.proto",
        "vxlan.vni",
        "geneve.vni",
        "sll.ifindex",
        "dns.qry.name",
        "dns.a",
        "dns.aaaa",
        "dns.flags.rcode",
        "dhcp.hw.mac_addr",
        "ntp.flags.mode",
    ] {
        assert!(said.iter().any(|(there, ..)| there == name), "{name}");
    }
}

/// The innermost addresses and ports are those that `decode` finds, wherever it is cut nothing lies outside.
#[test]
fn as_decode() {
    for (link_type, frame) in frames() {
        let decoded = Decoded::new(link_type, &frame, frame.len() as u32);
        let layers = fields(link_type, &frame);
        let mut said = Vec::new();
        flatten(&layers, &mut said);
        let is_error = decoded.icmp().is_some_and(|icmp| icmp.is_error());
        if let (Some(ip), false) = (decoded.ip, is_error) {
            let source = said
                .iter()
                .rev()
                .find(|(name, ..)| name == "ip.src" || name == "ipv6.src");
            let is_followed =
                source.map(|(.., value)| value.clone()) == Some(ip.source.to_string());
            // GTP and ERSPAN, and some link types, are not in the tree yet.
            let is_left_out = decoded.tunnels > 0 || ![1, 101, 113, 276].contains(&link_type);
            assert!(is_followed || is_left_out, "{said:#?}");
        }
        for len in 0..frame.len() {
            let mut said = Vec::new();
            flatten(&fields(link_type, &frame[..len]), &mut said);
            assert!(
                said.iter()
                    .all(|(_, at, field_len, _)| (at + field_len) as usize <= len)
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_frames_are_no_danger(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), which in 0usize..100) {
        let frames = frames();
        let (link_type, mut frame) = frames[which % frames.len()].clone();
        let _ = fields(link_type, &bytes);
        for pair in bytes.chunks_exact(2).take(4) {
            let at = usize::from(pair[0]) % frame.len();
            frame[at] = pair[1];
        }
        for field in fields(link_type, &frame) {
            proptest::prop_assert!((field.offset + field.len) as usize <= frame.len());
        }
    }
}
