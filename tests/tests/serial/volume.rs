//! A hundred thousand packets at a sustained rate among other traffic: exactly those, in order,
//! whole.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use capture_tests::{
    agent::{self, Ended, Running},
    netns::{HOST_IF, Lab, PEER_IF},
    readers::{self, Packet},
    traffic::{self, number_in},
};

use super::one_at_a_time;

const PACKETS: u32 = 100_000;
/// Packets a second, the quarter of other traffic included.
const RATE: u32 = 30_000;

fn addresses(ipv6: bool) -> (SocketAddr, SocketAddr) {
    let (from, to) = match ipv6 {
        false => ("10.0.0.2:40000", "10.0.0.1:9"),
        true => ("[fd00::2]:40000", "[fd00::1]:9"),
    };
    (
        from.parse().expect("an address"),
        to.parse().expect("an address"),
    )
}

fn length(number: u32) -> usize {
    [70, 128, 256, 590, 1514][number as usize % 5]
}

/// The wanted packets, after every third of them one of other traffic.
fn mixture(ipv6: bool) -> impl Iterator<Item = Vec<u8>> + Send {
    let (from, to) = addresses(ipv6);
    (0..PACKETS).flat_map(move |number| {
        let wanted = traffic::udp_frame(from, to, number, length(number));
        let other = (number % 3 == 2).then(|| traffic::other_traffic(number / 3));
        std::iter::once(wanted).chain(other)
    })
}

fn start<'a>(lab: &'a Lab, ipv6: bool, more: &[&str]) -> Running<'a> {
    let ip = addresses(ipv6).1.ip().to_string();
    let mut arguments = vec![
        "-i",
        HOST_IF,
        "--protocol",
        "udp",
        "--port",
        "9",
        "--ip",
        &ip,
    ];
    arguments.extend(["-w", "o.pcapng"]);
    arguments.extend(more);
    agent::capture(&lab.host, &arguments)
}

fn capture(ipv6: bool, more: &[&str]) -> (Ended, Vec<Packet>) {
    let lab = Lab::new();
    let running = start(&lab, ipv6, more);
    let begin = Instant::now();
    let sent = traffic::send(&lab.peer, PEER_IF, RATE, mixture(ipv6));
    println!("{sent} packets in {:?}", begin.elapsed());
    let ended = running.stop().expect_whole("user");
    let packets = ended.packets();
    (ended, packets)
}

fn exactly(hook: &str, ipv6: bool) {
    let _guard = one_at_a_time();
    let (ended, packets) = capture(ipv6, &["--hook", hook]);
    let (from, to) = addresses(ipv6);
    ended.check(
        packets.len() == PACKETS as usize,
        format_args!("{} packets", packets.len()),
    );
    for (packet, number) in packets.iter().zip(0..) {
        assert_eq!(
            number_in(&packet.bytes),
            Some(number),
            "in the order of sending"
        );
        assert_eq!(packet.original_len, length(number));
        let sent = traffic::udp_frame(from, to, number, length(number));
        assert!(packet.bytes == sent, "packet {number} is as it was sent");
    }
    assert_eq!(ended.counter("matched"), u64::from(PACKETS));
    let expression = format!("udp port 9 and host {}", to.ip());
    assert_eq!(
        readers::tcpdump_count(&ended.file(), &expression),
        PACKETS as usize
    );
}

#[test]
fn exactly_those_by_tc_over_ipv4() {
    exactly("tc", false);
}

#[test]
fn exactly_those_by_tc_over_ipv6() {
    exactly("tc", true);
}

#[test]
fn exactly_those_by_xdp_over_ipv4() {
    exactly("xdp", false);
}

#[test]
fn exactly_those_by_xdp_over_ipv6() {
    exactly("xdp", true);
}

#[test]
fn cut_to_64_bytes() {
    let _guard = one_at_a_time();
    let (ended, packets) = capture(false, &["--max-bytes", "64"]);
    ended.check(
        packets.len() == PACKETS as usize,
        format_args!("{} packets", packets.len()),
    );
    for (packet, number) in packets.iter().zip(0..) {
        assert_eq!(
            (packet.bytes.len(), packet.original_len),
            (64, length(number))
        );
        assert_eq!(number_in(&packet.bytes), Some(number));
    }
}

#[test]
fn oversize_discarded() {
    let _guard = one_at_a_time();
    let (ended, packets) = capture(false, &["-s", "256", "--oversize", "discard"]);
    let expected = (0..PACKETS).filter(|&number| length(number) <= 256);
    let numbers = readers::numbers(&packets);
    assert!(
        numbers.eq(expected),
        "those of up to 256 bytes, {} of them",
        packets.len()
    );
    assert_eq!(
        ended.counter("oversize_discarded"),
        u64::from(PACKETS) * 2 / 5
    );
}

#[test]
fn a_duration_of_two_seconds_ends_in_time() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let running = start(&lab, false, &["--duration", "2"]);
    let begin = Instant::now();
    let (ended, took) = std::thread::scope(|scope| {
        scope.spawn(|| traffic::send(&lab.peer, PEER_IF, RATE, mixture(false)));
        let ended = running
            .wait(Duration::from_secs(10))
            .expect_whole("duration");
        let took = ended.at.duration_since(begin).as_secs_f64();
        (ended, took)
    });
    ended.check((1.8..2.5).contains(&took), format_args!("{took} s"));
    let packets = ended.gapless_packets();
    let span = packets[packets.len() - 1].time_ns - packets[0].time_ns;
    ended.check(
        span <= 2_000_000_000,
        format_args!("packets over {span} ns"),
    );
    ended.check(
        packets.len() > 30_000,
        format_args!("{} packets", packets.len()),
    );
}

#[test]
fn a_thousand_packets_exactly() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let running = start(&lab, false, &["-c", "1000"]);
    traffic::send(&lab.peer, PEER_IF, RATE, mixture(false).take(30_000));
    let ended = running
        .wait(Duration::from_secs(10))
        .expect_whole("max_packets");
    let packets = ended.packets();
    let numbers = readers::numbers(&packets);
    assert!(
        numbers.eq(0..1000),
        "the first thousand, {} found",
        packets.len()
    );
}
