//! Names that are asked of everybody on the link.

use crate::tests::net::dns::{CLIENT, message};
use crate::{
    finding::Confidence,
    testing::{Lab, SECOND, udp_frame},
};

const POISONER: &str = "10.0.0.66";
const OWN: [[u8; 4]; 1] = [[10, 0, 0, 66]];

fn llmnr(lab: &mut Lab, id: u16, name: &str) {
    lab.wait(SECOND);
    lab.send(udp_frame(
        (CLIENT, 50_000),
        ("224.0.0.252", 5355),
        &message(id, 0, name, 1, &[]),
    ));
    let answer = message(id, 0x8000, name, 1, &OWN);
    lab.send(udp_frame((POISONER, 5355), (CLIENT, 50_000), &answer));
}

/// A name as NetBIOS writes it, with its suffix.
fn netbios(name: &str, suffix: u8) -> String {
    let mut bytes = format!("{name:<15}").into_bytes();
    bytes.push(suffix);
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(b'A' + nibble)).collect()
}

fn nbns(lab: &mut Lab, id: u16, name: &str, is_broadcast: bool) {
    lab.wait(SECOND);
    let (flags, to) = if is_broadcast {
        (0x0110, "10.0.0.255")
    } else {
        (0x0100, POISONER)
    };
    let name = netbios(name, 0x20);
    lab.send(udp_frame(
        (CLIENT, 137),
        (to, 137),
        &message(id, flags, &name, 32, &[]),
    ));
    // The record of NetBIOS: type 32, six bytes.
    let mut answer = message(id, 0x8500, &name, 32, &[]);
    answer[7] = 1;
    answer.extend(b"\xc0\x0c\x00\x20\x00\x01\x00\x00\x00\xa5\x00\x06\x00\x00\x0a\x00\x00\x42");
    lab.send(udp_frame((POISONER, 137), (CLIENT, 137), &answer));
}

#[test]
fn a_host_that_answers_for_all_names() {
    let mut lab = Lab::new();
    llmnr(&mut lab, 1, "wpad");
    llmnr(&mut lab, 2, "fielserver");
    nbns(&mut lab, 3, "WPAD", true);
    nbns(&mut lab, 4, "PRINTSRV", true);
    let outcome = lab.end();
    let finding = outcome.only("name.poisoning");
    assert_eq!(
        finding.summary,
        "10.0.0.66 answered for 3 different host names that others asked the link for: wpad, fielserver, printsrv."
    );
    assert_eq!(finding.confidence, Confidence::High);
}

/// One host by both versions of IP is one finding.
#[test]
fn a_host_with_two_addresses_is_one_host() {
    let mut lab = Lab::new();
    for (id, name) in (0..).zip(["wpad", "fielserver", "printsrv"]) {
        llmnr(&mut lab, id, name);
        let answer = message(id, 0x8000, name, 1, &OWN);
        lab.send(udp_frame(("fe80::66", 5355), ("fe80::9", 50_001), &answer));
    }
    assert_eq!(lab.end().only("name.poisoning").count, 6);
}

#[test]
fn a_host_that_answers_for_its_own_name_and_a_name_server() {
    let mut lab = Lab::new();
    for id in 0..5 {
        llmnr(&mut lab, id, "fileserver");
        nbns(&mut lab, 10 + id, "FILESERVER", true);
    }
    // A WINS server is asked alone.
    for (id, name) in ["ALPHA", "BETA", "GAMMA", "DELTA"].into_iter().enumerate() {
        nbns(&mut lab, 20 + id as u16, name, false);
    }
    lab.end().nothing();
}

#[test]
fn mdns_is_less_sure() {
    let answer = |lab: &mut Lab, name: &str, address: [u8; 4]| {
        let answer = message(0, 0x8400, name, 1, &[address]);
        lab.wait(SECOND)
            .send(udp_frame((POISONER, 5353), ("224.0.0.251", 5353), &answer));
    };
    let names = ["wpad.local", "printer.local", "nas.local"];
    let mut lab = Lab::new();
    names.iter().for_each(|name| answer(&mut lab, name, OWN[0]));
    let outcome = lab.end();
    assert_eq!(
        outcome.only("name.poisoning").confidence,
        Confidence::Medium
    );
    // A reflector passes on what others say of themselves.
    let mut lab = Lab::new();
    names
        .iter()
        .zip(1..)
        .for_each(|(name, host)| answer(&mut lab, name, [10, 0, 1, host]));
    lab.end().nothing();
}
