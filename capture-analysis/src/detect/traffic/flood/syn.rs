//! SYN floods (RFC 4987): connections that are begun and left half-open, and the answers to those with forged senders.

use super::{is_sudden, senders};
use crate::{
    address::Address,
    detect::traffic::{
        explained::Explained,
        rate::Rate,
        sets::{Hosts, hash},
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

/// Services that are followed.
const SERVICES: usize = 1024;

/// What is tried at a service. All but the rate is counted while that is high.
#[derive(Clone, Debug, Default)]
struct Service {
    rate: Rate,
    syns: u64,
    /// Connections whose SYN was sent again, as a kernel does that wants to connect.
    insisted: u64,
    opened: u64,
    refused: u64,
    sources: Distinct,
    first: Option<Address>,
    packets: Evidence,
}

/// Answers of a service that nobody asked.
#[derive(Clone, Debug, Default)]
struct Unasked {
    packets: Evidence,
    targets: Hosts,
}

/// Measures beginnings of connections, by service.
#[derive(Clone, Debug)]
pub(crate) struct Syn {
    services: Lru<(Address, u16), Box<Service>>,
    unasked: Lru<(Address, u16), Box<Unasked>>,
    /// Whether there is more than SYNs and their answers: a capture may have a filter for them.
    has_others: bool,
}

impl Default for Syn {
    fn default() -> Self {
        Self {
            services: Lru::new(SERVICES),
            unasked: Lru::new(SERVICES),
            has_others: false,
        }
    }
}

impl Syn {
    /// A SYN; `tries` counts those of its connection.
    pub(crate) fn packet(
        &mut self,
        seen: &Seen<'_, '_>,
        (source, target): (Address, Address),
        port: u16,
        tries: u8,
    ) {
        let service = self.services.entry(&(target, port), Box::default);
        if tries > 1 {
            let counts = tries == 2 && service.rate.is_high(seen.ns);
            service.insisted += u64::from(counts);
            return;
        }
        if !service.rate.add(seen.ns, rules::SYN_RATE.count()) {
            return;
        }
        service.syns += 1;
        service.sources.add(hash(source));
        service.first.get_or_insert(source);
        service.packets.add(seen.number, seen.ns);
    }

    /// A handshake is complete.
    pub(crate) fn opened(&mut self, ns: u64, target: Address, port: u16) {
        self.has_others = true;
        if let Some(service) = self.services.peek_mut(&(target, port))
            && service.rate.is_high(ns)
        {
            service.opened += 1;
        }
    }

    /// A reset answers a SYN.
    pub(crate) fn refused(&mut self, ns: u64, target: Address, port: u16) {
        self.has_others = true;
        if let Some(service) = self.services.peek_mut(&(target, port))
            && service.rate.is_high(ns)
        {
            service.refused += 1;
        }
    }

    /// A flow ends. One that began with a SYN/ACK, and went no farther, answers a SYN that came from somewhere else.
    pub(crate) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let Some(connection) = &flow.tcp else { return };
        let client = connection.client;
        self.has_others |= flow.payload != [0; 2];
        let is_unasked = connection.is_answered()
            && connection.syn_ns == 0
            && flow.packets[client.index()] == 0
            && flow.payload == [0; 2];
        if !is_unasked {
            return;
        }
        let (victim, target) = (key.end(client.other()), key.end(client));
        let unasked = self
            .unasked
            .entry(&(victim.address, victim.port), Box::default);
        unasked.packets.add(flow.first_packet, flow.first_ns);
        unasked.targets.add(target.address);
    }

    pub(crate) fn findings(
        &self,
        facts: &Facts,
        explained: &mut Explained,
        findings: &mut Vec<Finding>,
    ) {
        let mut services: Vec<_> = self.services.iter().collect();
        services.sort_unstable_by_key(|(key, _)| **key);
        for (key, service) in services {
            let source = service.first.unwrap_or(key.0);
            let is_scan = service.sources.count() <= 1 && explained.is_scan(source, key.0);
            if service.is_flood(facts) && !is_scan {
                explained.service(key.0, key.1);
                let sure = match (self.has_others, service.is_long(facts)) {
                    (false, _) => Confidence::Low,
                    (true, false) => Confidence::Medium,
                    (true, true) => Confidence::High,
                };
                findings.push(flood(*key, service, sure, facts));
            }
        }
        let mut unasked: Vec<_> = self.unasked.iter().collect();
        unasked.sort_unstable_by_key(|(key, _)| **key);
        for (key, unasked) in unasked {
            if unasked.packets.count() >= rules::BACKSCATTER.count() && !facts.one_sided {
                findings.push(backscatter(*key, unasked, facts));
            }
        }
    }
}

impl Service {
    fn half_open(&self) -> u64 {
        self.syns.saturating_sub(self.opened + self.refused)
    }

    fn is_flood(&self, facts: &Facts) -> bool {
        let half_open = self.half_open();
        let share = half_open as f64 / self.syns.max(1) as f64;
        let insisted = self.insisted as f64 / half_open.max(1) as f64;
        self.rate.peak() >= rules::SYN_RATE.count()
            && rules::HALF_OPEN.is_reached(share)
            && is_sudden(&self.rate)
            // Whoever lost its server sends each SYN again after a second.
            && !rules::INSISTED.is_reached(insisted)
            && !facts.one_sided
    }

    /// Whether the capture is long enough to show who sends its SYNs again.
    fn is_long(&self, facts: &Facts) -> bool {
        facts.ended_ns.saturating_sub(self.packets.since_ns()) >= rules::SYN_RESENT.ns()
    }
}

fn flood(
    (target, port): (Address, u16),
    service: &Service,
    sure: Confidence,
    facts: &Facts,
) -> Finding {
    let packets = service.packets.clone();
    let from = senders(&service.sources, service.first);
    let summary = format!(
        "{target} port {port} got {} within {}, up to {} a second, {from}; {} of them became connections, {} stayed half-open.",
        several(service.syns, "SYN"),
        duration(packets.until_ns().saturating_sub(packets.since_ns())),
        service.rate.peak(),
        service.opened,
        service.half_open(),
    );
    Finding::new(&rules::FLOOD_SYN, summary, packets)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: service.first.filter(|_| service.sources.count() <= 1),
            destination: Some(target),
            destination_port: Some(port),
            protocol: Some("tcp"),
            ..Subject::default()
        })
        .check(format!(
            "{} && tcp.dstport == {port} && tcp.flags.syn == 1 && tcp.flags.ack == 0",
            filter("dst", target)
        ))
}

fn backscatter((victim, port): (Address, u16), unasked: &Unasked, facts: &Facts) -> Finding {
    let packets = unasked.packets.clone();
    let summary = format!(
        "Backscatter: {victim} port {port} answered {} of {} hosts that had sent it none; somebody floods it with SYNs from forged addresses.",
        several(packets.count(), "SYN"),
        unasked.targets.number(),
    );
    Finding::new(&rules::FLOOD_SYN, summary, packets)
        .severity(Severity::Warn)
        .confidence(confidence(facts, Confidence::Medium))
        .subject(Subject {
            source: Some(victim),
            source_port: Some(port),
            protocol: Some("tcp"),
            ..Subject::default()
        })
        .check(format!(
            "{} && tcp.srcport == {port} && tcp.flags.syn == 1 && tcp.flags.ack == 1",
            filter("src", victim)
        ))
}
