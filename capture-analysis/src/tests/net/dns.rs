//! DNS and its servers.

use crate::{
    decode::TcpFlags,
    finding::Confidence,
    severity::Severity,
    testing::{Lab, MILLISECOND, SECOND, tcp_frame, udp_frame},
};

pub(super) const CLIENT: &str = "10.0.0.9";
pub(super) const SERVER: &str = "10.0.0.53";

/// A message with one question, and answers of type A.
pub(super) fn message(id: u16, flags: u16, name: &str, kind: u16, answers: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    for answer in answers {
        bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04");
        bytes.extend(answer);
    }
    bytes
}

pub(super) fn query(id: u16, name: &str) -> Vec<u8> {
    let message = message(id, 0x0100, name, 1, &[]);
    udp_frame((CLIENT, 40_000 + id), (SERVER, 53), &message)
}

/// An answer; `flags` are those beside 0x8180.
fn answer(id: u16, flags: u16, name: &str, answers: &[[u8; 4]]) -> Vec<u8> {
    let message = message(id, 0x8180 | flags, name, 1, answers);
    udp_frame((SERVER, 53), (CLIENT, 40_000 + id), &message)
}

const ADDRESS: [[u8; 4]; 1] = [[192, 0, 2, 1]];

#[test]
fn queries_without_an_answer() {
    let mut lab = Lab::new();
    for id in 0..20 {
        lab.wait(SECOND).send(query(id, "www.example.org"));
        if id % 2 == 0 {
            lab.wait(MILLISECOND)
                .send(answer(id, 0, "www.example.org", &ADDRESS));
        }
    }
    let outcome = lab.end();
    let finding = outcome.only("dns.unanswered");
    assert_eq!(
        finding.summary,
        "10.0.0.53 left 10 of 20 DNS queries unanswered."
    );
    assert_eq!((finding.severity, finding.count), (Severity::Warn, 10));

    let mut lab = Lab::new();
    for id in 0..3 {
        // Each is sent twice, and is one query.
        lab.wait(SECOND).send(query(id, "www.example.org"));
        lab.wait(SECOND).send(query(id, "www.example.org"));
    }
    let outcome = lab.end();
    let finding = outcome.only("dns.unanswered");
    assert_eq!(finding.summary, "10.0.0.53 answered none of 3 DNS queries.");
    assert_eq!(
        (finding.severity, finding.confidence),
        (Severity::High, Confidence::Medium)
    );
}

#[test]
fn one_lost_query_is_no_finding() {
    let mut lab = Lab::new();
    for id in 0..20 {
        lab.wait(SECOND).send(query(id, "www.example.org"));
        if id != 5 {
            lab.wait(MILLISECOND)
                .send(answer(id, 0, "www.example.org", &ADDRESS));
        }
    }
    let outcome = lab.end();
    outcome.nothing();
    let dns = outcome.report.dns.expect("DNS");
    assert_eq!((dns.queries, dns.answers), (20, 19));
    assert_eq!(dns.codes.get("NOERROR"), Some(&19));
    assert_eq!(
        (dns.names[0].name.as_str(), dns.names[0].queries),
        ("www.example.org", 20)
    );
    let latency = dns.latency_us.expect("latencies");
    assert!((1000..1300).contains(&latency.p50), "{latency:?}");
}

#[test]
fn a_capture_that_lost_packets_claims_no_absence() {
    let mut lab = Lab::new();
    for id in 0..20 {
        lab.wait(SECOND).send(query(id, "www.example.org"));
    }
    lab.lose(1);
    assert_eq!(lab.end().codes(), ["capture.lost"]);
}

#[test]
fn a_slow_server() {
    let mut lab = Lab::new();
    for id in 0..10 {
        lab.wait(SECOND).send(query(id, "www.example.org"));
        let took = if id < 4 { 800 } else { 10 };
        lab.wait(took * MILLISECOND)
            .send(answer(id, 0, "www.example.org", &ADDRESS));
    }
    let outcome = lab.end();
    let finding = outcome.only("dns.slow");
    assert!(
        finding.summary.starts_with(
            "10.0.0.53 took 500 ms or longer for 4 of 10 DNS answers; the median was 1"
        ),
        "{}",
        finding.summary
    );
    // One slow answer among many is what a resolver does.
    let mut lab = Lab::new();
    for id in 0..40 {
        lab.wait(SECOND).send(query(id, "www.example.org"));
        let took = if id < 3 { 800 } else { 10 };
        lab.wait(took * MILLISECOND)
            .send(answer(id, 0, "www.example.org", &ADDRESS));
    }
    lab.end().nothing();
}

#[test]
fn a_server_that_fails_or_refuses() {
    for (flags, code, word) in [
        (2, "dns.servfail", "SERVFAIL"),
        (5, "dns.refused", "REFUSED"),
    ] {
        let mut lab = Lab::new();
        for id in 0..10 {
            lab.wait(SECOND).send(query(id, "Broken.example.org"));
            let flags = if id < 5 { flags } else { 0 };
            lab.send(answer(id, flags, "Broken.example.org", &[]));
        }
        let outcome = lab.end();
        let finding = outcome.only(code);
        assert_eq!(
            finding.summary,
            format!("10.0.0.53 answered 5 of 10 DNS queries with {word}, for broken.example.org.")
        );
        assert_eq!(finding.severity, Severity::Warn);
        // A broken name that somebody asks for now and then.
        let mut lab = Lab::new();
        for id in 0..10 {
            lab.wait(SECOND).send(query(id, "www.example.org"));
            lab.send(answer(
                id,
                if id < 2 { flags } else { 0 },
                "www.example.org",
                &ADDRESS,
            ));
        }
        lab.end().nothing();
    }
}

#[test]
fn a_server_that_fails_for_everything() {
    let mut lab = Lab::new();
    for id in 0..5 {
        let name = format!("host-{id}.example.org");
        lab.wait(SECOND)
            .send(query(id, &name))
            .send(answer(id, 2, &name, &[]));
    }
    let outcome = lab.end();
    let finding = outcome.only("dns.servfail");
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(
        finding.summary,
        "10.0.0.53 answered 5 of 5 DNS queries with SERVFAIL, for several names, the first of them host-0.example.org."
    );
}

#[test]
fn names_that_do_not_exist() {
    let mut lab = Lab::new();
    for id in 0..150 {
        let name = format!("x{id}.example");
        lab.wait(100 * MILLISECOND)
            .send(query(id, &name))
            .send(answer(id, 3, &name, &[]));
    }
    let outcome = lab.end();
    let finding = outcome.only("dns.nxdomain_storm");
    assert!(
        finding.summary.starts_with("10.0.0.9 was told 150 times that a name does not exist (NXDOMAIN), up to 150 times a minute, for about 1"),
        "{}",
        finding.summary
    );
    // A search list: for each name that exists one that does not.
    let mut lab = Lab::new();
    for id in 0..80 {
        let name = format!("www{id}.example");
        lab.wait(SECOND)
            .send(query(id, &name))
            .send(answer(id, 3, &name, &[]));
        lab.send(query(id + 500, &name))
            .send(answer(id + 500, 0, &name, &ADDRESS));
    }
    lab.end().nothing();
}

const TRUNCATED: u16 = 0x0200;

fn tcp(from_client: bool, flags: u16, payload: &[u8]) -> Vec<u8> {
    let (client, server) = ((CLIENT, 50_000), (SERVER, 53));
    match from_client {
        true => tcp_frame(client, server, flags, 1, payload),
        false => tcp_frame(server, client, flags, 1, payload),
    }
}

#[test]
fn truncated_answers_that_nobody_follows() {
    for is_tried in [false, true] {
        let mut lab = Lab::new();
        lab.send(query(1, "big.example.org"))
            .send(answer(1, TRUNCATED, "big.example.org", &[]));
        if is_tried {
            lab.wait(SECOND).send(tcp(true, TcpFlags::SYN, b""));
        }
        let outcome = lab.end();
        let finding = outcome.only("dns.truncated_no_tcp");
        let (severity, what) = match is_tried {
            false => (Severity::Warn, "never asked again by TCP"),
            true => (Severity::High, "asked again by TCP, which was not answered"),
        };
        assert_eq!(
            finding.summary,
            format!("10.0.0.9 got 1 truncated DNS answer from 10.0.0.53 and {what}.")
        );
        assert_eq!(finding.severity, severity);
    }
}

#[test]
fn truncated_answers_that_tcp_completes() {
    let mut lab = Lab::new();
    lab.send(query(1, "big.example.org"))
        .send(answer(1, TRUNCATED, "big.example.org", &[]));
    lab.send(tcp(true, TcpFlags::SYN, b""));
    lab.send(tcp(false, TcpFlags::SYN | TcpFlags::ACK, b""));
    let of_stream =
        |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let asked = of_stream(message(7, 0x0100, "big.example.org", 1, &[]));
    lab.send(tcp(true, TcpFlags::ACK | TcpFlags::PSH, &asked));
    let answered = of_stream(message(
        7,
        0x8180,
        "big.example.org",
        1,
        &[[192, 0, 2, 1]; 40],
    ));
    lab.send(tcp(false, TcpFlags::ACK | TcpFlags::PSH, &answered[..400]));
    let outcome = lab.end();
    outcome.nothing();
    let dns = outcome.report.dns.expect("DNS");
    assert_eq!((dns.queries, dns.answers, dns.over_tcp), (2, 2, 2));
    // Or a larger answer by UDP.
    let mut lab = Lab::new();
    lab.send(query(1, "big.example.org"))
        .send(answer(1, TRUNCATED, "big.example.org", &[]));
    lab.send(query(2, "big.example.org"))
        .send(answer(2, 0, "big.example.org", &ADDRESS));
    lab.end().nothing();
}

#[test]
fn two_answers_to_one_query() {
    let mut lab = Lab::new();
    lab.send(query(1, "www.example.org"));
    lab.wait(MILLISECOND)
        .send(answer(1, 0, "www.example.org", &[[198, 51, 100, 66]]));
    lab.wait(20 * MILLISECOND)
        .send(answer(1, 0, "www.example.org", &ADDRESS));
    let outcome = lab.end();
    let finding = outcome.only("dns.two_answers");
    assert_eq!(
        finding.summary,
        "One query for www.example.org was answered twice in the name of 10.0.0.53, with different answers."
    );
    assert_eq!((finding.count, finding.packets.packets()), (1, vec![2, 3]));
}

#[test]
fn a_retry_may_be_answered_otherwise_and_an_answer_may_come_twice() {
    let mut lab = Lab::new();
    lab.send(query(1, "www.example.org"))
        .wait(SECOND)
        .send(query(1, "www.example.org"));
    lab.send(answer(1, 0, "www.example.org", &[[192, 0, 2, 2]]));
    lab.send(answer(1, 0, "www.example.org", &ADDRESS));
    // The same, in another order.
    lab.send(query(2, "www.example.org"));
    lab.send(answer(
        2,
        0,
        "www.example.org",
        &[[192, 0, 2, 2], [192, 0, 2, 1]],
    ));
    lab.send(answer(
        2,
        0,
        "www.example.org",
        &[[192, 0, 2, 1], [192, 0, 2, 2]],
    ));
    lab.end().nothing();
}

#[test]
fn hostile_names_are_escaped() {
    let name = "a\u{1b}[31m\u{202e}.example";
    let mut lab = Lab::new();
    for id in 0..5 {
        lab.wait(SECOND)
            .send(query(id, name))
            .send(answer(id, 2, name, &[]));
    }
    let outcome = lab.end();
    let finding = outcome.only("dns.servfail");
    assert!(
        finding
            .summary
            .ends_with("for a\\u{1b}[31m\\u{202e}.example."),
        "{}",
        finding.summary
    );
    let json = serde_json::to_string(&outcome.report).expect("JSON");
    assert!(!json.contains('\u{202e}') && !json.contains("\\u001b"));
}
