mod applications;
mod tls;

use std::collections::{HashMap, HashSet};

use super::{
    known::{self, Kind},
    *,
};
use crate::{
    decode::Decoded,
    testing::{Said, ethernet, framed, icmp, ip, mac, pdml, tcp_frame, udp, udp_frame},
};

/// The link types of the frames below.
pub(crate) const LINK_TYPES: [u16; 6] = [0, 1, 9, 101, 113, 276];

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

/// A frame of each kind, with its link type.
pub(crate) fn frames() -> Vec<(u16, Vec<u8>)> {
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
    for (kind, rest) in [(134, &[0; 8][..]), (135, &[0x20; 16]), (136, &[0x20; 16])] {
        let message = icmp(kind, 0, 0x4000_0708, rest);
        frames.push((1, framed(&ip("fe80::3", "fe80::1", 58, &message))));
    }
    for (kind, code, rest) in [(3, 4, 1400), (5, 1, 0x0a00_0009)] {
        let message = icmp(kind, code, rest, &probe[..28]);
        frames.push((1, framed(&ip("10.0.0.3", "10.0.0.1", 1, &message))));
    }
    let quoted = ip("fe80::1", "fe80::2", 17, &udp(40_000, 33_434, b"probe"));
    let message = icmp(2, 0, 1400, &quoted);
    frames.push((1, framed(&ip("fe80::3", "fe80::1", 58, &message))));
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
    discover.extend([
        53, 1, 1, 50, 4, 10, 0, 0, 9, 12, 3, b'p', b'c', b'1', 0, 255,
    ]);
    frames.push((
        1,
        udp_frame(("0.0.0.0", 68), ("255.255.255.255", 67), &discover),
    ));
    let mut offer = discover[..240].to_vec();
    offer[0] = 2;
    offer[16..20].copy_from_slice(&[10, 0, 0, 9]);
    offer.extend([
        53, 1, 2, 54, 4, 10, 0, 0, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0,
    ]);
    offer.extend([
        3, 4, 10, 0, 0, 1, 6, 8, 10, 0, 0, 1, 10, 0, 0, 2, 15, 3, b'l', b'a', b'n', 255,
    ]);
    frames.push((
        1,
        udp_frame(("10.0.0.1", 67), ("255.255.255.255", 68), &offer),
    ));
    let mut records = vec![0, 7, 0x81, 0x80, 0, 1, 0, 4, 0, 1, 0, 1];
    records.extend(b"\x03www\x07example\x03org\x00\x00\x05\x00\x01");
    records.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x0e\x10\x00\x06\x03web\xc0\x10");
    records.extend(b"\xc0\x10\x00\x0f\x00\x01\x00\x00\x0e\x10\x00\x09\x00\x0a\x04mail\xc0\x10");
    records.extend(b"\xc0\x10\x00\x10\x00\x01\x00\x00\x0e\x10\x00\x06\x05hello");
    records.extend(
        b"\xc0\x10\x00\x21\x00\x01\x00\x00\x0e\x10\x00\x0a\x00\x01\x00\x02\x13\xc4\x01s\xc0\x10",
    );
    records.extend(b"\xc0\x10\x00\x02\x00\x01\x00\x00\x0e\x10\x00\x04\x01n\xc0\x10");
    records.extend(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x0e\x10\x00\x04\x01p\xc0\x10");
    frames.push((
        1,
        udp_frame(("10.0.0.53", 53), ("10.0.0.1", 40_000), &records),
    ));
    let mut time = vec![0x24, 2, 6, 0xe9];
    time.resize(48, 0);
    frames.push((1, udp_frame(("10.0.0.1", 123), ("10.0.0.2", 123), &time)));
    let others = applications::frames().chain(tls::frames());
    frames.extend(others.map(|frame| (1, frame)));
    frames
}

/// Each field is where tshark has it, and says the same.
#[test]
fn as_tshark() {
    let mut differences = Vec::new();
    for link_type in LINK_TYPES {
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
        "icmpv6.nd.ns.target_address",
        "icmpv6.nd.na.target_address",
        "icmpv6.nd.ra.router_lifetime",
        "icmpv6.mtu",
        "icmp.mtu",
        "icmp.redir_gw",
        "gre.proto",
        "vxlan.vni",
        "geneve.vni",
        "erspan.spanid",
        "gtp.teid",
        "sll.ifindex",
        "dns.qry.name",
        "dns.a",
        "dns.aaaa",
        "dns.flags.rcode",
        "dhcp.hw.mac_addr",
        "dhcp.option.dhcp",
        "dhcp.option.domain_name_server",
        "dhcp.option.domain_name",
        "dns.cname",
        "dns.mx.mail_exchange",
        "dns.txt",
        "dns.srv.target",
        "dns.ns",
        "dns.ptr.domain_name",
        "ntp.flags.mode",
    ]
    .into_iter()
    .chain(applications::NAMES)
    .chain(tls::NAMES)
    {
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
            assert!(is_followed, "{said:#?}");
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

/// Whatever a packet has is in the table, and of the type that the table says.
#[test]
fn every_field_is_known() {
    fn check(fields: &[Field]) {
        for field in fields {
            let Some(known) = known::find(field.name) else {
                panic!("{} is not in the table", field.name);
            };
            let is_so = match (known.kind, &field.value) {
                (Kind::Layer, Value::Title(_)) => true,
                // Wireshark has some bits as numbers.
                (Kind::Flag | Kind::Number(_), Value::Flag(_)) => true,
                (Kind::Number(bits), Value::Number(number) | Value::Hex(number, _)) => {
                    bits >= 64 || *number < 1 << bits
                }
                (Kind::Ipv4, Value::Address(address)) => address.is_v4(),
                (Kind::Ipv6, Value::Address(address)) => !address.is_v4(),
                (Kind::Mac, Value::Mac(_)) | (Kind::Text, Value::Text(_)) => true,
                (Kind::Bytes, Value::Bytes) => true,
                _ => false,
            };
            assert!(is_so, "{known:?} and {:?}", field.value);
            check(&field.fields);
        }
    }
    for (link_type, frame) in frames() {
        check(&fields(link_type, &frame));
    }
}

/// Names and types of the table are Wireshark's.
#[test]
fn the_table_is_as_tshark_has_it() {
    let command = std::process::Command::new("tshark")
        .args(["-G", "fields"])
        .output();
    let Ok(output) = command else {
        eprintln!("not compared: tshark is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut theirs: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in text.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        match columns.as_slice() {
            ["P", _, name, ..] => theirs.entry(name).or_default().push("FT_PROTOCOL"),
            ["F", _, name, kind, ..] => theirs.entry(name).or_default().push(kind),
            _ => {}
        }
    }
    for known in known::all() {
        let expected = match known.kind {
            Kind::Layer => "FT_PROTOCOL".to_owned(),
            Kind::Number(bits) => format!("FT_UINT{bits}"),
            Kind::Flag => "FT_BOOLEAN".to_owned(),
            Kind::Ipv4 => "FT_IPv4".to_owned(),
            Kind::Ipv6 => "FT_IPv6".to_owned(),
            Kind::Mac => "FT_ETHER".to_owned(),
            Kind::Text => "FT_STRING".to_owned(),
            Kind::Bytes => "FT_BYTES".to_owned(),
            Kind::Seconds => "FT_RELATIVE_TIME".to_owned(),
        };
        let kinds = theirs.get(known.name).map_or(&[][..], Vec::as_slice);
        // Text that ends with a zero byte is text.
        let is_same = |kind: &&str| {
            *kind == expected
                || kind.strip_suffix('Z') == Some(&expected)
                || kind.replace("FT_INT", "FT_UINT") == expected
        };
        assert!(kinds.iter().any(is_same), "{known:?}: {kinds:?}");
    }
}
