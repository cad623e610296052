//! Who sends much more out of the network than comes back.

use super::place::is_inside;
use crate::{
    address::Address,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    flow::FlowKey,
    lru::Lru,
    rules::security as rules,
    seen::Flow,
    words::{bytes, duration},
};

/// Pairs of a host inside and one outside that are followed.
const MOST: usize = 2048;

#[derive(Clone, Debug, Default)]
struct Pair {
    /// Payload out and in.
    out: u64,
    back: u64,
    flows: u64,
    since_ns: u64,
    until_ns: u64,
    packets: Evidence,
}

/// Measures what leaves the network.
#[derive(Clone, Debug)]
pub(super) struct Volumes(Lru<(Address, Address), Box<Pair>>);

impl Default for Volumes {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Volumes {
    /// A flow ends. Of those that come from outside, what goes out is an answer.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let (client, server) = (
            key.end(flow.client).address,
            key.end(flow.client.other()).address,
        );
        let [out, back] = [flow.client, flow.client.other()].map(|side| flow.payload[side.index()]);
        if out == 0 || !is_inside(client) || is_inside(server) || server.is_group() {
            return;
        }
        let pair = self.0.entry(&(client, server), Box::default);
        if pair.flows == 0 {
            pair.since_ns = flow.first_ns;
        }
        pair.out += out;
        pair.back += back;
        pair.flows += 1;
        pair.since_ns = pair.since_ns.min(flow.first_ns);
        pair.until_ns = pair.until_ns.max(flow.last_ns);
        pair.packets.add(flow.first_packet, flow.first_ns);
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let is_much = |pair: &Pair| {
            let ratio = pair.out as f64 / pair.back.max(1) as f64;
            pair.out >= rules::EXFIL_BYTES.count()
                && rules::EXFIL_RATIO.is_reached(ratio)
                && !facts.one_sided
        };
        let mut pairs: Vec<_> = self.0.iter().filter(|(_, pair)| is_much(pair)).collect();
        pairs.sort_unstable_by_key(|(key, _)| **key);
        for ((source, destination), pair) in pairs {
            let summary = format!(
                "{source} sent {} out to {destination} within {}, and got {} back.",
                bytes(pair.out),
                duration(pair.until_ns.saturating_sub(pair.since_ns)),
                bytes(pair.back),
            );
            findings.push(
                Finding::new(&rules::EXFIL, summary, pair.packets.clone())
                    .count(pair.flows)
                    .confidence(confidence(facts, Confidence::Low))
                    .subject(Subject {
                        source: Some(*source),
                        destination: Some(*destination),
                        ..Subject::default()
                    })
                    .check(format!(
                        "{} && {}",
                        filter("addr", *source),
                        filter("addr", *destination)
                    )),
            );
        }
    }
}
