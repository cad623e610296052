//! Addresses on a link and who gives them.

use std::net::IpAddr;

use crate::{
    finding::Confidence,
    severity::Severity,
    testing::{Header, Lab, SECOND, ethernet, icmp, ip_with, mac, udp_frame},
};

const GATEWAY: &str = "10.0.0.1";
const HOST: &str = "10.0.0.9";
const BROADCAST: [u8; 6] = [0xff; 6];

fn v4(text: &str) -> [u8; 4] {
    match text.parse() {
        Ok(IpAddr::V4(ip)) => ip.octets(),
        other => panic!("{other:?}"),
    }
}

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

/// A client of DHCP, `number`, or its server: operation, type and options.
fn dhcp(operation: u8, number: u8, kind: u8, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..8].copy_from_slice(&[operation, 1, 6, 0, 0, 0, 0, number]);
    if matches!(kind, 2 | 5) {
        bytes[16..20].copy_from_slice(&[10, 0, 0, 100 + number]);
    }
    bytes[28..34].copy_from_slice(&mac(number));
    bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    bytes.extend([53, 1, kind]);
    bytes.extend(options);
    bytes.push(255);
    bytes
}

fn from_client(number: u8, kind: u8) -> Vec<u8> {
    let message = dhcp(1, number, kind, &[50, 4, 10, 9, 9, 9]);
    udp_frame(("0.0.0.0", 68), ("255.255.255.255", 67), &message)
}

fn from_server(server: &str, number: u8, kind: u8, router: u8) -> Vec<u8> {
    let mut options = vec![54, 4];
    options.extend(v4(server));
    options.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, router]);
    let message = dhcp(2, number, kind, &options);
    udp_frame((server, 67), ("255.255.255.255", 68), &message)
}

#[test]
fn a_second_dhcp_server() {
    for (router, severity, end) in [
        (
            66,
            Severity::High,
            "10.0.0.1 with router 10.0.0.1, 10.0.0.66 with router 10.0.0.66; what they say differs.",
        ),
        // A pair for failover.
        (
            1,
            Severity::Info,
            "10.0.0.1, 10.0.0.66; nothing that they say differs.",
        ),
    ] {
        let mut lab = Lab::new();
        lab.send(from_client(7, 1));
        lab.send(from_server("10.0.0.1", 7, 2, 1));
        lab.send(from_server("10.0.0.66", 7, 2, router));
        let outcome = lab.end();
        let finding = outcome.only("dhcp.rogue");
        assert_eq!(
            finding.summary,
            format!("2 DHCP servers give addresses in one network: {end}")
        );
        assert_eq!(finding.severity, severity);
    }
}

/// A server of boot files gives no address.
#[test]
fn a_server_of_boot_files_is_no_second_server() {
    let mut lab = Lab::new();
    lab.send(from_client(7, 1));
    lab.send(from_server("10.0.0.1", 7, 2, 1));
    let mut message = dhcp(2, 7, 2, &[54, 4, 10, 0, 0, 5, 60, 3, b'P', b'X', b'E']);
    message[16..20].fill(0);
    lab.send(udp_frame(
        ("10.0.0.5", 67),
        ("255.255.255.255", 68),
        &message,
    ));
    lab.end().nothing();
}

#[test]
fn a_client_that_is_refused() {
    let mut lab = Lab::new();
    for _ in 0..3 {
        lab.wait(SECOND).send(from_client(7, 3));
        lab.send(from_server("10.0.0.1", 7, 6, 1));
    }
    let outcome = lab.end();
    assert_eq!(
        outcome.only("dhcp.nak").summary,
        "A DHCP server, 10.0.0.1, refused 02:00:00:00:00:07 the address 10.9.9.9 3 times, without an address afterwards."
    );
}

#[test]
fn a_client_that_moved_is_refused_once_and_gets_another_address() {
    let mut lab = Lab::new();
    lab.send(from_client(7, 3));
    lab.send(from_server("10.0.0.1", 7, 6, 1));
    for (asked, answered) in [(1, 2), (3, 5)] {
        lab.wait(SECOND).send(from_client(7, asked));
        lab.send(from_server("10.0.0.1", 7, answered, 1));
    }
    lab.end().nothing();
}

#[test]
fn clients_that_nobody_answers() {
    let mut lab = Lab::new();
    for number in [7, 8] {
        for _ in 0..2 {
            lab.wait(4 * SECOND).send(from_client(number, 1));
        }
    }
    let outcome = lab.end();
    let finding = outcome.only("dhcp.no_offer");
    assert_eq!(
        finding.summary,
        "2 clients searched for a DHCP server 4 times, and none made an offer."
    );
    assert_eq!(finding.confidence, Confidence::Medium);
}

#[test]
fn an_offer_to_the_second_search_is_in_time() {
    let mut lab = Lab::new();
    lab.send(from_client(7, 1))
        .wait(4 * SECOND)
        .send(from_client(7, 1));
    lab.send(from_server("10.0.0.1", 7, 2, 1));
    lab.end().nothing();
}

#[test]
fn a_dhcpv6_client_that_nobody_answers() {
    let solicit = [1, 0, 0, 7, 0, 1, 0, 4, 1, 2, 3, 4];
    let advertise = [2, 0, 0, 7, 0, 1, 0, 4, 1, 2, 3, 4, 0, 2, 0, 4, 9, 9, 9, 9];
    for is_answered in [false, true] {
        let mut lab = Lab::new();
        for _ in 0..2 {
            lab.wait(SECOND)
                .send(udp_frame(("fe80::7", 546), ("ff02::1:2", 547), &solicit));
        }
        if is_answered {
            lab.send(udp_frame(("fe80::1", 547), ("fe80::7", 546), &advertise));
            lab.end().nothing();
        } else {
            let outcome = lab.end();
            assert_eq!(
                outcome.only("dhcp.no_offer").summary,
                "A client searched for a DHCPv6 server 2 times, and none made an offer."
            );
        }
    }
}

/// A router advertisement from a station.
fn advertisement(station: u8, address: &str, prefix: u8) -> Vec<u8> {
    let mut payload = vec![0; 8];
    payload.extend([3, 4, 64, 0xc0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0]);
    payload.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, prefix, 0, 0, 0, 0, 0, 0, 0, 0]);
    let message = icmp(134, 0, 0x4000_0708, &payload);
    let header = Header {
        ttl: 255,
        ..Header::default()
    };
    let packet = ip_with(header, address, "ff02::1", 58, &message);
    ethernet(mac(station), [0x33, 0x33, 0, 0, 0, 1], 0x86dd, &packet)
}

#[test]
fn routers_that_contradict_each_other() {
    let mut lab = Lab::new();
    for _ in 0..3 {
        lab.wait(SECOND).send(advertisement(1, "fe80::1", 1));
        lab.send(advertisement(66, "fe80::66", 66));
    }
    let outcome = lab.end();
    assert_eq!(
        outcome.only("ra.rogue").summary,
        "2 routers of IPv6 contradict each other: fe80::1 (02:00:00:00:00:01) announces 2001:db8:0:1::/64; fe80::66 (02:00:00:00:00:42) announces 2001:db8:0:42::/64."
    );
}

#[test]
fn two_routers_with_one_prefix_are_a_pair() {
    let mut lab = Lab::new();
    for _ in 0..3 {
        lab.wait(SECOND).send(advertisement(1, "fe80::1", 1));
        lab.send(advertisement(2, "fe80::2", 1));
    }
    lab.end().nothing();
}

#[test]
fn a_router_that_is_impersonated_and_a_flood() {
    let mut lab = Lab::new();
    lab.send(advertisement(1, "fe80::1", 1))
        .send(advertisement(66, "fe80::1", 1));
    let outcome = lab.end();
    assert_eq!(
        outcome.only("ra.rogue").summary,
        "Both 02:00:00:00:00:01 and 02:00:00:00:00:42 send router advertisements as fe80::1."
    );
    let mut lab = Lab::new();
    for number in 0..200 {
        lab.send(advertisement(number, &format!("fe80::{number:x}1"), number));
    }
    let outcome = lab.end();
    let finding = outcome.only("ra.rogue");
    assert_eq!(
        finding.summary,
        "more than 64 stations say that they are the default router of IPv6."
    );
}
