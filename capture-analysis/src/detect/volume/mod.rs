//! How much there is of what: protocols, hosts, and all of it over time. Nothing of it is a finding.

mod hosts;
mod protocols;
mod series;
#[cfg(test)]
mod tests;

use self::{hosts::Hosts, protocols::Protocols, series::Series};
use crate::seen::{Flow, Seen};
use crate::{
    flow::FlowKey,
    report::{self, HostVolume, ProtocolVolume},
    tcp::{Kind, Outcome},
};

/// Most hosts in a report.
const MOST_HOSTS: usize = 100;

/// Measures volumes.
#[derive(Clone, Debug, Default)]
pub(super) struct Volume {
    protocols: Protocols,
    hosts: Hosts,
    series: Series,
}

impl Volume {
    /// Looks at a packet. One without a flow is not in the figures of any.
    #[inline]
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, has_flow: bool) {
        let headers = seen.headers;
        self.protocols.packet(headers);
        self.series.packet(seen.ns, headers.wire_len);
        if !has_flow && let Some(ip) = &headers.ip {
            self.hosts.packet(ip, headers.wire_len);
        }
    }

    /// Looks at what a TCP packet did.
    #[inline]
    pub(super) fn outcome(&mut self, ns: u64, outcome: &Outcome) {
        if let Some(round_trip_ns) = outcome.round_trip_ns {
            self.series.round_trip(ns, round_trip_ns);
        }
        if matches!(outcome.kind, Kind::Resent(_)) {
            self.series.resent(ns);
        }
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        self.hosts.flow(key, flow);
        self.protocols.flow(key, flow);
    }

    pub(super) fn protocols(&self) -> Vec<ProtocolVolume> {
        self.protocols.report()
    }

    pub(super) fn hosts(&self) -> Vec<HostVolume> {
        self.hosts.report(MOST_HOSTS)
    }

    pub(super) fn series(&self) -> Option<report::Series> {
        self.series.report()
    }
}
