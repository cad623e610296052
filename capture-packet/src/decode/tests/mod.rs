//! Headers against etherparse and tshark, and hostile bytes against nobody.

mod encapsulations;
mod oracle;

use proptest::prelude::*;

use super::*;
use crate::testing;

fn decode(frame: &[u8]) -> Decoded<'_> {
    Decoded::new(1, frame, frame.len() as u32)
}

/// Whatever it is, what is lent lies within the frame.
fn check_bounds(decoded: &Decoded<'_>) {
    let frame = decoded.frame.as_ptr_range();
    let payload = decoded.payload.as_ptr_range();
    let is_within = frame.start <= payload.start && payload.end <= frame.end;
    assert!(decoded.payload.is_empty() || is_within);
    assert!(decoded.tunnels <= MAX_TUNNELS);
    if let Some(quoted) = decoded.quoted() {
        assert!(quoted.payload.len() <= decoded.payload.len());
    }
}

#[test]
fn a_frame_that_is_cut_anywhere_is_no_fault_of_its_sender() {
    for (name, link_type, frame, tunnels) in encapsulations::all() {
        let whole = Decoded::new(link_type, &frame, frame.len() as u32);
        assert!(whole.problems.is_empty(), "{name}: {:?}", whole.problems);
        for len in 0..frame.len() {
            let cut = Decoded::new(link_type, &frame[..len], frame.len() as u32);
            check_bounds(&cut);
            assert!(
                cut.problems.is_empty(),
                "{name} cut to {len}: {:?}",
                cut.problems
            );
            // What extension headers say may be missing.
            let ends = |decoded: &Decoded<'_>| decoded.ip.map(|ip| (ip.source, ip.destination));
            let is_inner = cut.ip.is_some() && cut.tunnels == whole.tunnels && tunnels == 0;
            assert!(
                !is_inner || ends(&cut) == ends(&whole),
                "{name} cut to {len}"
            );
            let is_same = ends(&cut) == ends(&whole) && cut.tunnels == whole.tunnels;
            if cut.transport.ports().is_some() && is_same {
                assert_eq!(
                    cut.transport.ports(),
                    whole.transport.ports(),
                    "{name} cut to {len}"
                );
                assert_eq!(cut.payload_len, whole.payload_len, "{name} cut to {len}");
            }
            // The same bytes as a whole frame: it is the sender's fault, or nothing was missing.
            check_bounds(&Decoded::new(link_type, &frame[..len], len as u32));
        }
    }
}

#[test]
fn what_a_tunnel_carries_does_not_inherit_its_ports() {
    let esp = testing::ip("10.0.0.1", "10.0.0.2", 50, &[0; 16]);
    let inner = testing::framed(&esp);
    let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0], &inner[..]].concat();
    let frame = testing::udp_frame(("192.0.2.1", 40_000), ("192.0.2.2", 4789), &vxlan);
    let decoded = decode(&frame);
    assert_eq!(decoded.tunnel, Some(Tunnel::Vxlan));
    assert_eq!(decoded.ip.map(|ip| ip.protocol), Some(50));
    assert_eq!(decoded.transport, Transport::None);
}

#[test]
fn a_quote_of_eight_bytes_has_ports() {
    let segment = testing::tcp((40_000, 443), TcpFlags::SYN, 7, b"");
    let packet = testing::ip("10.0.0.1", "10.0.0.2", 6, &segment);
    for len in [28, 32, 40] {
        let error = testing::icmp(3, 13, 0, &packet[..len]);
        let frame = testing::framed(&testing::ip("10.0.0.254", "10.0.0.1", 1, &error));
        let decoded = decode(&frame);
        let quoted = decoded.quoted().expect("a quote");
        assert_eq!(quoted.transport.ports(), Some((40_000, 443)), "{len}");
        assert_eq!(quoted.tcp().map(|tcp| tcp.sequence), Some(7), "{len}");
        assert_eq!(quoted.ip.map(|ip| ip.total_len), Some(40));
    }
}

#[test]
fn padding_is_no_payload() {
    let mut frame = testing::udp_frame(("10.0.0.1", 1), ("10.0.0.2", 2), b"abc");
    frame.resize(60, 0xee);
    let decoded = decode(&frame);
    assert_eq!((decoded.payload, decoded.payload_len), (&b"abc"[..], 3));
    assert!(decoded.problems.is_empty());
    // Of IPv6 without a next header too, whose length is 0.
    let mut frame = testing::framed(&testing::ip("fe80::1", "fe80::2", 59, b""));
    frame.resize(60, 0xee);
    assert_eq!(decode(&frame).payload, b"");
}

#[test]
fn impossible_lengths_are_problems() {
    let frame = testing::udp_frame(("10.0.0.1", 1), ("10.0.0.2", 2), b"abcdef");
    let problem = |at: usize, bytes: &[u8]| {
        let mut frame = frame.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        decode(&frame).problems
    };
    assert!(problem(14, &[0x41]).contains(Problem::IpHeaderLength));
    assert!(problem(14, &[0x55]).contains(Problem::IpVersion));
    assert!(problem(16, &[0xff, 0xff]).contains(Problem::IpLength));
    assert!(problem(16, &[0, 10]).contains(Problem::IpLength));
    assert!(problem(38, &[0, 7]).contains(Problem::UdpLength));
    assert!(problem(38, &[0, 99]).contains(Problem::UdpLength));
    let mut frame = testing::tcp_frame(("10.0.0.1", 1), ("10.0.0.2", 2), 0x18, 0, b"");
    frame[46] = 0x40;
    assert!(decode(&frame).problems.contains(Problem::TcpHeaderLength));
    frame[46] = 0x60;
    assert!(decode(&frame).problems.contains(Problem::TcpHeaderLength));
    // An option of a length that leaves the header.
    let mut frame = testing::tcp_frame(("10.0.0.1", 1), ("10.0.0.2", 2), 0x18, 0, &[8, 10, 0, 0]);
    frame[46] = 0x60;
    assert!(decode(&frame).problems.contains(Problem::TcpOption));
}

#[test]
fn tunnels_and_tags_end() {
    let mut packet = testing::ip("10.0.0.1", "10.0.0.2", 17, &testing::udp(1, 2, b""));
    for _ in 0..=MAX_TUNNELS {
        packet = testing::ip("10.0.0.1", "10.0.0.2", 4, &packet);
    }
    let frame = testing::framed(&packet);
    let decoded = decode(&frame);
    assert!(decoded.problems.contains(Problem::TooDeep));
    let tags = [0x81, 0, 0, 1].repeat(40);
    let frame = testing::ethernet(testing::mac(1), testing::mac(2), 0x8100, &tags[2..]);
    assert!(decode(&frame).problems.contains(Problem::TooDeep));
    let labels = [0, 0, 0x10, 0x40].repeat(40);
    let frame = testing::ethernet(testing::mac(1), testing::mac(2), 0x8847, &labels);
    assert!(decode(&frame).problems.contains(Problem::TooDeep));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_are_no_danger(
        link_type in prop::sample::select(vec![0, 1, 9, 12, 101, 108, 113, 228, 276, 147]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        more in 0u32..2000,
    ) {
        check_bounds(&Decoded::new(link_type, &bytes, bytes.len() as u32 + more));
    }

    /// Near to real frames, where mere noise does not get.
    #[test]
    fn changed_frames_are_no_danger(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        len in any::<prop::sample::Index>(),
        more in 0u32..100,
    ) {
        let all = encapsulations::all();
        let (_, link_type, frame, _) = which.get(&all);
        let mut frame = frame.clone();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(len.index(frame.len() + 1).max(frame.len() / 2));
        check_bounds(&Decoded::new(*link_type, &frame, frame.len() as u32 + more));
    }
}
