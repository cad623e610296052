//! Addresses on a link and who gives them.

use std::net::IpAddr;

use crate::{
    finding::Confidence,
    severity::Severity,
    testing::{Header, Lab, SECOND, ethernet, icmp, ip, ip_with, mac, udp, udp_frame},
};

const BROADCAST: [u8; 6] = [0xff; 6];

pub(super) fn v4(text: &str) -> [u8; 4] {
    match text.parse() {
        Ok(IpAddr::V4(ip)) => ip.octets(),
        other => panic!("{other:?}"),
    }
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
    from_station(v4(server)[3], server, &message)
}

/// What a server sends, in a frame of a station.
fn from_station(station: u8, server: &str, message: &[u8]) -> Vec<u8> {
    let packet = ip(server, "255.255.255.255", 17, &udp(67, 68, message));
    ethernet(mac(station), BROADCAST, 0x0800, &packet)
}

/// It has an address in each, and gives leases of one and then of the other.
#[test]
fn a_server_of_two_networks_of_one_link_is_one_server() {
    let mut lab = Lab::new();
    for (server, router) in [([10, 0, 0, 1], 1), ([10, 0, 7, 1], 77)] {
        let mut options = vec![54, 4];
        options.extend(server);
        options.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, router]);
        lab.send(from_client(7, 1));
        let [a, b, c, d] = server;
        let address = format!("{a}.{b}.{c}.{d}");
        lab.send(from_station(1, &address, &dhcp(2, 7, 2, &options)));
    }
    lab.end().nothing();
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

/// Two servers hear the same request; the one that was not asked refuses, after the other one has given the address.
#[test]
fn a_refusal_after_the_address_was_given_is_none() {
    let mut lab = Lab::new();
    lab.send(from_client(7, 3));
    lab.send(from_server("10.0.0.1", 7, 5, 1));
    lab.send(from_server("10.0.0.66", 7, 6, 66));
    lab.end().nothing();
    // It asks again, to keep its address.
    let mut lab = Lab::new();
    lab.send(from_client(7, 3));
    lab.send(from_server("10.0.0.1", 7, 5, 1));
    lab.wait(SECOND).send(from_client(7, 3));
    lab.send(from_server("10.0.0.1", 7, 6, 1));
    lab.end().only("dhcp.nak");
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
