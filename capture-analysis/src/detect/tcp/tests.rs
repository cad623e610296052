//! Each finding of TCP once for real, and beside it something innocent that looks alike. The filters are given to tshark.

use std::net::Ipv4Addr;

use capture_common::Direction;
use etherparse::{Icmpv4Type, IpNumber};

use crate::{
    Finding, Report,
    tcp::testing::{Capture, TcpPacket, ethernet},
};

const CLIENT: usize = 0;
const SERVER: usize = 1;
const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const MS: u64 = 1_000_000;

/// Connections between two hosts, packet by packet, captured at the client unless said otherwise.
struct Simulation {
    capture: Capture,
    ns: u64,
    ends: [(Ipv4Addr, u16); 2],
    next: [u32; 2],
    id: [u16; 2],
    tsval: [u32; 2],
    ttl: [u8; 2],
    window: u16,
    local: usize,
}

impl Simulation {
    fn new() -> Self {
        Self {
            capture: Capture::default(),
            ns: 1_700_000_000_000_000_000,
            ends: [(CLIENT_ADDRESS, 40000), (SERVER_ADDRESS, 80)],
            next: [1000, 5000],
            id: [1, 1],
            tsval: [0, 0],
            ttl: [64, 60],
            window: 500,
            local: CLIENT,
        }
    }

    fn at_server() -> Self {
        Self {
            local: SERVER,
            ttl: [60, 64],
            ..Self::new()
        }
    }

    /// Another connection, from the next port.
    fn again(&mut self) {
        self.ends[CLIENT].1 += 1;
        self.next = [
            self.next[0].wrapping_add(77_777),
            self.next[1].wrapping_add(99_999),
        ];
    }

    fn wait(&mut self, ms: u64) -> &mut Self {
        self.ns += ms * MS;
        self
    }

    /// A packet; `edit` changes what it would be: the next one, without data.
    fn packet(&mut self, side: usize, edit: impl FnOnce(&mut TcpPacket)) -> &mut Self {
        let mut packet = TcpPacket::new(self.ends[side], self.ends[1 - side]);
        packet.seq = self.next[side];
        packet.ack = Some(self.next[1 - side]);
        packet.window = self.window;
        packet.ttl = self.ttl[side];
        packet.id = self.id[side];
        self.tsval[side] = (self.ns / MS) as u32;
        packet.timestamps = Some((self.tsval[side], self.tsval[1 - side]));
        self.id[side] = self.id[side].wrapping_add(1).max(1);
        edit(&mut packet);
        let direction = match side == self.local {
            true => Direction::Egress,
            false => Direction::Ingress,
        };
        self.capture.push(self.ns, Some(direction), packet.frame());
        let end = packet
            .seq
            .wrapping_add(packet.len as u32 + u32::from(packet.syn || packet.fin));
        if (end.wrapping_sub(self.next[side]) as i32) > 0 && !packet.rst {
            self.next[side] = end;
        }
        self.ns += 10_000;
        self
    }

    fn syn(&mut self) -> &mut Self {
        let seq = self.next[CLIENT];
        self.packet(CLIENT, |packet| {
            (packet.syn, packet.ack, packet.seq) = (true, None, seq);
            (packet.mss, packet.scale, packet.sack_permitted) = (Some(1460), Some(7), true);
        })
    }

    /// The same SYN once more.
    fn syn_again(&mut self) -> &mut Self {
        self.next[CLIENT] = self.next[CLIENT].wrapping_sub(1);
        self.syn()
    }

    fn syn_ack(&mut self) -> &mut Self {
        self.packet(SERVER, |packet| {
            packet.syn = true;
            (packet.mss, packet.scale, packet.sack_permitted) = (Some(1460), Some(7), true);
        })
    }

    /// A handshake of 20 ms.
    fn open(&mut self) -> &mut Self {
        self.syn().wait(20).syn_ack().ack(CLIENT)
    }

    fn send(&mut self, side: usize, len: usize) -> &mut Self {
        self.packet(side, |packet| packet.len = len)
    }

    fn ack(&mut self, side: usize) -> &mut Self {
        self.packet(side, |_| {})
    }

    fn resend(&mut self, side: usize, seq: u32, len: usize) -> &mut Self {
        self.packet(side, |packet| (packet.seq, packet.len) = (seq, len))
    }

    /// An orderly end.
    fn close(&mut self) -> &mut Self {
        self.packet(CLIENT, |packet| packet.fin = true).wait(20);
        self.packet(SERVER, |packet| packet.fin = true).ack(CLIENT)
    }

    /// Data in segments of 1,000 bytes, two of which are acknowledged at a time, after 20 ms.
    fn transfer(&mut self, side: usize, segments: usize) -> &mut Self {
        for _ in 0..segments / 2 {
            self.send(side, 1000)
                .send(side, 1000)
                .wait(20)
                .ack(1 - side);
        }
        self
    }

    /// Ends the capture, after long enough.
    fn report(&mut self) -> Report {
        self.wait(10_000);
        self.capture.push(self.ns, None, vec![0; 60]);
        self.capture.analyze()
    }

    fn codes(&mut self) -> Vec<&'static str> {
        let report = self.report();
        report.findings.iter().map(|finding| finding.code).collect()
    }

    /// The only finding, whose filter shows what it cites.
    fn only(&mut self, code: &str) -> Finding {
        let report = self.report();
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [code], "{:#?}", report.findings);
        let finding = report.findings[0].clone();
        println!("{}: {}", finding.code, finding.summary);
        assert!(!finding.packets.is_empty(), "{code} cites packets");
        assert!(finding.subject.destination.is_some() || finding.subject.source.is_some());
        self.capture.check(&finding);
        finding
    }

    fn nothing(&mut self) {
        let report = self.report();
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }
}

#[test]
fn an_ordinary_connection_has_no_finding() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .send(CLIENT, 100)
        .wait(20)
        .transfer(SERVER, 100)
        .close();
    let report = simulation.report();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let tcp = report.conversations[0].tcp.as_ref().expect("TCP");
    assert_eq!(tcp.retransmissions, 0);
    assert_eq!(tcp.handshake_us.map(|us| us / 1000), Some(20));
    assert_eq!(tcp.seen_from, crate::SeenFrom::Receiver);
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["tcp"]["retransmissions"], 0);
    assert_eq!(json["conversations"][0]["lost_before_capture"], 0);
    assert_eq!(
        json["conversations"][0]["directions"][0]["seen_from"],
        "sender"
    );
}

#[test]
fn no_answer() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(1000)
        .syn_again()
        .wait(2000)
        .syn_again();
    let finding = simulation.only("tcp.no_answer");
    assert!(
        finding.summary.contains("10.0.0.2 port 80"),
        "{}",
        finding.summary
    );
}

#[test]
fn one_syn_or_the_end_of_the_capture_is_no_silence() {
    Simulation::new().syn().nothing();
    let mut simulation = Simulation::new();
    simulation.syn().wait(1000).syn_again();
    assert!(
        simulation.capture.analyze().findings.is_empty(),
        "the capture ends at once"
    );
}

#[test]
fn refused() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(20)
        .packet(SERVER, |packet| packet.rst = true);
    simulation.only("tcp.refused");
}

#[test]
fn a_thousand_refusals_are_one_finding() {
    let mut simulation = Simulation::new();
    for port in 1..1001 {
        simulation.ends[SERVER].1 = port;
        simulation
            .syn()
            .wait(1)
            .packet(SERVER, |packet| packet.rst = true);
        simulation.again();
    }
    let finding = simulation.only("tcp.refused");
    assert_eq!(finding.count, 1000);
    assert!(finding.summary.contains("999 other"), "{}", finding.summary);
}

/// An ICMP error of a router about the last packet.
fn icmp_error(simulation: &mut Simulation, kind: Icmpv4Type) {
    let quoted = simulation.capture.packets.last().expect("a packet").frame[14..].to_vec();
    let quoted = &quoted[..28.min(quoted.len())];
    let router = Ipv4Addr::new(10, 9, 9, 9);
    let frame = ethernet(router, CLIENT_ADDRESS, IpNumber::ICMP, 7, 63, |builder| {
        let mut frame = Vec::new();
        builder
            .icmpv4(kind)
            .write(&mut frame, quoted)
            .expect("a frame");
        frame
    });
    simulation
        .capture
        .push(simulation.ns, Some(Direction::Ingress), frame);
    simulation.wait(1);
}

#[test]
fn rejected() {
    let mut simulation = Simulation::new();
    simulation.syn();
    let code = etherparse::icmpv4::DestUnreachableHeader::FilterProhibited;
    icmp_error(&mut simulation, Icmpv4Type::DestinationUnreachable(code));
    let finding = simulation.only("tcp.rejected");
    assert!(finding.summary.contains("10.9.9.9"), "{}", finding.summary);
}

#[test]
fn a_time_exceeded_rejects_nothing() {
    let mut simulation = Simulation::new();
    simulation.open();
    let code = etherparse::icmpv4::TimeExceededCode::TtlExceededInTransit;
    icmp_error(&mut simulation, Icmpv4Type::TimeExceeded(code));
    simulation.close().nothing();
}

/// A segment is lost, and three duplicate acknowledgements ask for it.
fn lose_one(simulation: &mut Simulation) {
    let seq = simulation.next[CLIENT];
    for _ in 0..4 {
        simulation.send(CLIENT, 1000);
    }
    simulation.wait(20);
    for index in 2..5 {
        let sack = (seq + 1000, seq + 1000 * index);
        simulation.packet(SERVER, |packet| {
            (packet.ack, packet.sack) = (Some(seq), Some(sack))
        });
    }
    simulation.resend(CLIENT, seq, 1000).wait(20).ack(SERVER);
}

#[test]
fn loss() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..6 {
        lose_one(&mut simulation);
        simulation.transfer(CLIENT, 20);
    }
    simulation.close();
    let finding = simulation.only("tcp.loss");
    assert_eq!(finding.count, 6);
    assert!(
        finding.summary.contains("6 by fast retransmit"),
        "{}",
        finding.summary
    );
}

#[test]
fn two_losses_are_none_to_speak_of() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..2 {
        lose_one(&mut simulation);
    }
    simulation.transfer(CLIENT, 20).close().nothing();
}

/// A segment is sent again and again, later each time.
fn send_in_vain(simulation: &mut Simulation, len: usize, times: u32) {
    let seq = simulation.next[CLIENT];
    simulation.send(CLIENT, len);
    for time in 0..times {
        simulation.wait(250 << time).resend(CLIENT, seq, len);
    }
}

#[test]
fn dead_path() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20);
    send_in_vain(&mut simulation, 500, 5);
    let finding = simulation.only("tcp.dead_path");
    assert!(finding.summary.contains("6 times"), "{}", finding.summary);
}

#[test]
fn a_path_that_comes_back_is_not_dead() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20);
    send_in_vain(&mut simulation, 500, 4);
    simulation.wait(20).ack(SERVER).close().nothing();
}

#[test]
fn blackhole() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20).ack(SERVER);
    send_in_vain(&mut simulation, 1448, 5);
    let finding = simulation.only("pmtu.blackhole");
    assert!(
        finding.summary.contains("no ICMP error"),
        "{}",
        finding.summary
    );
}

#[test]
fn blackhole_in_spite_of_a_report() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20).ack(SERVER);
    let seq = simulation.next[CLIENT];
    simulation.send(CLIENT, 1448);
    let code =
        etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1400 };
    icmp_error(&mut simulation, Icmpv4Type::DestinationUnreachable(code));
    for time in 0..5 {
        simulation.wait(250 << time).resend(CLIENT, seq, 1448);
    }
    let finding = simulation.only("pmtu.blackhole");
    assert!(
        finding.summary.contains("10.9.9.9 reports an MTU of 1400"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_path_that_takes_large_segments_is_dead_and_no_blackhole() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..3 {
        simulation.send(CLIENT, 1448).wait(20).ack(SERVER);
    }
    send_in_vain(&mut simulation, 1448, 5);
    simulation.only("tcp.dead_path");
}

#[test]
fn slow_handshake() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(1000)
        .syn_again()
        .wait(20)
        .syn_ack()
        .ack(CLIENT)
        .transfer(CLIENT, 10)
        .close();
    let finding = simulation.only("tcp.slow_handshake");
    assert!(
        finding.summary.contains("more than one SYN"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_far_server_is_not_slow() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(300)
        .syn_ack()
        .ack(CLIENT)
        .send(CLIENT, 100)
        .wait(300)
        .ack(SERVER)
        .close();
    simulation.nothing();
}

#[test]
fn backlog() {
    let mut simulation = Simulation::at_server();
    for index in 0..10 {
        simulation.syn();
        if index % 2 == 0 {
            simulation.wait(1000).syn_again();
        }
        simulation
            .syn_ack()
            .wait(20)
            .ack(CLIENT)
            .transfer(CLIENT, 20)
            .close()
            .again();
    }
    let finding = simulation.only("tcp.backlog");
    assert!(
        finding.summary.contains("5 connections"),
        "{}",
        finding.summary
    );
}

#[test]
fn zero_window() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(SERVER, 20);
    simulation
        .packet(CLIENT, |packet| packet.window = 0)
        .wait(2000)
        .ack(CLIENT);
    simulation.transfer(SERVER, 20).close();
    let finding = simulation.only("tcp.zero_window");
    assert!(
        finding.summary.starts_with("10.0.0.1 closed"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_window_that_is_closed_for_a_moment() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(SERVER, 20);
    simulation
        .packet(CLIENT, |packet| packet.window = 0)
        .wait(50)
        .ack(CLIENT);
    simulation.transfer(SERVER, 20).close().nothing();
}

#[test]
fn window_limited() {
    let mut simulation = Simulation::new();
    // 8 KiB, scaled by 128.
    simulation.window = 64;
    simulation.open();
    for _ in 0..100 {
        for _ in 0..8 {
            simulation.send(CLIENT, 1000);
        }
        simulation.wait(20).ack(SERVER);
    }
    simulation.close();
    let finding = simulation.only("tcp.window_limited");
    assert!(
        finding.summary.contains("3.3 Mbit/s") || finding.summary.contains("Mbit/s"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_window_with_room_limits_nothing() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 200).close().nothing();
}

#[test]
fn round_trips_that_grow() {
    let mut simulation = Simulation::new();
    simulation.open();
    for index in 0..200 {
        simulation
            .send(CLIENT, 1000)
            .send(CLIENT, 1000)
            .wait(20 + index * 2)
            .ack(SERVER);
    }
    simulation.close();
    simulation.only("rtt.inflation");
}

#[test]
fn delayed_acknowledgements_are_no_queue() {
    let mut simulation = Simulation::new();
    simulation.open();
    for index in 0..200 {
        let delay = if index % 8 == 0 { 220 } else { 20 };
        simulation
            .send(CLIENT, 1000)
            .send(CLIENT, 1000)
            .wait(delay)
            .ack(SERVER);
    }
    simulation.close().nothing();
}

#[test]
fn reset_in_the_middle() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20);
    simulation.packet(SERVER, |packet| packet.rst = true);
    let finding = simulation.only("tcp.reset_mid");
    assert!(
        finding.summary.starts_with("10.0.0.2 reset"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_reset_behind_the_end_is_nothing() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .send(CLIENT, 100)
        .wait(20)
        .send(SERVER, 100)
        .close();
    simulation
        .packet(CLIENT, |packet| packet.rst = true)
        .nothing();
}

#[test]
fn reset_from_somewhere_else() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20);
    simulation.packet(SERVER, |packet| (packet.rst, packet.ttl) = (true, 250));
    simulation.wait(10).send(SERVER, 1000);
    let finding = simulation.only("tcp.reset_injected");
    assert!(finding.summary.contains("went on"), "{}", finding.summary);
}

#[test]
fn forgotten_after_a_silence() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20).wait(600_000);
    send_in_vain(&mut simulation, 300, 4);
    let finding = simulation.only("tcp.idle_dropped");
    assert!(
        finding.summary.contains("After 600 s"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_silence_that_ends_with_an_answer() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .transfer(CLIENT, 20)
        .wait(600_000)
        .transfer(CLIENT, 20)
        .close()
        .nothing();
}

#[test]
fn small_writes_that_wait() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..10 {
        simulation
            .send(CLIENT, 50)
            .wait(61)
            .ack(SERVER)
            .send(CLIENT, 60)
            .wait(20)
            .send(SERVER, 100)
            .ack(CLIENT)
            .wait(5);
    }
    simulation.close();
    simulation.only("tcp.delack_nagle");
}

#[test]
fn a_server_that_takes_40_ms_is_no_delayed_acknowledgement() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..10 {
        simulation
            .send(CLIENT, 50)
            .wait(41)
            .send(SERVER, 100)
            .ack(CLIENT)
            .wait(5);
    }
    simulation.close().nothing();
}

#[test]
fn overtaken() {
    let mut simulation = Simulation::at_server();
    simulation.open();
    for _ in 0..20 {
        let seq = simulation.next[CLIENT];
        // The second was sent first.
        let (first, second) = (simulation.id[CLIENT] + 1, simulation.id[CLIENT]);
        simulation.packet(CLIENT, |packet| {
            (packet.seq, packet.len, packet.id) = (seq + 1000, 1000, first)
        });
        simulation.packet(CLIENT, |packet| {
            (packet.seq, packet.len, packet.id) = (seq, 1000, second)
        });
        simulation.ack(SERVER).wait(20);
    }
    simulation.close();
    let finding = simulation.only("net.reordering");
    assert_eq!(finding.count, 20);
}

#[test]
fn lost_before_the_capture_and_sent_again_is_not_overtaken() {
    let mut simulation = Simulation::at_server();
    simulation.open();
    for _ in 0..20 {
        let seq = simulation.next[CLIENT];
        simulation.packet(CLIENT, |packet| {
            (packet.seq, packet.len) = (seq + 1000, 1000)
        });
        simulation
            .packet(SERVER, |packet| packet.ack = Some(seq))
            .wait(20);
        simulation.resend(CLIENT, seq, 1000).ack(SERVER).wait(20);
    }
    simulation.close();
    let report = simulation.report();
    let tcp = report.tcp.expect("TCP").figures;
    assert_eq!(
        (tcp.reordered, tcp.retransmissions, tcp.lost_before_capture),
        (0, 20, 20)
    );
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].code, "tcp.loss");
}

#[test]
fn doubled() {
    let mut simulation = Simulation::at_server();
    simulation.open();
    for _ in 0..20 {
        simulation.send(CLIENT, 1000);
        let copy = simulation.capture.packets.last().expect("a packet").clone();
        simulation.wait(1);
        simulation
            .capture
            .push(simulation.ns, copy.direction, copy.frame);
        simulation.wait(1).ack(SERVER).wait(20);
    }
    simulation.close();
    let finding = simulation.only("net.duplication");
    assert_eq!(finding.count, 20);
}

#[test]
fn slow_application() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..5 {
        simulation
            .send(CLIENT, 200)
            .wait(20)
            .ack(SERVER)
            .wait(800)
            .send(SERVER, 1000)
            .ack(CLIENT)
            .wait(10);
    }
    simulation.close();
    simulation.only("app.slow");
}

#[test]
fn a_slow_network_is_no_slow_application() {
    let mut simulation = Simulation::new();
    simulation.syn().wait(600).syn_ack().ack(CLIENT);
    for _ in 0..5 {
        simulation
            .send(CLIENT, 200)
            .wait(600)
            .ack(SERVER)
            .send(SERVER, 1000)
            .ack(CLIENT)
            .wait(10);
    }
    simulation.close();
    assert!(simulation.codes().is_empty());
}

#[test]
fn a_resend_that_was_not_needed() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..6 {
        let seq = simulation.next[CLIENT];
        simulation
            .send(CLIENT, 100)
            .wait(50)
            .resend(CLIENT, seq, 100)
            .wait(20);
        simulation.packet(SERVER, |packet| packet.sack = Some((seq, seq + 100)));
        simulation.transfer(CLIENT, 20);
    }
    simulation.close();
    let report = simulation.report();
    let tcp = report.tcp.expect("TCP").figures;
    assert_eq!((tcp.retransmissions, tcp.spurious_retransmissions), (6, 6));
    assert_eq!(tcp.tail_loss_probes, 6);
    let summary = &report.findings[0].summary;
    assert!(summary.contains("6 in vain"), "{summary}");
}

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
            let direction = [None, Some(Direction::Egress), Some(Direction::Ingress)][pick(3) as usize];
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
