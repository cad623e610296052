//! Detectors: each looks at the packets that concern it and keeps numbers of bounded size. What the numbers mean is
//! judged at the end, or in between for a running capture, by the [rules](crate::rules).

mod capture;
pub(crate) mod tcp;
mod traffic;
mod volume;

pub use self::traffic::Baseline;
use crate::{
    DnsReport, TlsReport, applications,
    decode::{Decoded, Transport},
    facts::Facts,
    finding::Finding,
    flow::{FlowKey, Side},
    network,
    report::{HostVolume, ProtocolVolume, Series, TcpTotal},
    seen::{Flow, Hashes, Seen},
};

/// All detectors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detectors {
    capture: capture::Detector,
    tcp: tcp::Detector,
    network: network::Detectors,
    volume: volume::Volume,
    pub(crate) applications: applications::Detectors,
    traffic: traffic::Detectors,
}

impl Detectors {
    /// What the tables will be asked for by the packet with these headers.
    #[inline]
    pub(crate) fn look_ahead(&self, headers: &Decoded<'_>) -> Hashes {
        let Some(ip) = &headers.ip else {
            return Hashes::default();
        };
        let mut hashes = Hashes {
            passed: self.network.look_ahead(headers, ip),
            ..Hashes::default()
        };
        if let Transport::Tcp(tcp) = &headers.transport {
            hashes.segment = self.tcp.look_ahead(headers, ip, tcp);
            hashes.place = self.network.look_ahead_in_stream(headers, ip, tcp);
        }
        hashes
    }

    /// Looks at a packet, which `flow` and its sender belong to where it is of one.
    #[inline]
    pub(crate) fn packet(&mut self, seen: &Seen<'_, '_>, flow: Option<(&mut Flow, Side)>) {
        self.capture.packet(seen);
        self.volume.packet(seen, flow.is_some());
        // First what needs no connection, which is on its way into the cache.
        self.network.packet(seen);
        let mut flow = flow;
        let mut opened = false;
        match (&seen.headers.transport, &mut flow) {
            (Transport::Tcp(tcp), Some((flow, side))) => {
                if let Some(outcome) = self.tcp.packet(seen, flow, *side) {
                    self.volume.outcome(seen.ns, &outcome);
                    opened = outcome.opened;
                }
                if let Some(logins) = self.applications.segment(seen, tcp, flow, *side) {
                    self.traffic.logins(&logins);
                }
            }
            (Transport::Udp(_), Some((flow, side))) => {
                self.applications.datagram(seen, flow, *side)
            }
            (Transport::Icmp(icmp), _) if icmp.is_error() => self.tcp.icmp(seen),
            _ => {}
        }
        let flow = flow.map(|(flow, side)| (&*flow, side));
        self.traffic.packet(seen, flow, opened);
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
        self.volume.flow(key, flow);
        self.applications.flow(key, flow);
        self.traffic.flow(key, flow);
    }

    /// Whether only one direction was captured of nearly all flows.
    pub(crate) fn is_one_sided(&self) -> bool {
        self.capture.is_one_sided()
    }

    /// The figures of all TCP connections.
    pub(crate) fn tcp(&self) -> Option<TcpTotal> {
        self.tcp.total()
    }

    /// Directions of TCP data of which losses had to be forgotten.
    pub(crate) fn forgotten_losses(&self) -> u64 {
        self.tcp.forgotten_losses()
    }

    /// DNS in the report.
    pub(crate) fn dns(&self) -> Option<DnsReport> {
        self.network.dns()
    }

    /// How much there is of each protocol.
    pub(crate) fn protocols(&self) -> Vec<ProtocolVolume> {
        self.volume.protocols()
    }

    /// Who talks most.
    pub(crate) fn hosts(&self) -> Vec<HostVolume> {
        self.volume.hosts()
    }

    /// Figures over time.
    pub(crate) fn series(&self) -> Option<Series> {
        self.volume.series()
    }

    /// TLS in the report.
    pub(crate) fn tls(&self) -> Option<TlsReport> {
        self.applications.tls()
    }

    /// The capture that this one is compared with.
    pub(crate) fn compare_with(&mut self, baseline: Baseline) {
        self.traffic.compare_with(baseline);
    }

    /// The hosts of flows that have ended.
    pub(crate) fn baseline(&self) -> Baseline {
        self.traffic.baseline()
    }

    /// Everything that is wrong.
    pub(crate) fn findings(&self, facts: &Facts) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.capture.findings(facts, &mut findings);
        let explained = self.traffic.findings(facts, &mut findings);
        let is_explained = |finding: &Finding| explained.explains(finding);
        tcp::findings(&self.tcp, facts, is_explained, &mut findings);
        self.network.findings(facts, &mut findings);
        self.applications.findings(facts, &mut findings);
        applications::explain(&mut findings);
        findings
    }
}
