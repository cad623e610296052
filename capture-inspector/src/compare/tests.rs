use capture_packet::testing::{MILLISECOND, SECOND, framed, ip, tcp, tcp_frame};

use super::*;
use crate::{compare, testing::Pcapng};

const SYN: u16 = 2;
const ACK: u16 = 16;

/// A transfer from a port, of which each `lost`-th segment is sent again.
fn transfer(mut file: Pcapng, port: u16, round_trip_ns: u64, lost: Option<u32>) -> Pcapng {
    let (client, server) = (("10.0.0.5", port), ("10.0.0.9", 80));
    let mut now = u64::from(port) * 1_000;
    let half = round_trip_ns / 2;
    file = file
        .packet(now, &tcp_frame(client, server, SYN, 0, b""))
        .packet(
            now + round_trip_ns,
            &tcp_frame(server, client, SYN | ACK, 0, b""),
        )
        .packet(
            now + round_trip_ns + 1,
            &tcp_frame(client, server, ACK, 1, b""),
        );
    now += 2 * round_trip_ns;
    for number in 0..100 {
        let data = tcp_frame(client, server, ACK, 1 + number * 500, &[7; 500]);
        file = file.packet(now, &data);
        if lost.is_some_and(|lost| number % lost == 0) {
            now += 250 * MILLISECOND;
            file = file.packet(now, &data);
        }
        let mut acknowledgement = tcp((80, port), ACK, 1, &[]);
        acknowledgement[8..12].copy_from_slice(&(1 + (number + 1) * 500).to_be_bytes());
        let packet = framed(&ip("10.0.0.9", "10.0.0.5", 6, &acknowledgement));
        file = file.packet(now + round_trip_ns, &packet);
        now += round_trip_ns + half;
    }
    file
}

fn land(file: Pcapng, address: &str) -> Pcapng {
    file.packet(
        SECOND,
        &framed(&ip(address, address, 6, &tcp((80, 80), SYN, 1, &[]))),
    )
}

fn new_file() -> Pcapng {
    Pcapng::new("task", "eth0")
}

fn compared(before: Pcapng, now: Pcapng) -> Comparison {
    let mut files = [before.file("before"), now.file("now")];
    let [before, now] = files.each_mut();
    let answer = compare(std::slice::from_mut(now), std::slice::from_mut(before));
    let now = answer.expect("they are read");
    now.comparison.expect("a comparison")
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|it| it.code).collect()
}

#[test]
fn findings_are_new_or_gone_by_code_and_subject() {
    let before = land(land(new_file(), "10.0.0.1"), "10.0.0.2");
    let now = land(land(new_file(), "10.0.0.2"), "10.0.0.3");
    let comparison = compared(before, now);
    // Beside it: the host did not talk before.
    assert_eq!(codes(&comparison.new), ["proto.malformed", "new_talker"]);
    assert_eq!(codes(&comparison.gone), ["proto.malformed"]);
    let about = |finding: &Finding| finding.subject.source.map(|it| it.to_string());
    assert_eq!(about(&comparison.new[0]).as_deref(), Some("10.0.0.3"));
    assert_eq!(about(&comparison.gone[0]).as_deref(), Some("10.0.0.1"));
    assert_eq!(
        (comparison.changed.len(), comparison.baseline.packets),
        (0, 2)
    );
}

#[test]
fn the_same_again_is_no_difference() {
    let make = |port| {
        land(
            transfer(new_file(), port, 4 * MILLISECOND, Some(20)),
            "10.0.0.1",
        )
    };
    // From another port, as each time.
    let comparison = compared(make(40_000), make(40_001));
    assert_eq!(codes(&comparison.new), [""; 0]);
    assert_eq!(codes(&comparison.gone), [""; 0]);
    assert_eq!(comparison.changed, []);
}

#[test]
fn loss_and_round_trips_that_doubled_are_changes() {
    let before = transfer(new_file(), 40_000, 4 * MILLISECOND, None);
    let now = transfer(new_file(), 40_001, 40 * MILLISECOND, Some(10));
    let comparison = compared(before, now);
    let changed: Vec<_> = comparison.changed.iter().map(|it| it.figure).collect();
    assert_eq!(
        changed,
        [Figure::Loss, Figure::RoundTrip, Figure::Handshake]
    );
    let [loss, round_trip, handshake] = comparison.changed.as_slice() else {
        panic!("{comparison:?}");
    };
    assert_eq!(loss.before, 0.0);
    assert_eq!(loss.subject.destination_port, Some(80));
    assert_eq!(
        loss.summary,
        "Of the TCP segments with 10.0.0.9 port 80 4.7 % were sent again, before 0.0 %."
    );
    assert!(
        (3_000.0..5_000.0).contains(&round_trip.before),
        "{round_trip:?}"
    );
    assert!(
        (35_000.0..50_000.0).contains(&round_trip.after),
        "{round_trip:?}"
    );
    assert!(
        handshake
            .summary
            .starts_with("Handshakes of TCP with 10.0.0.9 port 80 take 40"),
        "{handshake:?}"
    );
}

/// Half as fast again is within what quantiles and chance are good for.
#[test]
fn less_than_twice_is_no_change() {
    let before = transfer(new_file(), 40_000, 20 * MILLISECOND, None);
    let now = transfer(new_file(), 40_001, 30 * MILLISECOND, None);
    assert_eq!(compared(before, now).changed, []);
    assert!(
        !has_changed(10.0, 900.0, LEAST_US),
        "microseconds are those of a scheduler"
    );
    assert!(
        has_changed(10_000.0, 4_000.0, LEAST_US),
        "what got better is said too"
    );
}

/// Whoever has not talked before is a finding of this comparison alone.
#[test]
fn hosts_that_are_new_are_found() {
    let before = transfer(new_file(), 40_000, 4 * MILLISECOND, None);
    let now = transfer(new_file(), 40_001, 4 * MILLISECOND, None);
    let stranger = |flags, from, to| tcp_frame(from, to, flags, 1, b"hello");
    let (new, server) = (("10.0.0.77", 50_000), ("10.0.0.9", 80));
    let now = now
        .packet(2 * SECOND, &stranger(ACK, new, server))
        .packet(2 * SECOND + 1, &stranger(ACK, server, new));
    let comparison = compared(before, now);
    assert_eq!(codes(&comparison.new), ["new_talker"]);
}
