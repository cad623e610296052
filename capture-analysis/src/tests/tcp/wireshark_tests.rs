//! Random connections, of which tshark and we must say the same of each packet.

use std::net::Ipv4Addr;

use super::testing::{Capture, TcpPacket};
use crate::WiresharkClasses;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn from_env() -> Self {
        let seed = std::env::var("CAPTURE_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        Self(seed.unwrap_or(20))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 40000);
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 2), 80);

/// A connection in which everything happens: loss, resends, keep-alives, closed windows, probes.
fn random_connection(random: &mut Random, capture: &mut Capture, port: u16) {
    let client = (CLIENT.0, port);
    let ends = [client, SERVER];
    let mut next = [random.below(1 << 32) as u32, random.below(1 << 32) as u32];
    let mut acked = next;
    let mut window = [500u16, 500];
    let mut ns = capture
        .packets
        .last()
        .map_or(1_000_000_000, |packet| packet.ns + 1_000_000);
    let scale = (!random.one_in(3)).then_some(2);
    if !random.one_in(4) {
        for (side, ack) in [(0, None), (1, Some(next[0].wrapping_add(1)))] {
            let mut packet = TcpPacket::new(ends[side], ends[1 - side]);
            (packet.seq, packet.ack, packet.syn, packet.scale) = (next[side], ack, true, scale);
            packet.window = 500;
            next[side] = next[side].wrapping_add(1);
            ns += random.below(9_000_000);
            capture.push(ns, None, packet.frame());
        }
        acked = next;
    }
    for _ in 0..random.below(60) {
        let side = random.below(2) as usize;
        let other = 1 - side;
        ns += match random.below(4) {
            0 => random.below(100_000),
            1 => random.below(4_000_000),
            2 => random.below(40_000_000),
            _ => random.below(400_000_000),
        };
        let mut packet = TcpPacket::new(ends[side], ends[other]);
        packet.len = if random.one_in(2) {
            0
        } else {
            [1, 100, 2000][random.below(3) as usize]
        };
        packet.seq = match random.below(8) {
            0 => next[side].wrapping_sub(1),
            1 => next[side].wrapping_sub([100, 200, 1, 2000][random.below(4) as usize]),
            2 => next[side].wrapping_add(100),
            3 => acked[side],
            _ => next[side],
        };
        if random.one_in(2) {
            acked[other] = match random.below(4) {
                0 => acked[other].wrapping_add(100),
                _ => next[other],
            };
        }
        if random.one_in(6) {
            window[side] = [0, 100, 500, 25][random.below(4) as usize];
        }
        packet.ack = Some(acked[other]);
        packet.window = window[side];
        packet.fin = random.one_in(30);
        packet.rst = random.one_in(60);
        let end = packet
            .seq
            .wrapping_add(packet.len as u32 + u32::from(packet.fin));
        if (end.wrapping_sub(next[side]) as i32) > 0 && !packet.rst {
            next[side] = end;
        }
        let frame = packet.frame();
        capture.push(ns, None, frame.clone());
        if random.one_in(10) {
            ns += random.below(2_000_000);
            capture.push(ns, None, frame);
        }
    }
}

#[test]
fn tshark_says_the_same_of_random_connections() {
    let mut random = Random::from_env();
    let mut capture = Capture::default();
    for port in 0..400 {
        random_connection(&mut random, &mut capture, 20_000 + port);
    }
    let names: Vec<String> = WiresharkClasses::NAMES
        .iter()
        .map(|name| format!("tcp.analysis.{name}"))
        .collect();
    let mut fields = vec!["tcp.srcport"];
    fields.extend(names.iter().map(String::as_str));
    let Some(theirs) = capture.tshark("frame", &fields) else {
        return;
    };
    let (_, ours) = capture.analyze_each();
    let mut unlike = Vec::new();
    for (index, (ours, row)) in ours.iter().zip(&theirs).enumerate() {
        let set = WiresharkClasses::NAMES.iter().zip(&row[1..]);
        let theirs: Vec<_> = set
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, _)| *name)
            .collect();
        if ours.to_string() != theirs.join(" ") {
            unlike.push(format!(
                "{}: [{ours}], tshark [{}]",
                index + 1,
                theirs.join(" ")
            ));
        }
    }
    let share = unlike.len() as f64 / ours.len() as f64;
    // What ends a gap within a round trip is out of order for later versions.
    let tolerated = if is_version_4_0() { 0.0 } else { 0.02 };
    assert!(
        share <= tolerated,
        "{} of {} ({share:.4}):\n{}",
        unlike.len(),
        ours.len(),
        unlike[..unlike.len().min(40)].join("\n")
    );
}

fn is_version_4_0() -> bool {
    let version = std::process::Command::new("tshark")
        .arg("--version")
        .output();
    version.is_ok_and(|done| done.stdout.starts_with(b"TShark (Wireshark) 4.0."))
}
