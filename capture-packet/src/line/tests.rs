use std::{io::Write as _, process::Command};

use super::*;
use crate::{
    fields::{fields, tests::frames},
    testing::{ethernet, framed, icmp, ip, mac, pcap, tcp, tcp_frame, udp, udp_frame},
};

/// The lines of tcpdump without times; `None` where it is not installed.
fn tcpdump(link_type: u16, frames: &[(u64, Vec<u8>)], args: &[&str]) -> Option<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&pcap(link_type, frames))
        .expect("a file with packets");
    let mut command = Command::new("tcpdump");
    // As root it would become a user who may not read the file.
    command
        .args(["-nn", "-t", "-Z", "root", "-r"])
        .arg(file.path())
        .args(args);
    let Ok(output) = command.output() else {
        eprintln!("not compared: tcpdump is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tcpdump {args:?}: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    // The packet within VXLAN has a line of its own.
    Some(text.lines().map(str::to_owned).collect())
}

fn ours(link_type: u16, data: &[u8], connections: Option<&mut Connections>) -> String {
    line(
        &fields(link_type, data),
        &frame(link_type, data),
        connections,
    )
}

fn frame(link_type: u16, data: &[u8]) -> Frame<'_> {
    Frame {
        number: 1,
        time: None,
        link_type,
        wire_len: data.len() as u32,
        interface: 0,
        interface_name: None,
        data,
    }
}

/// An Ethernet frame with these bytes behind the ports of a TCP header.
fn tcp_with_options(flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = tcp((40_000, 443), flags, 1_000, &[options, payload].concat());
    segment[12] = ((20 + options.len()) / 4 * 16) as u8;
    segment[18..20].copy_from_slice(&[0, 9]);
    framed(&ip("10.0.0.1", "10.0.0.2", 6, &segment))
}

fn icmp4(kind: u8, code: u8) -> Vec<u8> {
    let probe = ip("10.0.0.1", "10.0.0.2", 17, &udp(40_000, 33_434, b"probe"));
    framed(&ip(
        "10.0.0.3",
        "10.0.0.1",
        1,
        &icmp(kind, code, 0x0102_0304, &probe),
    ))
}

fn icmp6(kind: u8, payload: &[u8]) -> Vec<u8> {
    framed(&ip(
        "fe80::3",
        "fe80::1",
        58,
        &icmp(kind, 0, 0x0102_0304, payload),
    ))
}

fn ordinary() -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = (0..256)
        .map(|flags| tcp_with_options(flags, &[], &b"hello"[..usize::from(flags % 3) * 2]))
        .collect();
    for options in [
        &[2, 4, 5, 0xb4][..],
        &[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8],
        &[
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 1, 3, 3, 7,
        ],
        &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        &[1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9],
        &[1, 1, 1, 0],
    ] {
        frames.push(tcp_with_options(0x10, options, b"x"));
    }
    for kind in [0, 8] {
        frames.push(icmp4(kind, 0));
    }
    frames.extend([0, 1, 3, 4, 10, 13].map(|code| icmp4(3, code)));
    frames.push(icmp4(11, 0));
    frames.push(icmp4(5, 1));
    let target = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    frames.push(icmp6(135, &target));
    frames.push(icmp6(136, &target));
    frames.push(icmp6(133, &[]));
    frames.push(icmp6(134, &[0; 8]));
    frames.push(icmp6(2, &ip("fe80::1", "fe80::2", 17, &udp(1, 2, &[]))));
    frames.push(icmp6(128, b"ping"));
    frames.push(icmp6(129, b"ping"));
    frames.push(udp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 9999), b"data"));
    frames.push(udp_frame(("fe80::1", 40_000), ("fe80::2", 9999), &[]));
    frames.push(tcp_frame(
        ("fe80::1", 40_000),
        ("fe80::2", 22),
        0x18,
        5,
        b"x",
    ));
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x1c\0\x01";
    frames.push(udp_frame(("10.0.0.1", 40_000), ("10.0.0.53", 53), question));
    for operation in [1, 2] {
        let head = [0, 1, 8, 0, 6, 4, 0, operation];
        let message = [&head[..], &mac(1), &[10, 0, 0, 1], &mac(2), &[10, 0, 0, 2]].concat();
        frames.push(ethernet(mac(1), [0xff; 6], 0x0806, &message));
    }
    let tagged = [
        &[0x20, 5, 8, 0][..],
        &ip("10.0.0.1", "10.0.0.2", 17, &udp(4_000, 9_999, b"x")),
    ];
    frames.push(ethernet(mac(1), mac(2), 0x8100, &tagged.concat()));
    frames
}

/// Lines of ordinary packets are tcpdump's, with the link header and without.
#[test]
fn as_tcpdump() {
    let frames: Vec<_> = ordinary().into_iter().map(|frame| (0, frame)).collect();
    for args in [&["-S"][..], &["-S", "-e"]] {
        let Some(theirs) = tcpdump(1, &frames, args) else {
            return;
        };
        assert_eq!(theirs.len(), frames.len());
        for ((_, data), theirs) in frames.iter().zip(theirs) {
            let line = match args.contains(&"-e") {
                true => line_with_link_header(&fields(1, data), &frame(1, data), None),
                false => ours(1, data, None),
            };
            assert_eq!(line, theirs);
        }
    }
}

/// The numbers of a connection count from its start, in both directions.
#[test]
fn relative_numbers_as_tcpdump() {
    let (client, server) = (("10.0.0.1", 40_000), ("10.0.0.2", 443));
    let mut frames = vec![
        tcp_frame(client, server, 0x02, 1_000, &[]),
        tcp_frame(server, client, 0x12, 5_000, &[]),
        tcp_frame(client, server, 0x10, 1_001, &[]),
        tcp_frame(client, server, 0x18, 1_001, b"request"),
        tcp_frame(server, client, 0x18, 5_001, b"answer"),
        tcp_frame(client, server, 0x11, 1_008, &[]),
        // Under way, and again from the start.
        tcp_frame(("fe80::9", 7), ("fe80::1", 9000), 0x18, 77, b"x"),
        tcp_frame(("fe80::1", 9000), ("fe80::9", 7), 0x10, 88, b"xy"),
        tcp_frame(client, server, 0x02, 9_000, &[]),
        tcp_frame(server, client, 0x14, 0, &[]),
        tcp_frame(client, server, 0x04, 9_001, &[]),
    ];
    for (frame, acknowledged) in frames
        .iter_mut()
        .zip([0u32, 1_001, 5_001, 5_001, 1_008, 5_007])
    {
        frame[42..46].copy_from_slice(&acknowledged.to_be_bytes());
    }
    let frames: Vec<_> = frames.into_iter().map(|frame| (0, frame)).collect();
    let Some(theirs) = tcpdump(1, &frames, &[]) else {
        return;
    };
    let mut connections = Connections::default();
    for ((_, data), theirs) in frames.iter().zip(theirs) {
        assert_eq!(ours(1, data, Some(&mut connections)), theirs);
    }
}

/// What is not tcpdump's, or not of its one line.
#[test]
fn lines_of_our_own() {
    let (_, vxlan) = frames()
        .into_iter()
        .find(|(kind, frame)| {
            fields(*kind, frame)
                .iter()
                .any(|layer| layer.name == "vxlan")
        })
        .expect("a tunnel");
    assert_eq!(
        ours(1, &vxlan, None),
        "IP 198.51.100.2.40000 > 198.51.100.1.4789: VXLAN, vni 7: IP 10.9.0.2.5353 > 10.9.0.1.9999: UDP, length 20"
    );
    let lines: Vec<_> = frames()
        .iter()
        .filter(|(link_type, _)| *link_type == 1)
        .map(|(link_type, frame)| ours(*link_type, frame, None))
        .collect();
    for line in [
        "IP 10.0.0.53.53 > 10.0.0.1.40000: 4660* A? www.example.org. 2/0/0 A 192.0.2.1, AAAA 2001:db8::1 (77)",
        "IP 0.0.0.0.68 > 255.255.255.255.67: DHCP Discover from 02:00:00:00:00:07, asks for 10.0.0.9, host pc1, length 256",
        "IP 10.0.0.1.67 > 255.255.255.255.68: DHCP Offer, gives 10.0.0.9, server 10.0.0.1, length 283",
        "IP 10.0.0.1.123 > 10.0.0.2.123: NTPv4, Server, length 48",
    ] {
        assert!(
            lines.iter().any(|it| it == line),
            "{line} is not in {lines:#?}"
        );
    }
}

/// Lengths are those of the wire, also where the capture cut the packet.
#[test]
fn cut_packets_have_their_length() {
    let whole = tcp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 443), 0x18, 5, &[0; 500]);
    let cut = Frame {
        wire_len: whole.len() as u32,
        ..frame(1, &whole[..60])
    };
    let line = line(&fields(1, cut.data), &cut, None);
    assert!(
        line.ends_with("seq 5:505, ack 1, win 65535, length 500"),
        "{line}"
    );
    for (len, end) in [(40, "[|tcp]"), (34, "[|tcp]"), (10, "[cut] length 554")] {
        let cut = Frame {
            wire_len: whole.len() as u32,
            ..frame(1, &whole[..len])
        };
        let line = super::line(&fields(1, cut.data), &cut, None);
        assert!(line.ends_with(end), "{line}");
    }
}

/// Applications are named behind the line, and passwords are not shown.
#[test]
fn applications_behind_the_line() {
    let (client, server) = ("10.0.0.1", "10.0.0.2");
    for (port, payload, end) in [
        (
            80,
            &b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            "length 37: HTTP: GET /index.html HTTP/1.1",
        ),
        (
            22,
            b"SSH-2.0-OpenSSH_9.2\r\n",
            "length 21: SSH: SSH-2.0-OpenSSH_9.2",
        ),
        (21, b"PASS secret\r\n", "length 13: FTP: PASS"),
        (
            443,
            &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5],
            "length 10: TLS Application Data",
        ),
    ] {
        let data = tcp_frame((client, 40_000), (server, port), 0x18, 1, payload);
        let line = ours(1, &data, None);
        assert!(line.ends_with(end), "{line}");
    }
    let long = [b"GET /", &[b'a'; 900][..], b" HTTP/1.1\r\n\r\n"].concat();
    let data = tcp_frame((client, 40_000), (server, 80), 0x18, 1, &long);
    assert!(ours(1, &data, None).len() < 300);
}

proptest::proptest! {
    #[test]
    fn no_packet_breaks_out_of_its_line(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), which in 0usize..100) {
        let frames = frames();
        let (link_type, mut data) = frames[which % frames.len()].clone();
        for pair in bytes.chunks_exact(2) {
            let at = usize::from(pair[0]) % data.len();
            data[at] = pair[1];
        }
        let line = ours(link_type, &data, Some(&mut Connections::default()));
        proptest::prop_assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?}");
    }
}
