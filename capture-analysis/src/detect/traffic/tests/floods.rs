//! Floods, and what looks like one.

use super::{ACK, CLIENT, RST, SERVER, SYN, connection, refused};
use crate::{
    Confidence, Severity,
    testing::{Lab, MILLISECOND, SECOND, framed, icmp, ip, tcp_frame, udp_frame},
};

/// An address of a forged sender.
fn forged(number: u32) -> String {
    format!(
        "198.{}.{}.{}",
        18 + (number >> 16),
        number >> 8 & 0xff,
        number & 0xff
    )
}

#[test]
fn a_flood_of_syns_from_forged_senders() {
    let mut lab = Lab::new();
    connection(&mut lab, (CLIENT, 20_000), (SERVER, 80), (100, 100));
    for number in 0..2000u32 {
        let (source, port) = (forged(number * 7), 1024 + number as u16);
        lab.send(tcp_frame((&source, port), (SERVER, 80), SYN, number, b""));
        lab.send(tcp_frame(
            (SERVER, 80),
            (&source, port),
            SYN | ACK,
            number,
            b"",
        ));
        lab.wait(MILLISECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.syn");
    assert!(
        finding
            .summary
            .starts_with("10.0.0.2 port 80 got 1802 SYNs within 1.8 s, up to "),
        "{}",
        finding.summary
    );
    assert!(
        finding
            .summary
            .ends_with("0 of them became connections, 1802 stayed half-open.")
    );
    assert_eq!(
        (finding.severity, finding.confidence),
        (Severity::High, Confidence::High)
    );
    assert_eq!(finding.subject.source, None);
}

#[test]
fn a_short_flood_of_a_busy_service() {
    let mut lab = Lab::new();
    for number in 0..3000 {
        connection(
            &mut lab,
            (CLIENT, 20_000 + number),
            (SERVER, 80),
            (100, 100),
        );
        lab.wait(50 * MILLISECOND);
    }
    for number in 0..1000 {
        let source = forged(number * 7);
        lab.send(tcp_frame((&source, 20_000), (SERVER, 80), SYN, 1, b""));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.syn");
    assert!(
        finding.packets.packets()[0] > 24_000,
        "{:?}",
        finding.packets.packets()
    );
}

#[test]
fn a_capture_of_syns_alone_is_not_sure() {
    let mut lab = Lab::new();
    for number in 0..2000 {
        let client = (CLIENT, 20_000 + number);
        lab.send(tcp_frame(client, (SERVER, 80), SYN, 1, b""));
        lab.send(tcp_frame((SERVER, 80), client, SYN | ACK, 5000, b""));
    }
    assert_eq!(lab.end().only("flood.syn").confidence, Confidence::Low);
}

#[test]
fn a_flood_of_syns_from_one_host() {
    let mut lab = Lab::new();
    for number in 0..2000u16 {
        let client = (CLIENT, 1024 + number);
        lab.send(tcp_frame(client, (SERVER, 80), SYN, 1, b""));
        lab.send(tcp_frame((SERVER, 80), client, SYN | ACK, 5000, b""));
        lab.send(tcp_frame(client, (SERVER, 80), RST, 2, b""));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.syn");
    assert!(
        finding.summary.contains(", from 10.0.0.1; "),
        "{}",
        finding.summary
    );
}

#[test]
fn many_connections_are_no_flood() {
    let mut lab = Lab::new();
    for number in 0..2000 {
        connection(
            &mut lab,
            (CLIENT, 20_000 + number),
            (SERVER, 80),
            (100, 100),
        );
    }
    lab.end().nothing();
}

#[test]
fn clients_that_insist_are_no_flood() {
    let mut lab = Lab::new();
    for again in [0, SECOND, 2 * SECOND] {
        lab.wait(again);
        for number in 0..1000u32 {
            let source = forged(number);
            lab.send(tcp_frame((&source, 20_000), (SERVER, 80), SYN, 1, b""));
        }
    }
    assert_eq!(lab.end().codes(), ["tcp.no_answer"]);
}

#[test]
fn clients_of_a_service_that_is_down_are_no_flood() {
    let mut lab = Lab::new();
    for number in 0..1000 {
        refused(&mut lab, (&forged(number), 20_000), (SERVER, 80));
    }
    assert_eq!(lab.end().codes(), ["tcp.refused"]);
}

#[test]
fn backscatter_is_called_so() {
    let mut lab = Lab::new();
    for host in 1..=200 {
        let target = format!("10.0.3.{host}");
        let frame = tcp_frame(
            ("203.0.113.9", 80),
            (&target, 1024 + host),
            SYN | ACK,
            1,
            b"",
        );
        lab.send(frame);
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.syn");
    assert_eq!(
        finding.summary,
        "Backscatter: 203.0.113.9 port 80 answered 200 SYNs of 200 hosts that had sent it none; somebody floods it with SYNs from forged addresses."
    );
    assert_eq!(finding.severity, Severity::Warn);
}

#[test]
fn a_flood_of_datagrams_to_any_port() {
    let mut lab = Lab::new();
    for number in 0..3000u32 {
        let from = (&*forged(number * 3), 40_000 + number as u16);
        let port = 1 + (number * 31 % 30_000) as u16;
        lab.send(udp_frame(from, (SERVER, port), &[0; 100]));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.udp");
    assert!(
        finding
            .summary
            .starts_with("10.0.0.2 got 3000 unanswered datagrams (0.4 MB) within 2.5 ms"),
        "{}",
        finding.summary
    );
    assert_eq!(finding.confidence, Confidence::Medium);
}

#[test]
fn a_flood_of_datagrams_from_low_ports_to_a_high_one() {
    let mut lab = Lab::new();
    for number in 0..3000 {
        lab.send(udp_frame(
            (CLIENT, 1500 + number),
            (SERVER, 27_000),
            &[0; 100],
        ));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.udp");
    assert_eq!(
        finding.confidence,
        Confidence::Low,
        "it may be a service that is down"
    );
}

#[test]
fn answers_whose_questions_were_not_captured_are_no_flood() {
    let mut lab = Lab::new();
    for number in 0..3000u32 {
        let client = (CLIENT, 20_000 + number as u16);
        lab.send(udp_frame((&forged(number), 443), client, b"answer"));
    }
    lab.end().nothing();
}

#[test]
fn streams_and_busy_servers_are_no_floods() {
    let mut lab = Lab::new();
    // A stream of one sender, without an answer.
    for _ in 0..5000 {
        lab.send(udp_frame((CLIENT, 50_000), (SERVER, 5004), &[0; 1000]));
    }
    // A server of names that answers each of very many.
    for number in 0..3000u16 {
        let client = ("10.0.1.1", 20_000 + number);
        lab.send(udp_frame(client, (SERVER, 7000), b"question"));
        lab.send(udp_frame((SERVER, 7000), client, b"answer"));
    }
    // What a server says whose clients' packets were not captured.
    for number in 0..3000u16 {
        lab.send(udp_frame(
            ("10.0.0.5", 7000),
            (CLIENT, 20_000 + number),
            b"answer",
        ));
    }
    lab.end().nothing();
}

#[test]
fn a_flood_of_echo_requests_and_an_ordinary_ping() {
    let echo = |kind, from: &str, to: &str, number: u32| {
        framed(&ip(
            from,
            to,
            1,
            &icmp(kind, 0, 7 << 16 | number, b"abcdefgh"),
        ))
    };
    let mut lab = Lab::new();
    for number in 0..3000 {
        lab.send(echo(8, CLIENT, SERVER, number));
        lab.send(echo(0, SERVER, CLIENT, number));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.icmp");
    assert_eq!(
        finding.summary,
        "10.0.0.2 got 2501 echo requests within 5.0 ms, up to 3000 a second, from 10.0.0.1; it answered 2501."
    );

    let mut lab = Lab::new();
    for number in 0..1000 {
        lab.send(echo(0, &forged(number), SERVER, number));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.icmp");
    assert!(
        finding.summary.contains("501 echo replies"),
        "{}",
        finding.summary
    );

    let mut lab = Lab::new();
    for number in 0..600 {
        lab.send(echo(8, CLIENT, SERVER, number));
        lab.send(echo(0, SERVER, CLIENT, number))
            .wait(100 * MILLISECOND);
    }
    lab.end().nothing();
}

#[test]
fn amplification_names_victim_and_reflectors() {
    let mut lab = Lab::new();
    for number in 0..1000u16 {
        let reflector = format!("203.0.113.{}", number % 20);
        let victim = (CLIENT, 20_000 + number);
        lab.send(udp_frame(victim, (&reflector, 11_211), b"get x\r\n"));
        lab.send(udp_frame((&reflector, 11_211), victim, &[0; 1400]));
    }
    let outcome = lab.end();
    let finding = outcome.only("flood.amplification");
    assert_eq!(
        finding.summary,
        "memcached of 20 hosts, such as 203.0.113.0, sent 10.0.0.1 1.4 MB in 1000 datagrams within 2.0 ms, 200 times the 7000 bytes of its requests: somebody asks in its name."
    );
    assert_eq!(
        finding.subject.destination.map(|to| to.to_string()),
        Some(CLIENT.to_owned())
    );
}

#[test]
fn a_resolver_with_large_answers_is_no_amplifier() {
    let mut lab = Lab::new();
    for number in 0..5000u16 {
        let client = (CLIENT, 20_000 + number);
        // Not DNS, so that nothing is found in it but sizes.
        lab.send(udp_frame(client, (SERVER, 3702), &[0; 50]));
        lab.send(udp_frame((SERVER, 3702), client, &[0; 300]));
    }
    lab.end().nothing();
}
