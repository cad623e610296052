//! Addresses that stations claim, by ARP and by neighbour discovery.

use crate::tests::net::link::v4;
use crate::{
    finding::Confidence,
    severity::Severity,
    testing::{Header, Lab, SECOND, ethernet, icmp, ip_with, mac},
};

const GATEWAY: &str = "10.0.0.1";
const HOST: &str = "10.0.0.9";
const BROADCAST: [u8; 6] = [0xff; 6];

/// An ARP message in its frame: operation, sender, target, and to whom the frame goes.
fn arp(operation: u8, from: (u8, &str), target: &str, to: [u8; 6]) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation];
    message.extend(mac(from.0));
    message.extend(v4(from.1));
    message.extend([0; 6]);
    message.extend(v4(target));
    ethernet(mac(from.0), to, 0x0806, &message)
}

fn ask(lab: &mut Lab, from: (u8, &str), target: (u8, &str)) {
    lab.send(arp(1, from, target.1, BROADCAST));
    lab.send(arp(2, target, from.1, mac(from.0)));
}

#[test]
fn two_hosts_with_one_address() {
    let mut lab = Lab::new();
    for _ in 0..3 {
        lab.wait(10 * SECOND)
            .send(arp(1, (3, HOST), HOST, BROADCAST));
        lab.wait(SECOND / 10)
            .send(arp(1, (4, HOST), HOST, BROADCAST));
    }
    let outcome = lab.end();
    let finding = outcome.only("arp.conflict");
    assert_eq!(
        finding.summary,
        "02:00:00:00:00:03 and 02:00:00:00:00:04 both claim 10.0.0.9: it went from one to the other 5 times within 20 s."
    );
    assert_eq!(
        (finding.severity, finding.confidence),
        (Severity::High, Confidence::High)
    );
}

#[test]
fn a_thousand_conflicts_are_not_a_thousand_findings() {
    let mut lab = Lab::new();
    for round in 0..3 {
        for host in 0..1000 {
            let address = format!("10.1.{}.{}", host / 200, host % 200 + 1);
            lab.send(arp(1, (3 + round % 2, &address), &address, BROADCAST));
        }
    }
    let outcome = lab.end();
    // One station claims them all, in turns with the other one.
    assert_eq!(outcome.codes().len(), 51);
    let last = &outcome.report.findings[50];
    assert_eq!(
        last.summary,
        "The same was found 950 more times, of others."
    );
}

#[test]
fn an_address_that_moves_once_is_no_conflict() {
    let mut lab = Lab::new();
    // A standby with an address of its own takes over, and says so five times.
    ask(&mut lab, (9, HOST), (1, GATEWAY));
    ask(&mut lab, (9, HOST), (2, "10.0.0.2"));
    for _ in 0..5 {
        lab.wait(SECOND)
            .send(arp(1, (2, GATEWAY), GATEWAY, BROADCAST));
    }
    ask(&mut lab, (9, HOST), (2, GATEWAY));
    lab.end().nothing();
}

#[test]
fn a_station_that_answers_for_the_gateway() {
    let mut lab = Lab::new();
    ask(&mut lab, (9, HOST), (1, GATEWAY));
    ask(&mut lab, (66, "10.0.0.66"), (1, GATEWAY));
    ask(&mut lab, (66, "10.0.0.66"), (9, HOST));
    lab.wait(10 * SECOND);
    for _ in 0..10 {
        lab.wait(SECOND);
        lab.send(arp(2, (66, GATEWAY), HOST, mac(9)));
        lab.send(arp(2, (66, HOST), GATEWAY, mac(1)));
    }
    let outcome = lab.end();
    let finding = outcome.only("arp.spoof");
    assert_eq!(
        finding.summary,
        "02:00:00:00:00:42 (10.0.0.66) claims 10.0.0.1, 10.0.0.9, which belong to other stations, with 20 replies that nobody asked for."
    );
}

/// As arpspoof does: the first reply follows a request, and at the end it sends what is right in the name of the owner.
#[test]
fn a_station_that_poisons_and_repairs_at_the_end() {
    let mut lab = Lab::new();
    ask(&mut lab, (9, HOST), (1, GATEWAY));
    for _ in 0..4 {
        lab.send(arp(2, (66, GATEWAY), HOST, mac(9)));
        lab.wait(2 * SECOND);
    }
    for _ in 0..5 {
        lab.send(arp(2, (1, GATEWAY), HOST, mac(9)));
        lab.wait(SECOND);
    }
    lab.send(arp(1, (66, GATEWAY), HOST, BROADCAST));
    ask(&mut lab, (9, HOST), (1, GATEWAY));
    let outcome = lab.end();
    let finding = outcome.only("arp.spoof");
    assert_eq!(finding.subject.mac.map(|mac| mac.0), Some(mac(66)));
    assert!(
        finding
            .summary
            .ends_with("with 3 replies that nobody asked for."),
        "{}",
        finding.summary
    );
}

/// To all nodes.
const ALL: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A neighbour solicitation (135) or advertisement (136) of a station, from an address, to an address and a station, about
/// a target.
fn ndp(kind: u8, station: u8, from: &str, to: (&str, [u8; 6]), target: &str) -> Vec<u8> {
    const SOLICITED_OVERRIDE: u32 = 0x6000_0000;
    let target: std::net::Ipv6Addr = target.parse().expect("an address");
    let mut payload = target.octets().to_vec();
    if from != "::" {
        payload.extend([kind - 134, 1]);
        payload.extend(mac(station));
    }
    let rest = if kind == 136 { SOLICITED_OVERRIDE } else { 0 };
    let header = Header {
        ttl: 255,
        ..Header::default()
    };
    let packet = ip_with(header, from, to.0, 58, &icmp(kind, 0, rest, &payload));
    ethernet(mac(station), to.1, 0x86dd, &packet)
}

const ROUTER6: &str = "fe80::1";
const HOST6: &str = "fe80::9";

/// The host asks for an address, and a station answers.
fn ask6(lab: &mut Lab, target: &str, answers: &[u8]) {
    lab.send(ndp(135, 9, HOST6, ("ff02::1:ff00:1", ALL), target));
    for station in answers {
        lab.send(ndp(136, *station, target, (HOST6, mac(9)), target));
    }
}

fn probe6(lab: &mut Lab, station: u8, target: &str) {
    lab.send(ndp(135, station, "::", ("ff02::1:ff00:1", ALL), target));
}

#[test]
fn two_hosts_with_one_address_of_ipv6() {
    let mut lab = Lab::new();
    for _ in 0..3 {
        ask6(lab.wait(SECOND), ROUTER6, &[3, 4]);
    }
    let outcome = lab.end();
    let finding = outcome.only("ndp.conflict");
    assert_eq!(
        finding.summary,
        "02:00:00:00:00:03 and 02:00:00:00:00:04 both claim fe80::1: it went from one to the other 5 times within 2.0 s."
    );
}

#[test]
fn an_address_of_ipv6_that_moves_once_is_no_conflict() {
    let mut lab = Lab::new();
    ask6(&mut lab, ROUTER6, &[3]);
    ask6(lab.wait(SECOND), ROUTER6, &[4]);
    ask6(lab.wait(SECOND), ROUTER6, &[4]);
    lab.end().nothing();
}

#[test]
fn an_address_that_is_taken() {
    let mut lab = Lab::new();
    probe6(&mut lab, 4, HOST6);
    lab.send(ndp(136, 3, HOST6, ("ff02::1", ALL), HOST6));
    let outcome = lab.end();
    assert_eq!(
        outcome.only("ndp.conflict").summary,
        "02:00:00:00:00:04 wanted to take fe80::9, which 02:00:00:00:00:03 has or wants too: duplicate address detection failed 1 time."
    );
    // It asks twice, is not answered, and takes it.
    let mut lab = Lab::new();
    probe6(&mut lab, 4, HOST6);
    probe6(lab.wait(SECOND), 4, HOST6);
    lab.wait(SECOND)
        .send(ndp(136, 4, HOST6, ("ff02::1", ALL), HOST6));
    lab.end().nothing();
}

#[test]
fn a_station_that_answers_for_the_router_of_ipv6() {
    let mut lab = Lab::new();
    ask6(&mut lab, ROUTER6, &[1]);
    lab.send(ndp(135, 66, "fe80::66", ("ff02::1:ff00:1", ALL), ROUTER6));
    for _ in 0..10 {
        lab.wait(SECOND)
            .send(ndp(136, 66, ROUTER6, (HOST6, mac(9)), ROUTER6));
    }
    let outcome = lab.end();
    assert_eq!(
        outcome.only("ndp.spoof").summary,
        "02:00:00:00:00:42 (fe80::66) claims fe80::1, which belongs to 02:00:00:00:00:01, with 9 replies that nobody asked for."
    );
}

#[test]
fn a_station_that_answers_to_everything() {
    let mut lab = Lab::new();
    for _ in 0..2 {
        for host in 0..5 {
            ask6(
                lab.wait(SECOND),
                &format!("fe80::{}", host + 20),
                &[host + 20, 66],
            );
        }
    }
    let outcome = lab.end();
    assert_eq!(
        outcome.only("ndp.spoof").summary,
        "02:00:00:00:00:42 claims fe80::20, fe80::21, fe80::22, fe80::23 and 1 more, which belong to other stations."
    );
    let mut lab = Lab::new();
    for host in 0..5 {
        let wanted = format!("fe80::{}", host + 20);
        probe6(lab.wait(SECOND), host + 20, &wanted);
        lab.send(ndp(136, 66, &wanted, ("ff02::1", ALL), &wanted));
    }
    let outcome = lab.end();
    assert_eq!(
        outcome.only("ndp.spoof").summary,
        "02:00:00:00:00:42 claims fe80::20, fe80::21, fe80::22, fe80::23 and 1 more whenever others want to take them."
    );
}

/// Its servers answer without the override flag (RFC 4861 section 7.2.7).
#[test]
fn an_anycast_address_is_no_conflict() {
    let mut lab = Lab::new();
    for _ in 0..3 {
        lab.wait(SECOND)
            .send(ndp(135, 9, HOST6, ("ff02::1:ff00:1", ALL), ROUTER6));
        for station in [3, 4] {
            let mut frame = ndp(136, station, ROUTER6, (HOST6, mac(9)), ROUTER6);
            // Behind the Ethernet and IPv6 headers and four bytes of ICMP. Its checksum is not looked at.
            frame[14 + 40 + 4] = 0x40;
            lab.send(frame);
        }
    }
    lab.end().nothing();
}
