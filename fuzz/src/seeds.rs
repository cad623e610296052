//! Small inputs to begin with: a frame of each kind that is decoded, capture files of each format, connections.

use std::io::Write as _;

use capture_packet::{
    decode::TcpFlags,
    testing::{
        Header, MILLISECOND, START, ethernet, framed, icmp, ip, ip_with, mac, pcap, tcp_frame, udp,
        udp_frame,
    },
};

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";
const A6: &str = "2001:db8::1";
const B6: &str = "2001:db8::2";

/// Frames with the two bytes in front that `decode` takes: link layer, and bytes that were cut off.
pub fn frames() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = packets()
        .into_iter()
        .map(|frame| [&[0, 0], &frame[..]].concat())
        .collect();
    let packet = ip(A, B, 17, &udp(5353, 5353, &dns_query()));
    for (link, header) in [
        (1, &[2, 0, 0, 0][..]),
        (2, &[0xff, 3, 0, 0x21]),
        (4, &[]),
        (6, &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0]),
        (
            9,
            &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        ),
    ] {
        all.push([&[link, 40], header, &packet].concat());
    }
    all
}

/// Capture files: of each format, plain and compressed.
pub fn files() -> Vec<Vec<u8>> {
    let packets = packets();
    let timed = |frames: &[Vec<u8>]| -> Vec<_> {
        let times = (0..).map(|index| START + index * 40 * MILLISECOND);
        times.zip(frames.iter().cloned()).collect()
    };
    let mut files = vec![pcap(1, &timed(&packets)), pcapng(&packets)];
    files.extend(packets.chunks(8).map(|frames| pcap(1, &timed(frames))));
    files.extend(packets.chunks(12).map(pcapng));
    let small = pcap(1, &timed(&packets[..4]));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing into memory does not fail.
    if encoder.write_all(&small).is_ok() {
        files.extend(encoder.finish());
    }
    files.extend(zstd::encode_all(&small[..], 1));
    files
}

/// Connections as `connection` takes them.
pub fn connections() -> Vec<Vec<u8>> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let handshake = [
        [SYN, 0, 9, 0, 0, 0, 255, 0x81],
        [SYN | ACK, 1, 9, 0, 0, 0, 255, 0x81],
        [ACK, 0, 9, 0, 0, 0, 255, 1],
    ];
    let data = [ACK, 0x20, 9, 0, 0, 200, 255, 1];
    let lost = [ACK, 0x20, 9, 192, 0, 200, 255, 1];
    let answer = [ACK, 1, 9, 0, 0, 0, 255, 1];
    let selective = [ACK, 1, 9, 0, 0, 0, 255, 0x2b];
    let closed = [ACK, 1, 9, 0, 0, 0, 0, 1];
    let reset = [4, 1, 9, 0, 0, 0, 0, 0];
    let fin = [1 | ACK, 0, 9, 0, 0, 0, 255, 1];
    let with = |segments: &[[u8; 8]]| [&handshake[..], segments].concat().concat();
    vec![
        with(&[data, data, answer, data, answer, fin]),
        with(&[data, lost, selective, selective, selective, data, answer]),
        with(&[data, closed, data, closed, answer, data]),
        with(&[data, reset, data]),
    ]
}

/// A frame of each kind.
fn packets() -> Vec<Vec<u8>> {
    let mut all = tcp();
    all.extend(applications());
    all.extend(encapsulated());
    all
}

fn tcp() -> Vec<Vec<u8>> {
    let (client, server) = ((A, 40_000), (B, 80));
    let segment =
        |from, to, flags, sequence, payload: &[u8]| tcp_frame(from, to, flags, sequence, payload);
    let ack = TcpFlags::ACK;
    vec![
        segment(client, server, TcpFlags::SYN, 0, b""),
        segment(server, client, TcpFlags::SYN | ack, 0, b""),
        segment(client, server, ack, 1, b""),
        segment(client, server, ack, 1, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        segment(
            server,
            client,
            ack,
            1,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        segment(
            server,
            client,
            ack,
            1,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        segment(server, client, ack, 200, b"later"),
        segment((A6, 50_000), (B6, 443), TcpFlags::SYN, 7, b""),
        segment(
            (A6, 50_000),
            (B6, 443),
            ack,
            8,
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
        ),
        segment(server, client, TcpFlags::RST, 205, b""),
    ]
}

fn applications() -> Vec<Vec<u8>> {
    let arp = |operation: u8, sender: u8| {
        let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation];
        message.extend(mac(sender));
        message.extend([10, 0, 0, 1]);
        message.extend(mac(9));
        message.extend([10, 0, 0, 9]);
        ethernet(mac(sender), [255; 6], 0x0806, &message)
    };
    let quoted = ip(A, B, 6, &[0x9c, 0x40, 0, 80, 0, 0, 0, 1]);
    vec![
        arp(1, 1),
        arp(2, 3),
        udp_frame((A, 40_001), (B, 53), &dns_query()),
        udp_frame((B, 53), (A, 40_001), &dns_answer()),
        udp_frame((A, 5353), ("224.0.0.251", 5353), &dns_query()),
        udp_frame(("0.0.0.0", 68), ("255.255.255.255", 67), &dhcp(1)),
        udp_frame((B, 67), (A, 68), &dhcp(2)),
        udp_frame(
            (A6, 546),
            ("ff02::1:2", 547),
            &[1, 0, 0, 1, 0, 1, 0, 4, 0, 1, 0, 1],
        ),
        framed(&ip(A, B, 1, &icmp(8, 0, 0x0001_0001, b"abcdefgh"))),
        framed(&ip(B, A, 1, &icmp(0, 0, 0x0001_0001, b"abcdefgh"))),
        framed(&ip(B, A, 1, &icmp(11, 0, 0, &quoted))),
        framed(&ip(B, A, 1, &icmp(3, 4, 1400, &quoted))),
        framed(&ip(A6, "ff02::1", 58, &router_advertisement())),
        framed(&ip(
            A,
            B,
            132,
            &[0, 7, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 4],
        )),
    ]
}

fn encapsulated() -> Vec<Vec<u8>> {
    let inner = ip(A, B, 17, &udp(53, 53, b"inside"));
    let whole = framed(&inner);
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &whole].concat();
    let geneve = [&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &whole].concat();
    let gtp = [&[0x30, 0xff, 0, 36, 0, 0, 0, 1][..], &inner].concat();
    let gre = [&[0, 0, 8, 0][..], &inner].concat();
    let first = Header {
        fragment: 0x2000,
        ..Header::default()
    };
    let last = Header {
        fragment: 2,
        ..Header::default()
    };
    let extended = [&[17, 0, 5, 2, 0, 0, 1, 0][..], &udp(9, 9, b"x")].concat();
    vec![
        udp_frame((A, 50_000), (B, 4789), &vxlan),
        udp_frame((A, 50_000), (B, 6081), &geneve),
        udp_frame((A, 50_000), (B, 2152), &gtp),
        framed(&ip(A, B, 47, &gre)),
        framed(&ip(A, B, 4, &inner)),
        framed(&ip(A6, B6, 41, &ip(A6, B6, 17, &udp(9, 9, b"x")))),
        framed(&ip(A6, B6, 0, &extended)),
        framed(&ip_with(first, A, B, 17, &udp(9, 9, b"12345678"))),
        framed(&ip_with(last, A, B, 17, b"abcdefgh")),
        ethernet(
            mac(1),
            mac(2),
            0x8100,
            &[&[0, 7, 8, 0][..], &inner].concat(),
        ),
        ethernet(
            mac(1),
            mac(2),
            0x88a8,
            &[&[0, 7, 0x81, 0, 0, 8, 8, 0][..], &inner].concat(),
        ),
        ethernet(
            mac(1),
            mac(2),
            0x8847,
            &[&[0, 1, 1, 64][..], &inner].concat(),
        ),
        ethernet(
            mac(1),
            mac(2),
            0x8864,
            &[&[0x11, 0, 0, 1, 0, 36, 0, 0x21][..], &inner].concat(),
        ),
        ethernet(mac(1), mac(2), 0x0800, &[0x4f; 30]),
    ]
}

fn dns_query() -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(b"\x03www\x07example\x03com\x00\x00\x01\x00\x01");
    message
}

fn dns_answer() -> Vec<u8> {
    let mut message = dns_query();
    (message[2], message[3], message[7]) = (0x81, 0x80, 2);
    message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'x', 0xc0, 16]);
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    message
}

fn dhcp(kind: u8) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..8].copy_from_slice(&[if kind == 1 { 1 } else { 2 }, 1, 6, 0, 1, 2, 3, 4]);
    message[28..34].copy_from_slice(&mac(1));
    message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, kind, 54, 4, 10, 0, 0, 2, 3, 4, 10, 0, 0, 2, 255]);
    message
}

fn router_advertisement() -> Vec<u8> {
    let mut rest = vec![0, 0, 0, 0, 0, 0, 0, 0];
    rest.extend([1, 1]);
    rest.extend(mac(3));
    rest.extend([3, 4, 64, 0xc0, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 0]);
    rest.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    icmp(134, 0, 0x4000_0708, &rest)
}

/// A pcapng file of two interfaces, with directions and statistics.
fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = block(
        0x0a0d_0d0a,
        &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0], &[255; 8][..]].concat(),
    );
    for name in [b"eth0", b"eth1"] {
        let mut description = vec![1, 0, 0, 0, 0, 0, 4, 0, 2, 0, 4, 0];
        description.extend(name);
        description.extend([9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(block(1, &description));
    }
    for (index, frame) in frames.iter().enumerate() {
        let ns = START + index as u64 * 30 * MILLISECOND;
        let (len, interface) = (frame.len() as u32, index as u32 % 2);
        let words = [interface, (ns >> 32) as u32, ns as u32, len, len];
        let mut packet = words.map(u32::to_le_bytes).concat();
        packet.extend(frame);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet.extend([2, 0, 4, 0, 1 + index as u8 % 2, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(block(6, &packet));
    }
    let mut statistics = vec![0; 12];
    statistics.extend([7, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(block(5, &statistics));
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &len].concat()
}

/// Display filters of every kind.
pub fn filters() -> Vec<Vec<u8>> {
    [
        "",
        "tcp",
        "ip.addr == 10.0.0.0/8 and tcp.port in {80, 443, 1000..2000}",
        "!(dns.qry.name contains \"example\") || udp.length > 0x20",
        "eth.src[0:3] == 02:00:00 && eth.dst != ff:ff:ff:ff:ff:ff",
        "http.request.uri matches \"^/a[0-9]+(b|c)*$\"",
        "tcp.flags & 0x12 == 0x02 xor frame.number >= 1",
        "any ip.ttl < 64 or all tcp.port > 1023 or len(tcp.payload) == 0",
        "ipv6.src == 2001:db8::/32 or arp.opcode == 1 or icmp.type eq 8",
        "lower(http.host) == \"a\" and count(dns.a) >= 2 and ip.ttl < ip.len",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
