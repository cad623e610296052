//! UDP floods: very many new flows of a few datagrams each, to one host, without an answer. A stream of many datagrams is none,
//! however fast: media and tests look like that.

use super::{is_sudden, senders};
use crate::{
    address::Address,
    detect::traffic::{
        explained::Explained,
        rate::Rate,
        sets::{Ports, hash},
    },
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    flow::FlowKey,
    lru::Lru,
    rules::security as rules,
    seen::{Flow, Seen},
    severity::Severity,
    sketch::Distinct,
    words::{duration, several},
};

/// Hosts that are followed.
const HOSTS: usize = 512;

/// What a host gets. All but the rate, and what is not answered, is counted while that is high.
#[derive(Clone, Debug, Default)]
struct Host {
    rate: Rate,
    flows: u64,
    answered: u64,
    /// Datagrams and bytes of flows that were not answered.
    datagrams: u64,
    bytes: u64,
    sources: Distinct,
    first: Option<Address>,
    /// Addresses and ports that flows come from.
    ends: Distinct,
    /// Flows that go to the lower port.
    requests: u64,
    ports: Ports,
    packets: Evidence,
}

/// Measures new flows of UDP, by the host that they go to.
#[derive(Clone, Debug)]
pub(crate) struct Datagrams(Lru<Address, Box<Host>>);

impl Default for Datagrams {
    fn default() -> Self {
        Self(Lru::new(HOSTS))
    }
}

impl Datagrams {
    /// The first datagram of a flow, and its ports. That of a well-known port to another one is an answer, whose question
    /// was not seen.
    pub(crate) fn packet(
        &mut self,
        seen: &Seen<'_, '_>,
        (source, target): (Address, Address),
        (from, port): (u16, u16),
    ) {
        const WELL_KNOWN: u16 = 1024;
        if target.is_group() || (from < WELL_KNOWN && from < port) {
            return;
        }
        let host = self.0.entry(&target, Box::default);
        if !host.rate.add(seen.ns, rules::UDP_RATE.count()) {
            return;
        }
        host.flows += 1;
        host.sources.add(hash(source));
        host.ends
            .add(hash(source) ^ u64::from(from).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        host.requests += u64::from(port < from);
        host.first.get_or_insert(source);
        host.ports.add(port);
        host.packets.add(seen.number, seen.ns);
    }

    /// The first datagram back.
    pub(crate) fn answered(&mut self, ns: u64, target: Address) {
        if let Some(host) = self.0.peek_mut(&target)
            && host.rate.is_high(ns)
        {
            host.answered += 1;
        }
    }

    /// A flow ends.
    pub(crate) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let (client, server) = (flow.client, flow.client.other());
        if flow.packets[server.index()] > 0 {
            return;
        }
        if let Some(host) = self.0.peek_mut(&key.end(server).address) {
            host.datagrams += flow.packets[client.index()];
            host.bytes += flow.bytes[client.index()];
        }
    }

    pub(crate) fn findings(
        &self,
        facts: &Facts,
        explained: &Explained,
        findings: &mut Vec<Finding>,
    ) {
        let mut hosts: Vec<_> = self.0.iter().collect();
        hosts.sort_unstable_by_key(|(target, _)| **target);
        for (target, host) in hosts {
            let source = host.first.unwrap_or(*target);
            let is_scan = host.sources.count() <= 1 && explained.is_scan(source, *target);
            if host.is_flood(facts) && !is_scan {
                findings.push(finding(*target, host, facts));
            }
        }
    }
}

impl Host {
    fn is_flood(&self, facts: &Facts) -> bool {
        let answered = self.answered as f64 / self.flows.max(1) as f64;
        let each = self.datagrams as f64 / self.flows.max(1) as f64;
        self.rate.peak() >= rules::UDP_RATE.count()
            && is_sudden(&self.rate)
            && !rules::UDP_ANSWERED.is_reached(answered)
            && !rules::UDP_EACH.is_reached(each)
            && (self.requests * 2 >= self.flows || self.ends.count() >= rules::FLOOD_ENDS.count())
            && !facts.one_sided
    }
}

fn finding(target: Address, host: &Host, facts: &Facts) -> Finding {
    let packets = host.packets.clone();
    let from = senders(&host.sources, host.first);
    let ports = match host.ports.len() {
        1 => format!("port {}", host.ports),
        ports => format!("{ports} ports ({})", host.ports),
    };
    let took_ns = packets.until_ns().saturating_sub(packets.since_ns());
    let summary = format!(
        "{target} got {} ({:.1} MB) within {}, up to {} new flows a second, {from} to {ports}; {} were answered.",
        several(host.datagrams, "unanswered datagram"),
        host.bytes as f64 / 1e6,
        duration(took_ns),
        host.rate.peak(),
        several(host.answered, "flow"),
    );
    // Many ports are no service that went down.
    let (severity, sure) = match host.ports.len() >= rules::SCANNED_PORTS.count() {
        true => (Severity::High, Confidence::Medium),
        false => (Severity::Warn, Confidence::Low),
    };
    Finding::new(&rules::FLOOD_UDP, summary, packets)
        .count(host.datagrams)
        .severity(severity)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: host.first.filter(|_| host.sources.count() <= 1),
            destination: Some(target),
            protocol: Some("udp"),
            ..Subject::default()
        })
        .check(format!("{} && udp", filter("dst", target)))
}
