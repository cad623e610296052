//! Detectors: each looks at the packets that concern it and keeps numbers of bounded size. What the numbers mean is
//! judged at the end, or in between for a running capture, by the [rules](crate::rules).

mod capture;
pub(crate) mod net;
pub(crate) mod tcp;

use capture_common::Direction;

use self::net::dns::DnsReport;
use crate::{
    decode::{Decoded, Transport},
    finding::Finding,
    flow::{FlowKey, Side},
    packet::Losses,
    report::TcpTotal,
    tcp::{Connection, Conversation},
};

/// A packet as detectors see it, copies on other interfaces taken out.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'s, 'a> {
    /// As [`Packet::number`](crate::Packet::number).
    pub(crate) number: u64,
    /// As [`Packet::timestamp_ns`](crate::Packet::timestamp_ns).
    pub(crate) ns: u64,
    /// As [`Packet::interface`](crate::Packet::interface).
    pub(crate) interface: u32,
    /// As [`Packet::direction`](crate::Packet::direction).
    pub(crate) direction: Option<Direction>,
    /// The headers.
    pub(crate) headers: &'s Decoded<'a>,
}

/// What is known of one flow. The TCP state and that of the application stand apart, for those flows that have one.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Time of the first packet.
    pub(crate) first_ns: u64,
    /// Time of the latest packet.
    pub(crate) last_ns: u64,
    /// Number of the first packet.
    pub(crate) first_packet: u64,
    /// The end that sent the first packet; of TCP the one that sent the SYN, where it was seen.
    pub(crate) client: Side,
    /// Of each side: packets sent.
    pub(crate) packets: [u64; 2],
    /// Of each side: bytes on the wire of the packets sent.
    pub(crate) bytes: [u64; 2],
    /// Of each side: bytes of payload sent, resends included.
    pub(crate) payload: [u64; 2],
    /// The connection, of TCP.
    pub(crate) tcp: Option<Box<Connection>>,
    /// The same as Wireshark has it, where that is asked for.
    pub(crate) wireshark: Option<Box<Conversation>>,
}

/// What is known of the whole capture when findings are made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// Time of the first packet.
    pub(crate) first_ns: u64,
    /// Time of the last packet.
    pub(crate) last_ns: u64,
    /// What the capture lost itself; `None` where the file does not say.
    pub(crate) losses: Option<Losses>,
    /// Whether of nearly all flows only one direction is there.
    pub(crate) one_sided: bool,
}

impl Facts {
    /// Silence after a packet that is long enough to be called an absence: a second resend of a SYN (RFC 6298) or a
    /// second try of a resolver would have been seen.
    pub(crate) const LONG_ENOUGH_NS: u64 = 3_000_000_000;

    /// Whether "there was no answer to what came at `ns`" can be said: nothing was lost, both directions were seen,
    /// and the capture went on for long enough.
    pub(crate) fn may_claim_absence(&self, ns: u64) -> bool {
        self.losses.unwrap_or_default() == Losses::default()
            && !self.one_sided
            && self.last_ns.saturating_sub(ns) >= Self::LONG_ENOUGH_NS
    }
}

/// All detectors.
#[derive(Debug, Default)]
pub(crate) struct Detectors {
    capture: capture::Detector,
    tcp: tcp::Detector,
    net: net::Detectors,
}

impl Detectors {
    /// Looks at a packet, which `flow` and its sender belong to where it is of one.
    #[inline]
    pub(crate) fn packet(&mut self, seen: &Seen<'_, '_>, flow: Option<(&mut Flow, Side)>) {
        self.capture.packet(seen);
        match (&seen.headers.transport, flow) {
            (Transport::Tcp(_), Some((flow, side))) => self.tcp.packet(seen, flow, side),
            (Transport::Icmp(icmp), _) if icmp.is_error() => self.tcp.icmp(seen),
            _ => {}
        }
        self.net.packet(seen);
    }

    /// A packet that was left out, as it is a copy of one of another interface.
    #[inline]
    pub(crate) fn copy(&mut self, number: u64, ns: u64) {
        self.capture.copy(number, ns);
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub(crate) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        self.capture.flow(key, flow);
        self.tcp.flow(key, flow);
    }

    /// Whether only one direction was captured of nearly all flows.
    pub(crate) fn is_one_sided(&self) -> bool {
        self.capture.is_one_sided()
    }

    /// The figures of all TCP connections.
    pub(crate) fn tcp(&self) -> Option<TcpTotal> {
        self.tcp.total()
    }

    /// DNS in the report.
    pub(crate) fn dns(&self) -> Option<DnsReport> {
        self.net.dns()
    }

    /// Everything that is wrong.
    pub(crate) fn findings(&self, facts: &Facts) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.capture.findings(facts, &mut findings);
        self.tcp.findings(facts, &mut findings);
        self.net.findings(facts, &mut findings);
        findings
    }
}
