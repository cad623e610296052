//! Detectors: each looks at the packets that concern it and keeps numbers of bounded size. What the numbers mean is
//! judged at the end, or in between for a running capture, by the [rules](crate::rules).

mod capture;
mod facts;
mod net;
mod seen;
pub(crate) mod tcp;

pub(crate) use self::{
    facts::Facts,
    seen::{Flow, Seen},
};
use crate::{
    decode::Transport,
    finding::Finding,
    flow::{FlowKey, Side},
    report::{DnsReport, TcpTotal},
};

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
        tcp::findings(&self.tcp, facts, &mut findings);
        self.net.findings(facts, &mut findings);
        findings
    }
}
