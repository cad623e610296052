//! Frames of every length and shape on a live interface: jumbo frames in several buffers,
//! super-frames of the segmentation offload past 64 KiB, and fragments that come in any order.

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab, PEER_IF},
    readers,
    table::{Labelled, check},
    traffic::{self, Direction, FRAGMENT, Ipv4, UDP, fragment, ipv6_frame, numbered, udp},
};

/// As large as veth can be.
fn large_mtu(lab: &Lab, mtu: u32) {
    lab.host.ip(&format!("link set {HOST_IF} mtu {mtu}"));
    lab.peer.ip(&format!("link set {PEER_IF} mtu {mtu}"));
}

fn of_lengths(lengths: &[usize]) -> Vec<Vec<u8>> {
    let from = "192.0.2.1:1000".parse().expect("an address");
    let to = "192.0.2.2:53".parse().expect("an address");
    let numbered = lengths.iter().zip(0..);
    numbered
        .map(|(&len, number)| traffic::udp_frame(from, to, number, len))
        .collect()
}

/// With room for XDP a page holds about 3,500 bytes of a frame: all beyond lies in further buffers,
/// up to 17 of them.
const JUMBO: [usize; 14] = [
    60, 1514, 3400, 3500, 3600, 4096, 4097, 8192, 9000, 9014, 16_385, 40_000, 65_000, 65_535,
];

#[test]
fn jumbo_frames_are_whole_under_every_hook() {
    let lab = Lab::new();
    large_mtu(&lab, 65_521);
    let frames = of_lengths(&JUMBO);
    for hook in ["tc", "xdp", "xdp-generic"] {
        let arguments = [
            "-i", HOST_IF, "-w", "o.pcapng", "--port", "53", "--hook", hook,
        ];
        let running = agent::capture(&lab.host, &arguments);
        traffic::send(&lab.peer, PEER_IF, 0, frames.clone());
        traffic::send(&lab.host, HOST_IF, 0, frames.clone());
        let ended = running.stop().expect_whole("user");
        let packets = ended.packets();
        let expected = frames.iter().chain(&frames);
        let is_whole = packets.len() == 2 * frames.len()
            && packets.iter().zip(expected).all(|(packet, frame)| {
                packet.bytes == *frame && packet.original_len == frame.len()
            });
        let lengths: Vec<_> = packets.iter().map(|packet| packet.bytes.len()).collect();
        ended.check(is_whole, format_args!("{hook}: {lengths:?}"));
    }
}

#[test]
fn jumbo_frames_are_cut_or_left_out_under_every_hook() {
    let lab = Lab::new();
    large_mtu(&lab, 9000);
    let frames = of_lengths(&JUMBO[..10]);
    for hook in ["tc", "xdp", "xdp-generic"] {
        for (most, oversize) in [
            (64, "truncate"),
            (3550, "truncate"),
            (9013, "truncate"),
            (4096, "discard"),
        ] {
            let text = most.to_string();
            let mut arguments = vec!["-i", HOST_IF, "-w", "o.pcapng", "-Q", "ingress"];
            arguments.extend(["--hook", hook, "-s", &text, "--oversize", oversize]);
            let running = agent::capture(&lab.host, &arguments);
            traffic::send(&lab.peer, PEER_IF, 0, frames.clone());
            let ended = running.stop().expect_whole("user");
            let fits = |frame: &&Vec<u8>| oversize == "truncate" || frame.len() <= most;
            let expected: Vec<_> = frames
                .iter()
                .filter(fits)
                .map(|frame| (frame.len(), &frame[..frame.len().min(most)]))
                .collect();
            let packets = ended.packets();
            let taken: Vec<_> = packets
                .iter()
                .map(|packet| (packet.original_len, &packet.bytes[..]))
                .collect();
            let what = format_args!("{hook}, {most} bytes, {oversize}");
            ended.check(taken == expected, what);
            let discarded = (frames.len() - expected.len()) as u64;
            ended.check(ended.counter("oversize_discarded") == discarded, what);
        }
    }
}

/// Segmentation offload past 64 KiB (BIG TCP, 5.19), where the length stands in a jumbo payload option
/// before the TCP header. tshark puts the stream together from it.
#[test]
fn super_frames_past_64_kibibytes() {
    let lab = Lab::new();
    let size = "gso_max_size 185000";
    lab.host.ip(&format!("link set {HOST_IF} {size}"));
    lab.peer.ip(&format!("link set {PEER_IF} {size}"));
    let arguments = ["-i", HOST_IF, "-w", "o.pcapng", "--port", "8080"];
    let running = agent::capture(&lab.host, &arguments);
    let sent = numbered(7, 8_000_000);
    let address = "[fd00::1]:8080".parse().expect("an address");
    let received = traffic::tcp_transfer(&lab.peer, &lab.host, address, &sent);
    assert!(received == sent, "the transfer itself is unharmed");
    let ended = running.stop().expect_whole("user");
    let lengths = ended.packets().into_iter();
    let largest = lengths.map(|packet| packet.bytes.len()).max();
    let largest = largest.unwrap_or_default();
    ended.check(
        largest > 65_600,
        format_args!("largest frame {largest} bytes"),
    );
    let seen = readers::tcp_stream(&ended.file());
    ended.check(seen == sent, format_args!("{} bytes", seen.len()));
}

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const A6: &str = "2001:db8::1";
const B6: &str = "2001:db8::2";

/// A fragment that overtakes the first one is matched by what it has itself, addresses and protocol;
/// those that come behind the first one go with it.
#[test]
fn fragments_that_overtake_the_first() {
    let body = udp(1000, 53, &numbered(1, 56));
    let four = |offset: u16, more| {
        let from = usize::from(offset) * 8;
        Ipv4::new(A, B, UDP)
            .fragment(7, offset, more)
            .frame(&body[from..from + 16])
    };
    let six = |offset: u16, more| {
        let from = usize::from(offset) * 8;
        let rest = fragment(UDP, 7, offset, more, &body[from..from + 16]);
        ipv6_frame(A6, B6, FRAGMENT, &rest)
    };
    let frames: Vec<Labelled> = vec![
        ("last4", four(6, false)),
        ("second4", four(2, true)),
        ("first4", four(0, true)),
        ("third4", four(4, true)),
        ("last6", six(6, false)),
        ("second6", six(2, true)),
        ("first6", six(0, true)),
        ("third6", six(4, true)),
    ];
    let filters = [
        ("--port 53", "first4 third4 first6 third6"),
        ("--ip 192.0.2.2 --port 53", "first4 third4"),
        ("--ip 192.0.2.1", "last4 second4 first4 third4"),
        ("--protocol udp", "*"),
        (
            "--ip 2001:db8::1 --peer-ip 2001:db8::2 --protocol udp",
            "last6 second6 first6 third6",
        ),
        ("--protocol tcp", ""),
    ];
    check(Direction::Ingress, "tc", &frames, &filters);
    check(Direction::Egress, "tc", &frames, &filters[..4]);
    check(Direction::Ingress, "xdp", &frames, &filters[..5]);
    check(Direction::Ingress, "xdp-generic", &frames, &filters[..1]);
}
