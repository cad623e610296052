//! Data in names and in echo messages.

use crate::tests::net::dns::{CLIENT, SERVER, message};
use crate::{
    finding::Confidence,
    testing::{Lab, MILLISECOND, SECOND, framed, icmp, ip, udp_frame},
};

/// Characters that look random, the same in every run.
fn random(seed: u64, len: usize, alphabet: &[u8]) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(alphabet[(state >> 33) as usize % alphabet.len()])
    };
    (0..len).map(|_| next()).collect()
}

fn asked(names: impl Iterator<Item = (String, u16)>) -> Lab {
    let mut lab = Lab::new();
    for (id, (name, kind)) in names.enumerate() {
        let id = id as u16;
        lab.wait(100 * MILLISECOND);
        lab.send(udp_frame(
            (CLIENT, 40_000),
            (SERVER, 53),
            &message(id, 0x0100, &name, kind, &[]),
        ));
        lab.send(udp_frame(
            (SERVER, 53),
            (CLIENT, 40_000),
            &message(id, 0x8180, &name, kind, &[]),
        ));
    }
    lab
}

const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";

#[test]
fn names_that_carry_data() {
    let names = (0..200).map(|n| {
        let data = [random(n, 60, BASE32), random(n + 1000, 40, BASE32)];
        (format!("{}.{}.t.example.org", data[0], data[1]), 10)
    });
    let outcome = asked(names).end();
    let finding = outcome.only("dns.tunnel");
    assert_eq!(finding.confidence, Confidence::High);
    assert_eq!(finding.subject.name.as_deref(), Some("example.org"));
    assert!(
        finding
            .summary
            .contains("below example.org, 104 bytes long on average")
            && finding
                .summary
                .ends_with("100 % of the queries are for TXT, NULL or private types."),
        "{}",
        finding.summary
    );
}

/// iodine uses bytes above ASCII where they pass.
#[test]
fn names_of_bytes_that_are_no_letters_carry_data() {
    let high: Vec<char> = ('\u{bc}'..='\u{fd}').collect();
    let all: Vec<u8> = (0..high.len() as u8).collect();
    let names = (0..200).map(|n| {
        let places = random(n, 30, &all).into_bytes();
        let label: String = places
            .iter()
            .map(|place| high[usize::from(*place)])
            .collect();
        (format!("{label}.t.example.org"), 10)
    });
    asked(names).end().only("dns.tunnel");
}

#[test]
fn many_hosts_of_one_domain_and_one_long_name_carry_none() {
    asked((0..200).map(|n| (format!("host-{n}.berlin.example.org"), 1)))
        .end()
        .nothing();
    let name = format!("{}.cdn.example.org", random(1, 60, BASE32));
    asked((0..200).map(|_| (name.clone(), 16))).end().nothing();
    // Reverse names of IPv6 are long and different.
    let nibbles = |n| {
        let nibbles = random(n, 32, b"0123456789abcdef");
        nibbles
            .chars()
            .map(|nibble| format!("{nibble}."))
            .collect::<String>()
    };
    asked((0..200).map(|n| (format!("{}ip6.arpa", nibbles(n)), 12)))
        .end()
        .nothing();
}

fn echo(lab: &mut Lab, sequence: u32, asked: &[u8], answered: &[u8]) {
    let (one, other) = ("10.0.0.9", "198.51.100.7");
    lab.wait(SECOND);
    lab.send(framed(&ip(
        one,
        other,
        1,
        &icmp(8, 0, 0x1234_0000 | sequence, asked),
    )));
    lab.send(framed(&ip(
        other,
        one,
        1,
        &icmp(0, 0, 0x1234_0000 | sequence, answered),
    )));
}

#[test]
fn pings_that_carry_data() {
    let mut lab = Lab::new();
    for sequence in 0..20 {
        let [asked, answered] =
            [1, 2].map(|way| random(u64::from(sequence) * 2 + way, 100, BASE32));
        echo(&mut lab, sequence, asked.as_bytes(), answered.as_bytes());
    }
    let outcome = lab.end();
    let finding = outcome.only("icmp.tunnel");
    assert_eq!(
        finding.summary,
        "10.0.0.9 and 198.51.100.7 exchange data in 40 echo messages (4 kB): 20 of 20 replies are not what was sent."
    );
    assert_eq!(finding.confidence, Confidence::High);
    // The replies are right, and the requests are all different.
    let mut lab = Lab::new();
    for sequence in 0..20 {
        let asked = random(sequence.into(), 100, BASE32);
        echo(&mut lab, sequence, asked.as_bytes(), asked.as_bytes());
    }
    let outcome = lab.end();
    assert_eq!(outcome.only("icmp.tunnel").confidence, Confidence::Medium);
}

#[test]
fn pings_with_the_time_in_front_and_of_all_sizes_are_pings() {
    let mut lab = Lab::new();
    let pattern: Vec<u8> = (0..=255).collect();
    for sequence in 0..40 {
        let mut payload = random(sequence.into(), 16, BASE32).into_bytes();
        // Four sizes, ten times each.
        payload.extend(&pattern[16..40 + 40 * (sequence as usize % 4)]);
        echo(&mut lab, sequence, &payload, &payload);
    }
    lab.end().nothing();
}

#[test]
fn a_later_ping_with_the_same_identifier_is_another_one() {
    let mut lab = Lab::new();
    for ping in 0..4 {
        for sequence in 1..=5 {
            let mut payload = random(ping * 100 + u64::from(sequence), 16, BASE32).into_bytes();
            payload.extend(16..200);
            echo(&mut lab, sequence, &payload, &payload);
        }
    }
    lab.end().nothing();
}
