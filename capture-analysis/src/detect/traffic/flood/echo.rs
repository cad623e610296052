//! Floods of echo requests, and of replies that nobody asked for (RFC 792; RFC 2644 on amplifying them by broadcast).

use super::{is_sudden, senders};
use crate::{
    address::Address,
    detect::traffic::{rate::Rate, sets::hash},
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::security as rules,
    seen::Seen,
    sketch::Distinct,
    words::{duration, several},
};

/// Hosts that are followed.
const HOSTS: usize = 512;

/// What a host gets. All but the rate is counted while that is high.
#[derive(Clone, Debug, Default)]
struct Host {
    rate: Rate,
    /// Requests that it got, and replies that it sent.
    requests: u64,
    replies: u64,
    sources: Distinct,
    first: Option<Address>,
    packets: Evidence,
}

/// Measures echo requests, and unasked replies, by the host that they go to.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    requests: Lru<Address, Box<Host>>,
    unasked: Lru<Address, Box<Host>>,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            requests: Lru::new(HOSTS),
            unasked: Lru::new(HOSTS),
        }
    }
}

impl Host {
    fn add(&mut self, seen: &Seen<'_, '_>, source: Address) {
        if !self.rate.add(seen.ns, rules::ECHO_RATE.count()) {
            return;
        }
        self.requests += 1;
        self.sources.add(hash(source));
        self.first.get_or_insert(source);
        self.packets.add(seen.number, seen.ns);
    }

    fn is_flood(&self) -> bool {
        self.rate.peak() >= rules::ECHO_RATE.count() && is_sudden(&self.rate)
    }
}

impl Echo {
    pub(crate) fn request(&mut self, seen: &Seen<'_, '_>, (source, target): (Address, Address)) {
        self.requests.entry(&target, Box::default).add(seen, source);
    }

    /// A reply, and whether its receiver was the first to say something.
    pub(crate) fn reply(
        &mut self,
        seen: &Seen<'_, '_>,
        (source, target): (Address, Address),
        is_asked: bool,
    ) {
        if !is_asked {
            self.unasked.entry(&target, Box::default).add(seen, source);
        } else if let Some(host) = self.requests.peek_mut(&source) {
            host.replies += u64::from(host.rate.is_high(seen.ns));
        }
    }

    pub(crate) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        for (table, is_request) in [(&self.requests, true), (&self.unasked, false)] {
            let mut hosts: Vec<_> = table.iter().filter(|(_, host)| host.is_flood()).collect();
            hosts.sort_unstable_by_key(|(target, _)| **target);
            for (target, host) in hosts {
                findings.push(finding(*target, host, is_request, facts));
            }
        }
    }
}

fn finding(target: Address, host: &Host, is_request: bool, facts: &Facts) -> Finding {
    let packets = host.packets.clone();
    let took = duration(packets.until_ns().saturating_sub(packets.since_ns()));
    let (what, end, types) = match is_request {
        true => (
            "echo request",
            format!("; it answered {}", host.replies),
            "(icmp.type == 8 || icmpv6.type == 128)",
        ),
        false => (
            "echo reply",
            ", to which it had sent no request before; somebody may ask in its name".to_owned(),
            "(icmp.type == 0 || icmpv6.type == 129)",
        ),
    };
    let things = match is_request {
        true => several(host.requests, what),
        false => format!("{} echo replies", host.requests),
    };
    let summary = format!(
        "{target} got {things} within {took}, up to {} a second, {}{end}.",
        host.rate.peak(),
        senders(&host.sources, host.first),
    );
    let sure = if is_request {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Finding::new(&rules::FLOOD_ICMP, summary, packets)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: host.first.filter(|_| host.sources.count() <= 1),
            destination: Some(target),
            protocol: Some("icmp"),
            ..Subject::default()
        })
        .check(format!("{} && {types}", filter("dst", target)))
}
