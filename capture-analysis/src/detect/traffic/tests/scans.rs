//! Scans, and what looks like one.

use super::{ACK, CLIENT, End, RST, SERVER, SYN, connection, open, refused};
use crate::{
    Confidence, Severity,
    decode::TcpFlags,
    testing::{
        Lab, MILLISECOND, SECOND, ethernet, framed, icmp, ip, mac, tcp_frame, udp, udp_frame,
    },
};

/// A SYN scan of ports, of which a few answer.
fn scan(lab: &mut Lab, source: &str, target: &str, ports: std::ops::RangeInclusive<u16>) {
    for port in ports {
        let (client, server) = ((source, 40_000), (target, port));
        if port % 100 == 22 {
            lab.send(tcp_frame(client, server, SYN, 1, b""))
                .send(tcp_frame(server, client, SYN | ACK, 5000, b""))
                .send(tcp_frame(client, server, RST, 2, b""));
        } else {
            refused(lab, client, server);
        }
        lab.wait(MILLISECOND);
    }
}

#[test]
fn a_scan_of_a_thousand_ports_is_one_finding() {
    let mut lab = Lab::new();
    scan(&mut lab, CLIENT, SERVER, 1..=1000);
    let outcome = lab.end();
    let finding = outcome.only("scan.ports");
    assert_eq!(
        finding.summary,
        "10.0.0.1 tried 1000 TCP ports of 10.0.0.2 (1 to 1000) within 1.0 s: 10 answered, most others said that nothing is there; probes all from port 40000."
    );
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(finding.confidence, Confidence::High);
    assert_eq!(finding.count, 1000);
}

#[test]
fn a_scan_of_several_hosts_is_one_finding() {
    let mut lab = Lab::new();
    for host in 2..7 {
        scan(&mut lab, CLIENT, &format!("10.0.0.{host}"), 1..=50);
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.ports");
    assert!(
        finding.summary.contains("likewise 4 scans of other hosts"),
        "{}",
        finding.summary
    );
    assert_eq!(finding.subject.destination, None);
}

#[test]
fn a_scan_past_a_firewall_that_is_silent() {
    let mut lab = Lab::new();
    for port in 1..=300 {
        lab.send(tcp_frame((CLIENT, 40_000), (SERVER, port), SYN, 1, b""));
        lab.send(tcp_frame((CLIENT, 40_001), (SERVER, port), SYN, 1, b""));
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.ports");
    assert_eq!(finding.confidence, Confidence::Low, "no answer at all");
    assert!(
        finding.summary.contains("none answered, most were silent"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_few_wrong_ports_are_no_scan() {
    let mut lab = Lab::new();
    for port in 1..=10 {
        refused(&mut lab, (CLIENT, 40_000 + port), (SERVER, port));
    }
    assert_eq!(lab.end().codes(), ["tcp.refused"]);
}

#[test]
fn a_busy_client_is_no_scanner() {
    let mut lab = Lab::new();
    for number in 0..2000 {
        let client = (CLIENT, 20_000 + number);
        connection(&mut lab, client, (SERVER, 443), (100, 1000));
    }
    // A passive FTP client goes to another port of the server each time.
    for port in 30_000..30_400 {
        connection(&mut lab, (CLIENT, port), (SERVER, port), (0, 100));
    }
    lab.end().nothing();
}

#[test]
fn clients_that_lose_their_server_are_no_scanners() {
    let mut lab = Lab::new();
    for client in 1..=60 {
        let address = format!("10.0.1.{client}");
        for attempt in 0..20 {
            refused(&mut lab, (&address, 40_000 + attempt), (SERVER, 443));
        }
    }
    assert_eq!(lab.end().codes(), ["tcp.refused"]);
}

#[test]
fn health_checks_of_servers_that_are_down_are_no_scan() {
    let mut lab = Lab::new();
    for round in 0..10 {
        for host in 1..=30 {
            let backend = format!("10.0.2.{host}");
            refused(
                &mut lab,
                (CLIENT, 40_000 + round * 100 + host),
                (&backend, 8080),
            );
        }
        lab.wait(5 * SECOND);
    }
    assert_eq!(lab.end().codes(), ["tcp.refused"]);
}

#[test]
fn a_gateway_for_many_users_is_no_scanner() {
    let mut lab = Lab::new();
    for user in 0..200u16 {
        let server = format!("203.0.113.{user}");
        let client: End<'_> = ("198.51.100.1", 20_000 + user);
        if user % 8 == 0 {
            refused(&mut lab, client, (&server, 443));
        } else {
            connection(&mut lab, client, (&server, 443), (100, 1000));
        }
    }
    let codes = lab.end().codes();
    assert!(
        !codes.iter().any(|code| code.starts_with("scan.")),
        "{codes:?}"
    );
}

#[test]
fn what_was_captured_in_one_direction_is_no_scan() {
    let mut lab = Lab::new();
    for port in 1..=100u16 {
        let (client, server) = ((CLIENT, 40_000 + port), (SERVER, port));
        lab.send(tcp_frame(client, server, SYN, 1, b""));
        lab.send(tcp_frame(client, server, ACK, 2, b"request"));
    }
    assert_eq!(lab.end().codes(), ["capture.one_sided"]);
}

#[test]
fn a_scan_of_a_network_is_one_finding() {
    let mut lab = Lab::new();
    for host in 1..=254 {
        let target = format!("10.0.3.{host}");
        lab.send(framed(&ip(
            CLIENT,
            &target,
            1,
            &icmp(8, 0, 7 << 16, b"ping"),
        )));
        lab.send(tcp_frame((CLIENT, 40_000), (&target, 443), SYN, 1, b""));
        if host == 9 {
            lab.send(framed(&ip(
                &target,
                CLIENT,
                1,
                &icmp(0, 0, 7 << 16, b"ping"),
            )));
        }
        lab.wait(5 * MILLISECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.hosts");
    assert_eq!(
        finding.summary,
        "10.0.0.1 looked for 254 hosts between 10.0.3.1 and 10.0.3.254 within 1.3 s, by TCP port 443, echo requests: none answered; probes all from port 40000."
    );
}

#[test]
fn monitoring_by_ping_is_no_scan() {
    let mut lab = Lab::new();
    for round in 0..3u32 {
        for host in 1..=100 {
            let target = format!("10.0.3.{host}");
            let rest = 7 << 16 | round;
            lab.send(framed(&ip(CLIENT, &target, 1, &icmp(8, 0, rest, b"ping"))));
            if host % 3 > 0 {
                lab.send(framed(&ip(&target, CLIENT, 1, &icmp(0, 0, rest, b"ping"))));
            }
        }
        lab.wait(60 * SECOND);
    }
    lab.end().nothing();
}

/// An ARP request for IPv4 over Ethernet.
fn who_has(lab: &mut Lab, sender: [u8; 4], target: [u8; 4]) {
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    let body = [&head[..], &mac(1), &sender, &[0; 6], &target].concat();
    lab.send(ethernet(mac(1), [0xff; 6], 0x0806, &body));
}

#[test]
fn a_scan_by_arp_and_a_router_that_asks_for_its_hosts() {
    let mut lab = Lab::new();
    for host in 1..=254 {
        who_has(&mut lab, [10, 0, 0, 1], [10, 0, 0, host]);
        lab.wait(5 * MILLISECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.hosts");
    assert!(
        finding.summary.contains("by ARP requests"),
        "{}",
        finding.summary
    );

    // Answers to others do not come past here.
    let mut lab = Lab::new();
    for host in 2..=254 {
        who_has(&mut lab, [10, 0, 0, 1], [10, 0, 0, host]);
        lab.wait(SECOND);
    }
    lab.end().nothing();
}

#[test]
fn a_router_that_looks_for_what_another_scans_is_not_blamed() {
    let mut lab = Lab::new();
    for host in 2..=254 {
        let target = format!("10.0.0.{host}");
        lab.send(tcp_frame(
            ("203.0.113.5", 40_000),
            (&target, 22),
            SYN,
            1,
            b"",
        ));
        who_has(&mut lab, [10, 0, 0, 1], [10, 0, 0, host]);
        lab.wait(5 * MILLISECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.hosts");
    assert!(
        finding.summary.starts_with("203.0.113.5 "),
        "{}",
        finding.summary
    );
}

/// A datagram, and that nothing listens there.
fn unreachable(lab: &mut Lab, client: End<'_>, server: End<'_>) {
    let datagram = ip(client.0, server.0, 17, &udp(client.1, server.1, b""));
    lab.send(framed(&datagram));
    lab.send(framed(&ip(
        server.0,
        client.0,
        1,
        &icmp(3, 3, 0, &datagram[..28]),
    )));
}

#[test]
fn a_scan_by_datagrams() {
    let mut lab = Lab::new();
    for port in 1..=100 {
        unreachable(&mut lab, (CLIENT, 50_000), (SERVER, port));
        lab.wait(SECOND);
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.ports");
    assert_eq!(
        finding.summary,
        "10.0.0.1 tried 100 UDP ports of 10.0.0.2 (1 to 100) within 99.0 s: none answered, most said that nothing is there."
    );
    assert_eq!(finding.subject.protocol, Some("udp"));
}

#[test]
fn a_traceroute_and_a_dead_name_server_are_no_scans() {
    let mut lab = Lab::new();
    for port in 33_434..33_524 {
        let (client, server) = ((CLIENT, 50_000), (SERVER, port));
        match port > 33_518 {
            true => unreachable(&mut lab, client, server),
            false => _ = lab.send(udp_frame(client, server, b"probe")),
        }
    }
    for client in 0..300 {
        unreachable(&mut lab, (CLIENT, 20_000 + client), ("10.0.0.3", 514));
    }
    lab.end().nothing();
}

#[test]
fn scans_over_ipv6() {
    let (client, server) = ("2001:db8::1", "2001:db8::2");
    let mut lab = Lab::new();
    scan(&mut lab, client, server, 1..=200);
    let outcome = lab.end();
    let finding = outcome.only("scan.ports");
    assert!(
        finding
            .summary
            .starts_with("2001:db8::1 tried 200 TCP ports of 2001:db8::2 ")
    );

    let mut lab = Lab::new();
    for port in 1..=100 {
        let datagram = ip(client, server, 17, &udp(50_000, port, b""));
        lab.send(framed(&datagram));
        lab.send(framed(&ip(server, client, 58, &icmp(1, 4, 0, &datagram))));
    }
    let outcome = lab.end();
    let finding = outcome.only("scan.ports");
    assert!(
        finding.summary.contains("100 UDP ports"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_firewall_that_rejects_is_not_told_beside_the_scan() {
    let mut lab = Lab::new();
    for port in 1..=200 {
        let segment = ip(
            CLIENT,
            SERVER,
            6,
            &crate::testing::tcp((40_000, port), SYN, 1, b""),
        );
        lab.send(framed(&segment));
        lab.send(framed(&ip(
            "10.0.0.254",
            CLIENT,
            1,
            &icmp(3, 13, 0, &segment[..28]),
        )));
    }
    lab.end().only("scan.ports");
}

#[test]
fn a_service_that_is_down_is_told_beside_the_scan_of_another_host() {
    let mut lab = Lab::new();
    scan(&mut lab, CLIENT, SERVER, 1..=200);
    refused(&mut lab, (CLIENT, 50_000), ("10.0.0.9", 443));
    let outcome = lab.end();
    outcome.findings_of("scan.ports");
    let finding = outcome.findings_of("tcp.refused");
    assert!(
        finding.summary.starts_with("10.0.0.9 "),
        "{}",
        finding.summary
    );
}

#[test]
fn probes_that_no_stack_sends() {
    let (fin, xmas) = (TcpFlags::FIN, TcpFlags::FIN | TcpFlags::PSH | TcpFlags::URG);
    for (flags, words) in [
        (0, "NULL probes (no flags)"),
        (fin, "FIN probes"),
        (xmas, "Xmas probes (FIN with PSH or URG, without ACK)"),
        (ACK, "ACK probes"),
    ] {
        let mut lab = Lab::new();
        for port in 1..=1000 {
            lab.send(tcp_frame((CLIENT, 40_000), (SERVER, port), flags, 1, b""));
            lab.send(tcp_frame((SERVER, port), (CLIENT, 40_000), RST, 0, b""));
        }
        let outcome = lab.end();
        let finding = outcome.only("scan.stealth");
        assert_eq!(
            finding.summary,
            format!(
                "10.0.0.1 sent {words} to 1000 ports of 10.0.0.2 (1 to 1000) within 2.0 ms; 1000 resets came back."
            )
        );
    }
}

#[test]
fn connections_that_are_older_than_the_capture_are_no_probes() {
    let mut lab = Lab::new();
    // A server goes on to clients behind a gateway that has forgotten them.
    for port in 20_000..20_100 {
        lab.send(tcp_frame((SERVER, 443), ("10.0.9.1", port), ACK, 1, b""));
        lab.send(tcp_frame(("10.0.9.1", port), (SERVER, 443), RST, 0, b""));
    }
    // Clients go on with a server that was started anew.
    for port in 20_000..20_100 {
        lab.send(tcp_frame((CLIENT, port), (SERVER, 443), ACK, 1, b""));
        lab.send(tcp_frame((SERVER, 443), (CLIENT, port), RST, 0, b""));
    }
    open(&mut lab, (CLIENT, 30_000), (SERVER, 80));
    lab.end().nothing();
}

#[test]
fn a_scan_that_the_capture_lost_part_of_is_less_sure() {
    let mut lab = Lab::new();
    lab.lose(5);
    scan(&mut lab, CLIENT, SERVER, 1..=1000);
    let outcome = lab.end();
    let finding = outcome.findings_of("scan.ports");
    assert_eq!(finding.confidence, Confidence::Medium);
}

#[test]
fn very_many_scanners_are_not_told_one_by_one() {
    let mut lab = Lab::new();
    for source in 0..200 {
        let source = format!("10.1.0.{source}");
        for port in 1..=20 {
            refused(&mut lab, (&source, 40_000), (SERVER, port));
        }
    }
    let report = lab.end().report;
    let scans = report
        .findings
        .iter()
        .filter(|finding| finding.code == "scan.ports");
    assert_eq!(scans.count(), 51);
    let more = "The same was found 150 more times, of others.";
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.summary == more)
    );
}
