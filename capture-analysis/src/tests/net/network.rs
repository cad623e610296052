//! Fragments, routes, and packets that should not be.

use crate::{
    decode::TcpFlags,
    finding::Confidence,
    severity::Severity,
    testing::{
        Header, Lab, MILLISECOND, SECOND, ethernet, framed, icmp, ip_with, mac, tcp_frame, udp,
        udp_frame,
    },
};

const SOURCE: &str = "10.0.0.9";
const DESTINATION: &str = "198.51.100.7";

/// A part of a datagram: from and to in units of eight bytes, and whether more follows.
fn part(id: u16, from: u16, to: u16, more: bool) -> Vec<u8> {
    let datagram = udp(1, 2, &[7; 8000]);
    let header = Header {
        id,
        fragment: from | u16::from(more) << 13,
        ..Header::default()
    };
    let range = usize::from(from) * 8..usize::from(to) * 8;
    framed(&ip_with(header, SOURCE, DESTINATION, 17, &datagram[range]))
}

#[test]
fn parts_that_are_missing() {
    let mut lab = Lab::new();
    for id in 0..10 {
        lab.wait(SECOND)
            .send(part(id, 0, 185, true))
            .send(part(id, 370, 500, false));
        if id > 3 {
            lab.send(part(id, 185, 370, true));
        }
    }
    let outcome = lab.end();
    let finding = outcome.only("ip.fragments");
    assert_eq!(
        finding.summary,
        "Of 4 of 10 fragmented packets from 10.0.0.9 to 198.51.100.7 parts are missing."
    );
    assert_eq!(
        (finding.severity, finding.confidence),
        (Severity::Warn, Confidence::High)
    );
    // A filter for ports keeps only first parts.
    let mut lab = Lab::new();
    for id in 0..10 {
        lab.wait(SECOND).send(part(id, 0, 185, true));
    }
    let outcome = lab.end();
    let finding = outcome.only("ip.fragments");
    assert!(
        finding
            .summary
            .ends_with("only the first part of each came.")
    );
    assert_eq!(finding.confidence, Confidence::Medium);
}

#[test]
fn parts_that_overlap() {
    let mut lab = Lab::new();
    // The second lies within the first (teardrop).
    lab.send(part(1, 0, 10, true)).send(part(1, 4, 6, false));
    let outcome = lab.end();
    let finding = outcome.only("ip.fragments");
    assert_eq!(
        finding.summary,
        "1 fragments from 10.0.0.9 to 198.51.100.7 overlap others of their packet and are no repetition of them."
    );
    assert_eq!(
        (finding.severity, finding.packets.packets()),
        (Severity::High, vec![1, 2])
    );
}

#[test]
fn parts_in_any_order_and_twice() {
    let parts = [
        (0, 185, true),
        (185, 370, true),
        (370, 555, true),
        (555, 700, false),
    ];
    let mut lab = Lab::new();
    for (id, order) in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]]
        .into_iter()
        .enumerate()
    {
        for which in order {
            let (from, to, more) = parts[which];
            lab.send(part(id as u16, from, to, more))
                .send(part(id as u16, from, to, more));
        }
    }
    // The identification comes again later.
    lab.wait(5 * SECOND);
    for (from, to, more) in parts {
        lab.send(part(1, from, to, more));
    }
    lab.end().nothing();
}

fn with_ttl(ttl: u8, id: u16) -> Vec<u8> {
    let header = Header {
        ttl,
        id,
        ..Header::default()
    };
    ip_with(
        header,
        SOURCE,
        DESTINATION,
        17,
        &udp(40_000, 33_434, b"probe"),
    )
}

/// A router says that this packet ran out of time to live.
fn expired(router: &str, packet: &[u8]) -> Vec<u8> {
    let mut quote = packet[..28].to_vec();
    quote[8] = 1;
    framed(&ip_with(
        Header::default(),
        router,
        SOURCE,
        1,
        &icmp(11, 0, 0, &quote),
    ))
}

#[test]
fn a_packet_that_comes_by_again_and_again() {
    let mut lab = Lab::new();
    for ttl in (2..=62).rev().step_by(2) {
        lab.wait(MILLISECOND).send(framed(&with_ttl(ttl, 1)));
    }
    let outcome = lab.end();
    let finding = outcome.only("route.loop");
    assert_eq!(
        finding.summary,
        "Packets from 10.0.0.9 to 198.51.100.7 go in a circle: the same ones came by up to 31 times, each time with a smaller time to live."
    );
    // Before and behind a router that is captured on one interface.
    let mut lab = Lab::new();
    for id in 0..10 {
        lab.send(framed(&with_ttl(64, id)))
            .send(framed(&with_ttl(63, id)));
    }
    lab.end().nothing();
}

#[test]
fn packets_that_run_out_although_they_set_out_with_many_hops() {
    let mut lab = Lab::new();
    for id in 0..5 {
        let packet = with_ttl(64, id);
        lab.wait(SECOND)
            .send(framed(&packet))
            .send(expired("203.0.113.1", &packet));
    }
    let outcome = lab.end();
    assert_eq!(
        outcome.only("route.loop").summary,
        "5 packets from 10.0.0.9 to 198.51.100.7 ran out of time to live on the way, although they set out with 32 or more; 203.0.113.1 reports it."
    );
}

#[test]
fn a_traceroute_through_a_loop_and_through_none() {
    for is_loop in [true, false] {
        let mut lab = Lab::new();
        for hop in 1..=30u8 {
            for probe in 0..3 {
                let packet = with_ttl(hop, u16::from(hop) * 3 + probe);
                let router = if is_loop && hop > 4 { 4 + hop % 2 } else { hop };
                lab.wait(MILLISECOND).send(framed(&packet));
                lab.send(expired(&format!("203.0.113.{router}"), &packet));
            }
        }
        let outcome = lab.end();
        if is_loop {
            let finding = outcome.only("route.loop");
            assert_eq!(
                finding.summary,
                "203.0.113.5 and 203.0.113.4 say in turn that packets from 10.0.0.9 to 198.51.100.7 ran out of time to live, 90 times."
            );
        } else {
            outcome.nothing();
        }
    }
}

#[test]
fn impossible_packets() {
    let from = (SOURCE, 40_000);
    let to = (DESTINATION, 80);
    let of_source = |source: &str| udp_frame((source, 1), (DESTINATION, 2), b"x");
    let mut bad_length = udp_frame(from, to, b"abc");
    bad_length[38] = 0xff;
    let mut short = udp_frame(from, to, b"abc");
    short.truncate(20);
    for (frame, summary, severity) in [
        (
            tcp_frame(from, to, TcpFlags::SYN | TcpFlags::FIN, 1, b""),
            "from 10.0.0.9 open and close a connection at once (SYN and FIN)",
            Severity::Warn,
        ),
        (
            tcp_frame(from, to, TcpFlags::SYN | TcpFlags::RST, 1, b""),
            "from 10.0.0.9 open and reset a connection at once (SYN and RST)",
            Severity::Warn,
        ),
        (
            tcp_frame(from, from, TcpFlags::SYN, 1, b""),
            "from 10.0.0.9 have the same address and port as source and destination (land attack)",
            Severity::High,
        ),
        (
            bad_length,
            "from 10.0.0.9 have a TCP or UDP header whose length cannot be",
            Severity::Warn,
        ),
        (short, "end within a header", Severity::Warn),
        (
            of_source("224.0.0.1"),
            "from 224.0.0.1 have a multicast or broadcast address as source",
            Severity::Warn,
        ),
        (
            of_source("127.0.0.1"),
            "from 127.0.0.1 have a loopback address as source on a network",
            Severity::Warn,
        ),
        (
            of_source("241.0.0.1"),
            "from 241.0.0.1 have a source address of a reserved range",
            Severity::Warn,
        ),
    ] {
        let mut lab = Lab::new();
        lab.send(frame.clone()).wait(SECOND).send(frame);
        let outcome = lab.end();
        let finding = outcome.findings_of("proto.malformed");
        assert_eq!(finding.summary, format!("2 packets {summary}."));
        assert_eq!(finding.severity, severity);
    }
}

#[test]
fn odd_packets_that_are_right() {
    let mut lab = Lab::new();
    // A DHCP client without an address, a host that talks to itself by lo, a padded frame, jumbo port 0.
    lab.send(udp_frame(("0.0.0.0", 68), ("255.255.255.255", 67), b"x"));
    let to_itself = ip_with(
        Header::default(),
        "127.0.0.1",
        "127.0.0.1",
        17,
        &udp(7, 7, b"x"),
    );
    lab.send(ethernet([0; 6], [0; 6], 0x0800, &to_itself));
    let mut padded = udp_frame((SOURCE, 1), (DESTINATION, 2), b"x");
    padded.resize(60, 0);
    lab.send(padded)
        .send(udp_frame((SOURCE, 0), (DESTINATION, 0), b"x"));
    lab.send(ethernet(mac(1), mac(2), 0x88cc, &[0; 40]));
    lab.end().nothing();
}

#[test]
fn invented_senders_are_one_finding() {
    let mut lab = Lab::new();
    for host in 1..=100 {
        let source = format!("10.0.1.{host}");
        lab.send(tcp_frame(
            (&source, 1),
            (DESTINATION, 80),
            TcpFlags::SYN | TcpFlags::FIN,
            1,
            b"",
        ));
    }
    let outcome = lab.end();
    let finding = outcome.only("proto.malformed");
    assert!(
        finding
            .summary
            .starts_with("100 packets from 100 or more senders open and close")
    );
    assert_eq!(finding.count, 100);
}

#[test]
fn segments_that_say_something_else() {
    let segment = |sequence, payload: &[u8]| {
        let flags = TcpFlags::ACK | TcpFlags::PSH;
        tcp_frame(
            (SOURCE, 40_000),
            (DESTINATION, 80),
            flags,
            sequence,
            payload,
        )
    };
    let mut lab = Lab::new();
    lab.send(segment(1000, b"GET / HTTP/1.1\r\n\r\n"));
    lab.wait(MILLISECOND)
        .send(segment(1000, b"GET /evil HTTP/1.1\r\n\r\n"));
    let outcome = lab.end();
    let finding = outcome.findings_of("proto.malformed");
    assert_eq!(
        finding.summary,
        "1 segment from 10.0.0.9 says something else about bytes of a TCP stream that were sent before."
    );
    assert_eq!(finding.severity, Severity::High);
    // A resend that is longer or shorter, and a keep-alive with a byte of anything.
    let mut lab = Lab::new();
    lab.send(segment(1000, b"GET / HTTP/1.1\r\n"));
    lab.wait(MILLISECOND)
        .send(segment(1000, b"GET / HTTP/1.1\r\n\r\n"));
    lab.wait(MILLISECOND).send(segment(1000, b"GET / "));
    lab.wait(MILLISECOND).send(segment(1000, b"\0"));
    assert!(!lab.end().codes().contains(&"proto.malformed"));
}
