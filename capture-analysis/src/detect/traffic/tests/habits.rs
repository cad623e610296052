//! Guessing of passwords, beacons, volumes and new hosts, and what looks like them.

use super::{CLIENT, SERVER, connection};
use crate::{
    Analyzer, Finding, Options, Packet, Severity,
    address::Address,
    detect::traffic::Detectors,
    facts::Facts,
    flow::{End, FlowKey, Side},
    logins::{Logins as Said, Results},
    seen::Flow,
    testing::{Lab, MILLISECOND, SECOND, START, tcp_frame, udp_frame},
};

const OUTSIDE: &str = "203.0.113.77";

#[test]
fn guessing_by_many_equal_sessions() {
    let mut lab = Lab::new();
    for number in 0..60 {
        let sizes = (1800 + usize::from(number % 7), 2400);
        connection(&mut lab, (CLIENT, 20_000 + number), (SERVER, 22), sizes);
        lab.wait(2 * SECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("auth.bruteforce");
    assert!(
        finding
            .summary
            .starts_with("10.0.0.1 opened 60 short sessions of SSH to 10.0.0.2 port 22 within 118"),
        "{}",
        finding.summary
    );
}

#[test]
fn work_by_ssh_and_checks_of_its_port_are_no_guessing() {
    let mut lab = Lab::new();
    for number in 0..60u16 {
        // Copies of files of any size.
        let sizes = (1500 + usize::from(number) * 300, 2000);
        connection(&mut lab, (CLIENT, 20_000 + number), (SERVER, 22), sizes);
        // A check that reads the version and goes.
        connection(
            &mut lab,
            ("10.0.0.7", 20_000 + number),
            (SERVER, 22),
            (30, 40),
        );
        // A web service, whose answers are all alike.
        connection(
            &mut lab,
            (CLIENT, 20_000 + number),
            (SERVER, 8080),
            (900, 2000),
        );
        lab.wait(SECOND / 2);
    }
    // The same file is copied again and again.
    for number in 0..60u16 {
        let sizes = (3000, 30_000);
        connection(&mut lab, ("10.0.0.9", 20_000 + number), (SERVER, 22), sizes);
        lab.wait(SECOND + u64::from(number * number % 11) * SECOND / 4);
    }
    // Once a minute a job that does the same each time.
    for number in 0..60u16 {
        connection(
            &mut lab,
            ("10.0.0.8", 20_000 + number),
            (SERVER, 22),
            (3000, 3000),
        );
        lab.wait(37 * SECOND + u64::from(number) * SECOND);
    }
    lab.end().nothing();
}

/// Failed logins of FTP, so many with so long in between.
fn failures(count: u64, every_ns: u64) -> Vec<Finding> {
    let mut detectors = Detectors::default();
    for number in 0..count {
        detectors.logins(&Said {
            client: Address::v4([10, 0, 0, 1]),
            server: Address::v4([10, 0, 0, 2]),
            port: 21,
            service: "FTP",
            number: number + 1,
            ns: START + number * every_ns,
            results: Results {
                refused: 1,
                is_accepted: false,
            },
        });
    }
    let mut findings = Vec::new();
    detectors.findings(&Facts::default(), &mut findings);
    findings
}

#[test]
fn guessing_that_the_server_speaks_of() {
    let findings = failures(50, SECOND);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].summary,
        "10.0.0.1 failed to log in to FTP of 10.0.0.2 port 21 50 times within 49.0 s."
    );
    assert_eq!(findings[0].code, "auth.bruteforce");
    assert!(
        failures(10, SECOND).is_empty(),
        "somebody who looks for the right one"
    );
    assert!(
        failures(50, 60 * SECOND).is_empty(),
        "a client with an old password"
    );
}

#[test]
fn a_beacon_to_the_outside() {
    let mut lab = Lab::new();
    for number in 0..40u16 {
        connection(
            &mut lab,
            (CLIENT, 20_000 + number),
            (OUTSIDE, 443),
            (200, 300),
        );
        let jitter = u64::from(number) * 7919 % 12_000;
        lab.wait(54 * SECOND + jitter * MILLISECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("beacon");
    assert!(
        finding
            .summary
            .starts_with("10.0.0.1 connects to 203.0.113.77 tcp port 443 every 60.")
            || finding
                .summary
                .starts_with("10.0.0.1 connects to 203.0.113.77 tcp port 443 every 59."),
        "{}",
        finding.summary
    );
    assert_eq!(finding.severity, Severity::Warn);
}

#[test]
fn monitoring_of_several_services_is_one_remark() {
    let mut lab = Lab::new();
    for number in 0..40u16 {
        for host in 1..=8 {
            let server = format!("203.0.113.{host}");
            connection(
                &mut lab,
                (CLIENT, 20_000 + number),
                (&server, 443),
                (200, 300),
            );
        }
        lab.wait(10 * SECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("beacon");
    assert_eq!(finding.severity, Severity::Info);
    assert!(
        finding
            .summary
            .contains("7 other services in the same rhythm"),
        "{}",
        finding.summary
    );
}

#[test]
fn what_is_periodic_by_nature_is_no_beacon() {
    let mut lab = Lab::new();
    // One long connection with keep-alives.
    super::open(&mut lab, (CLIENT, 20_000), (OUTSIDE, 443));
    for number in 0..60u16 {
        lab.wait(30 * SECOND);
        let (client, server) = ((CLIENT, 20_000), (OUTSIDE, 443));
        lab.send(tcp_frame(
            client,
            server,
            0x18,
            1001 + u32::from(number),
            b"k",
        ));
        lab.send(tcp_frame(server, client, 0x10, 5001, b""));
        // NTP from a new port each time, as chrony does.
        let (client, server) = ((CLIENT, 30_000 + number), (OUTSIDE, 123));
        lab.send(udp_frame(client, server, &[0x23; 48]));
        lab.send(udp_frame(server, client, &[0x24; 48]));
        // SYNs that nobody answers.
        let client = (CLIENT, 40_000 + number);
        lab.send(tcp_frame(client, (OUTSIDE, 8443), 0x02, 1, b""));
    }
    let codes = lab.end().codes();
    assert!(!codes.contains(&"beacon"), "{codes:?}");
}

#[test]
fn use_by_people_is_no_beacon() {
    let mut lab = Lab::new();
    for number in 0..80u16 {
        connection(
            &mut lab,
            (CLIENT, 20_000 + number),
            (OUTSIDE, 443),
            (200, 300),
        );
        // Pages with a few connections each, and time to read.
        let pause = if number % 5 == 0 {
            10 + u64::from(number) * 37 % 90
        } else {
            0
        };
        lab.wait(pause * SECOND + 300 * MILLISECOND);
    }
    lab.end().nothing();
}

/// What is found of a flow with so many bytes from the client and back.
fn volume(client: &str, server: &str, payload: [u64; 2]) -> Vec<Finding> {
    let end = |text: &str, port| End {
        address: text.parse::<std::net::IpAddr>().expect("an address").into(),
        port,
    };
    let key = FlowKey {
        ends: [end(client, 40_000), end(server, 443)],
        protocol: 6,
        place: (0, 0),
    };
    let flow = Flow {
        first_ns: START,
        last_ns: START + 60 * SECOND,
        first_packet: 1,
        client: Side::Low,
        packets: [10, 10],
        bytes: payload,
        payload,
        tcp: None,
        application: Default::default(),
        wireshark: None,
    };
    let mut detectors = Detectors::default();
    detectors.flow(&key, &flow);
    let mut findings = Vec::new();
    detectors.findings(&Facts::default(), &mut findings);
    findings
}

#[test]
fn much_that_goes_out() {
    let findings = volume(CLIENT, OUTSIDE, [500_000_000, 4_000_000]);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].summary,
        "10.0.0.1 sent 500.0 MB out to 203.0.113.77 within 60.0 s, and got 4.0 MB back."
    );
    assert_eq!(
        (findings[0].code, findings[0].severity),
        ("exfil.volume", Severity::Info)
    );
    assert!(
        volume(CLIENT, OUTSIDE, [4_000_000, 500_000_000]).is_empty(),
        "a download"
    );
    assert!(
        volume(CLIENT, OUTSIDE, [60_000_000, 50_000_000]).is_empty(),
        "a video call"
    );
    assert!(
        volume(CLIENT, SERVER, [500_000_000, 4_000_000]).is_empty(),
        "a backup inside"
    );
    assert!(
        volume(OUTSIDE, SERVER, [500_000_000, 0]).is_empty(),
        "an upload from outside"
    );
}

/// An analysis of conversations between these hosts.
fn conversations(pairs: &[(&str, &str)]) -> Analyzer {
    let mut analyzer = Analyzer::new(Options::default());
    for (number, (one, other)) in (1..).zip(pairs) {
        for frame in [
            udp_frame((one, 40_000), (other, 7000), b"question"),
            udp_frame((other, 7000), (one, 40_000), b"answer"),
        ] {
            analyzer.packet(&Packet {
                number,
                timestamp_ns: START + number,
                interface: 0,
                direction: None,
                original_len: frame.len() as u32,
                lost_before: 0,
                data: &frame,
            });
        }
    }
    analyzer
}

#[test]
fn hosts_that_were_not_there_before() {
    let baseline = conversations(&[(CLIENT, SERVER), (CLIENT, OUTSIDE)]).baseline();
    assert_eq!(baseline.len(), 3);
    let pairs = [
        (CLIENT, SERVER),
        ("10.0.0.66", SERVER),
        (CLIENT, "203.0.113.5"),
        (CLIENT, "203.0.113.6"),
    ];
    let mut analyzer = conversations(&pairs);
    analyzer.compare_with(baseline.clone());
    let report = analyzer.finish();
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| &*finding.summary)
        .collect();
    assert_eq!(
        found,
        [
            "10.0.0.66 (98 bytes in 1 flow, with 10.0.0.2) is not in the capture that this one is compared with.",
            "2 hosts outside are not in the capture that this one is compared with; the most was with 203.0.113.5 (98 bytes in 1 flow, with 10.0.0.1).",
        ]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.code == "new_talker")
    );

    let mut analyzer = conversations(&pairs[..1]);
    analyzer.compare_with(baseline);
    assert!(analyzer.finish().findings.is_empty());
    assert!(
        conversations(&pairs).finish().findings.is_empty(),
        "without another capture"
    );
}
