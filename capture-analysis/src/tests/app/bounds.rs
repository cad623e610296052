//! What hostile flows cost.

use proptest::prelude::*;

use super::talk::{CLIENT, SERVER, Talk};
use crate::{
    applications::{MOST_FLOWS, MOST_HELD},
    decode::{Decoded, TcpFlags},
    detect::Detectors,
    flow::Side,
    seen::{Flow, Seen},
    testing::{Lab, START, tcp_frame},
};

/// A flow and what it sends, segment by segment.
fn send(detectors: &mut Detectors, flow: &mut Flow, port: u16, segments: &[(u16, u32, &[u8])]) {
    for (flags, sequence, payload) in segments {
        let frame = tcp_frame((CLIENT, port), (SERVER, 443), *flags, *sequence, payload);
        let headers = Decoded::new(1, &frame, frame.len() as u32);
        let seen = Seen {
            number: 1,
            ns: START,
            interface: 0,
            direction: None,
            headers: &headers,
            hashes: detectors.look_ahead(&headers),
        };
        detectors.packet(&seen, Some((flow, Side::Low)));
    }
}

fn flow() -> Flow {
    Flow {
        first_ns: START,
        last_ns: START,
        first_packet: 1,
        client: Side::Low,
        packets: [0; 2],
        bytes: [0; 2],
        payload: [0; 2],
        tcp: None,
        application: Default::default(),
        wireshark: None,
    }
}

/// Messages that never end, bytes behind holes, and beginnings that say nothing: all of it in as many flows as there are.
#[test]
fn memory_has_a_bound() {
    let mut message = vec![22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff];
    message.resize(8000, 7);
    let behind = vec![7; 8000];
    let mut detectors = Detectors::default();
    for number in 0..2 * MOST_FLOWS {
        let ack = TcpFlags::ACK;
        let segments: &[(u16, u32, &[u8])] = match number % 3 {
            0 => &[
                (TcpFlags::SYN, 0, b""),
                (ack, 1, &message),
                (ack, 8001, &behind),
            ],
            1 => &[
                (TcpFlags::SYN, 0, b""),
                (ack, 100, &behind),
                (ack, 8200, &behind[..100]),
            ],
            _ => &[(TcpFlags::SYN, 0, b""), (ack, 1, b"G")],
        };
        send(&mut detectors, &mut flow(), number as u16, segments);
        if number % 1000 != 0 {
            continue;
        }
        let waiting = detectors.applications.waiting();
        assert_eq!(
            waiting.counted, waiting.held,
            "what is counted is what there is"
        );
        assert!(waiting.held <= MOST_HELD && waiting.flows <= MOST_FLOWS);
    }
    let held = detectors.applications.waiting().held;
    assert!(held > MOST_HELD / 2, "{held}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What begins as any protocol and goes on as anything.
    #[test]
    fn any_bytes_are_no_danger(
        begin in prop::sample::select(vec![
            &b"\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03"[..],
            b"GET / HTTP/1.1\r\n",
            b"SSH-2.0-x\r\n",
            b"",
        ]),
        said in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..300)), 1..20),
    ) {
        let mut lab = Lab::new();
        let mut talk = Talk::new(&mut lab, 40_000, 443).client(begin);
        for (is_client, bytes) in &said {
            talk = match is_client {
                true => talk.client(bytes),
                false => talk.server(bytes),
            };
        }
        talk.close();
        lab.end();
    }
}
