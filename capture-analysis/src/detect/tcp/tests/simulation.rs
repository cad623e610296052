//! Connections that are made up packet by packet.

use std::net::Ipv4Addr;

use capture_common::Direction;
use etherparse::{Icmpv4Type, IpNumber};

use crate::{
    Finding, Report,
    tests::tcp::testing::{Capture, TcpPacket, ethernet},
};

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;
pub(super) const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const MS: u64 = 1_000_000;

/// Connections between two hosts, packet by packet, captured at the client unless said otherwise.
pub(super) struct Simulation {
    pub(super) capture: Capture,
    pub(super) ns: u64,
    pub(super) ends: [(Ipv4Addr, u16); 2],
    pub(super) next: [u32; 2],
    pub(super) id: [u16; 2],
    pub(super) tsval: [u32; 2],
    pub(super) ttl: [u8; 2],
    pub(super) window: u16,
    pub(super) local: usize,
}

impl Simulation {
    pub(super) fn new() -> Self {
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

    pub(super) fn at_server() -> Self {
        Self {
            local: SERVER,
            ttl: [60, 64],
            ..Self::new()
        }
    }

    /// Another connection, from the next port.
    pub(super) fn again(&mut self) {
        self.ends[CLIENT].1 += 1;
        self.next = [
            self.next[0].wrapping_add(77_777),
            self.next[1].wrapping_add(99_999),
        ];
    }

    pub(super) fn wait(&mut self, ms: u64) -> &mut Self {
        self.ns += ms * MS;
        self
    }

    /// A packet; `edit` changes what it would be: the next one, without data.
    pub(super) fn packet(&mut self, side: usize, edit: impl FnOnce(&mut TcpPacket)) -> &mut Self {
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

    pub(super) fn syn(&mut self) -> &mut Self {
        let seq = self.next[CLIENT];
        self.packet(CLIENT, |packet| {
            (packet.syn, packet.ack, packet.seq) = (true, None, seq);
            (packet.mss, packet.scale, packet.sack_permitted) = (Some(1460), Some(7), true);
        })
    }

    /// The same SYN once more.
    pub(super) fn syn_again(&mut self) -> &mut Self {
        self.next[CLIENT] = self.next[CLIENT].wrapping_sub(1);
        self.syn()
    }

    pub(super) fn syn_ack(&mut self) -> &mut Self {
        self.packet(SERVER, |packet| {
            packet.syn = true;
            (packet.mss, packet.scale, packet.sack_permitted) = (Some(1460), Some(7), true);
        })
    }

    /// A handshake of 20 ms.
    pub(super) fn open(&mut self) -> &mut Self {
        self.syn().wait(20).syn_ack().ack(CLIENT)
    }

    pub(super) fn send(&mut self, side: usize, len: usize) -> &mut Self {
        self.packet(side, |packet| packet.len = len)
    }

    pub(super) fn ack(&mut self, side: usize) -> &mut Self {
        self.packet(side, |_| {})
    }

    pub(super) fn resend(&mut self, side: usize, seq: u32, len: usize) -> &mut Self {
        self.packet(side, |packet| (packet.seq, packet.len) = (seq, len))
    }

    /// An orderly end.
    pub(super) fn close(&mut self) -> &mut Self {
        self.packet(CLIENT, |packet| packet.fin = true).wait(20);
        self.packet(SERVER, |packet| packet.fin = true).ack(CLIENT)
    }

    /// Data in segments of 1,000 bytes, two of which are acknowledged at a time, after 20 ms.
    pub(super) fn transfer(&mut self, side: usize, segments: usize) -> &mut Self {
        for _ in 0..segments / 2 {
            self.send(side, 1000)
                .send(side, 1000)
                .wait(20)
                .ack(1 - side);
        }
        self
    }

    /// Ends the capture, after long enough.
    pub(super) fn report(&mut self) -> Report {
        self.wait(10_000);
        self.capture.push(self.ns, None, vec![0; 60]);
        self.capture.analyze()
    }

    pub(super) fn codes(&mut self) -> Vec<&'static str> {
        let report = self.report();
        report.findings.iter().map(|finding| finding.code).collect()
    }

    /// The only finding, whose filter shows what it cites.
    pub(super) fn only(&mut self, code: &str) -> Finding {
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

    pub(super) fn nothing(&mut self) {
        let report = self.report();
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }
}

/// An ICMP error of a router about the last packet.
pub(super) fn icmp_error(simulation: &mut Simulation, kind: Icmpv4Type) {
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

/// A segment is sent again and again, later each time.
pub(super) fn send_in_vain(simulation: &mut Simulation, len: usize, times: u32) {
    let seq = simulation.next[CLIENT];
    simulation.send(CLIENT, len);
    for time in 0..times {
        simulation.wait(250 << time).resend(CLIENT, seq, len);
    }
}
