//! Captures that nobody would make by chance.

use proptest::prelude::*;

use crate::tests::net::dns::{CLIENT, SERVER, message};
use crate::{
    Analyzer, Interface, Options, Packet,
    testing::{
        Header, SECOND, START, ethernet, framed, icmp, ip, ip_with, mac, tcp_frame, udp, udp_frame,
    },
};

/// One frame of each protocol that a detector reads.
fn frames() -> Vec<Vec<u8>> {
    let name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.org";
    let fragment = Header {
        fragment: 0x2003,
        ..Header::default()
    };
    let probe = ip(CLIENT, SERVER, 17, &udp(1, 2, b"probe"));
    let dhcp = {
        let mut bytes = vec![0; 240];
        bytes[..3].copy_from_slice(&[2, 1, 6]);
        bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        bytes.extend([53, 1, 6, 54, 4, 10, 0, 0, 1, 3, 4, 10, 0, 0, 1, 255]);
        bytes
    };
    let arp = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..],
        &mac(1),
        &[10, 0, 0, 1],
        &mac(2),
        &[10, 0, 0, 2],
    ]
    .concat();
    let advertisement = {
        let mut payload = vec![0; 8];
        payload.extend([3, 4, 64, 0xc0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0]);
        payload.extend([0x20; 16]);
        icmp(134, 0, 0x4000_0708, &payload)
    };
    let of_stream = [&[0, 40][..], &message(1, 0, name, 1, &[])].concat();
    vec![
        udp_frame(
            (CLIENT, 4000),
            (SERVER, 53),
            &message(1, 0x0100, name, 16, &[]),
        ),
        udp_frame(
            (SERVER, 53),
            (CLIENT, 4000),
            &message(1, 0x8180, name, 1, &[[1, 2, 3, 4]; 3]),
        ),
        udp_frame(
            (SERVER, 53),
            (CLIENT, 4000),
            &message(1, 0x8383, name, 1, &[]),
        ),
        udp_frame(
            (CLIENT, 5353),
            ("224.0.0.251", 5353),
            &message(0, 0x8400, "a.local", 1, &[[10, 0, 0, 9]]),
        ),
        udp_frame(
            (CLIENT, 137),
            (SERVER, 137),
            &message(0, 0x0110, name, 32, &[]),
        ),
        udp_frame(
            (CLIENT, 5355),
            (SERVER, 5355),
            &message(0, 0x8000, name, 1, &[[9; 4]]),
        ),
        udp_frame(("0.0.0.0", 68), ("255.255.255.255", 67), &dhcp),
        udp_frame(
            ("fe80::7", 546),
            ("ff02::1:2", 547),
            &[1, 0, 0, 7, 0, 1, 0, 4, 1, 2, 3, 4],
        ),
        tcp_frame((CLIENT, 4000), (SERVER, 53), 0x18, 1, &of_stream),
        ethernet(mac(1), mac(2), 0x0806, &arp),
        framed(&ip("fe80::1", "ff02::1", 58, &advertisement)),
        framed(&ip(CLIENT, SERVER, 1, &icmp(8, 0, 1, &[7; 60]))),
        framed(&ip(SERVER, CLIENT, 1, &icmp(0, 0, 1, &[8; 60]))),
        framed(&ip(SERVER, CLIENT, 1, &icmp(11, 0, 0, &probe))),
        framed(&ip_with(fragment, CLIENT, SERVER, 17, &[7; 64])),
        framed(&probe),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Frames that are damaged here and there, with a clock that jumps, on several interfaces.
    #[test]
    fn damaged_packets_end_in_a_report(
        packets in prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
                prop_oneof![4 => Just(0u64), 1 => any::<u64>()],
                any::<prop::sample::Index>(),
                0u32..3,
            ),
            1..200,
        ),
        jump in 0..10 * SECOND,
    ) {
        let frames = frames();
        let mut analyzer = Analyzer::new(Options::default());
        for id in 0..2 {
            analyzer.interface(id, Interface { link_type: 1, ..Interface::default() });
        }
        for (number, (which, changes, time, cut, interface)) in packets.iter().enumerate() {
            let mut frame = which.get(&frames).clone();
            for (at, byte) in changes {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            let kept = frame.len() - cut.index(frame.len()) * usize::from(changes.len() > 1);
            analyzer.packet(&Packet {
                number: number as u64 + 1,
                timestamp_ns: if *time == 0 { START + number as u64 * jump } else { *time },
                interface: *interface,
                direction: None,
                original_len: frame.len() as u32,
                lost_before: 0,
                data: &frame[..kept],
            });
        }
        let report = analyzer.finish();
        for finding in &report.findings {
            prop_assert!(finding.packets.packets().iter().all(|number| (1..=packets.len() as u64).contains(number)));
            prop_assert!(finding.summary.chars().all(|character| !character.is_control()));
        }
    }
}

/// Tables stay within their bounds, and the work for each packet small, whatever it is keyed by.
#[test]
fn floods_are_bounded() {
    let mut analyzer = Analyzer::new(Options {
        flows: 1000,
        ..Options::default()
    });
    analyzer.interface(
        0,
        Interface {
            link_type: 1,
            ..Interface::default()
        },
    );
    let frames = frames();
    for number in 0..60_000u32 {
        let mut frame = frames[number as usize % frames.len()].clone();
        let [a, b, c, d] = number.to_be_bytes();
        // Source address, and what the protocol has behind it.
        frame[26..30].copy_from_slice(&[10, b, c, d ^ a]);
        for (at, byte) in [(42, c), (43, d), (56, d | 1)] {
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
        }
        analyzer.packet(&Packet {
            number: number.into(),
            timestamp_ns: START + u64::from(number) * 100_000,
            interface: 0,
            direction: None,
            original_len: frame.len() as u32,
            lost_before: 0,
            data: &frame,
        });
    }
    let report = analyzer.finish();
    assert!(report.findings.len() < 1000, "{}", report.findings.len());
}
