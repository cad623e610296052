//! Whatever a capture holds, it is analyzed.

use capture_common::Direction;

use super::simulation::{CLIENT_ADDRESS, SERVER_ADDRESS};
use crate::tests::tcp::testing::{Capture, TcpPacket};

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn nothing_that_a_packet_says_is_too_odd() {
    let mut state = 1;
    for round in 0..40 {
        let mut capture = Capture::default();
        let mut ns = 1_700_000_000_000_000_000;
        for _ in 0..3000 {
            let mut pick = |end: u64| random(&mut state) % end;
            let ends = [(CLIENT_ADDRESS, 1 + pick(3) as u16), (SERVER_ADDRESS, 80)];
            let side = pick(2) as usize;
            let mut packet = TcpPacket::new(ends[side], ends[1 - side]);
            let near = |pick: &mut dyn FnMut(u64) -> u64| match pick(4) {
                0 => (pick(1 << 32)) as u32,
                1 => u32::MAX - pick(4000) as u32,
                _ => pick(20_000) as u32,
            };
            packet.seq = near(&mut pick);
            packet.ack = (pick(8) > 0).then(|| near(&mut pick));
            packet.len = [0, 0, 1, 100, 1448, 9000][pick(6) as usize];
            (packet.syn, packet.fin, packet.rst) = (pick(12) == 0, pick(20) == 0, pick(40) == 0);
            packet.window = [0, 1, 500, 65535][pick(4) as usize];
            packet.mss = (pick(10) == 0).then(|| pick(2) as u16);
            packet.scale = (pick(10) == 0).then(|| pick(256) as u8);
            packet.timestamps = (pick(2) == 0).then(|| (near(&mut pick), near(&mut pick)));
            packet.sack = (pick(3) == 0).then(|| (near(&mut pick), near(&mut pick)));
            packet.id = pick(4) as u16;
            packet.ttl = [64, 63, 255, 1][pick(4) as usize];
            ns = match pick(50) {
                0 => pick(u64::MAX),
                1 => 0,
                2 => u64::MAX,
                _ => u64::saturating_add(ns, pick(300_000_000)),
            };
            let direction =
                [None, Some(Direction::Egress), Some(Direction::Ingress)][pick(3) as usize];
            let direction = if round % 2 == 0 { direction } else { None };
            let mut frame = packet.frame();
            if pick(10) == 0 {
                let at = 14 + pick(frame.len() as u64 - 14) as usize;
                frame[at] = pick(256) as u8;
            }
            capture.push(ns, direction, frame);
        }
        let report = capture.analyze();
        assert_eq!(report.packets, 3000);
        serde_json::to_string(&report).expect("JSON");
    }
}
