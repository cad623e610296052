//! Hosts that talk, and which of them did not in an earlier capture.

use std::collections::BTreeSet;

use super::place::is_inside;
use crate::{
    address::Address,
    evidence::Evidence,
    facts::Facts,
    filter::filter,
    finding::{Confidence, Finding, Subject},
    flow::FlowKey,
    lru::Lru,
    rules::security as rules,
    seen::Flow,
    words::{bytes, several},
};

/// Hosts that are followed.
const MOST: usize = 8192;

/// Hosts whose packets are cited, and that a display filter names.
const MOST_NAMED: usize = 16;

/// The hosts that talk in a capture, which a later one is compared with: of [`Analyzer::baseline`](crate::Analyzer::baseline)
/// of the one, for [`Analyzer::compare_with`](crate::Analyzer::compare_with) of the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    hosts: BTreeSet<Address>,
    /// Whether there were more hosts than are known.
    is_cut: bool,
}

impl Baseline {
    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    pub(crate) fn add(&mut self, host: Address) {
        self.hosts.insert(host);
    }
}

#[derive(Clone, Debug)]
struct Talker {
    /// Bytes sent and received.
    bytes: u64,
    /// The host that it talked with most recently.
    peer: Address,
    packets: Evidence,
}

/// Measures who talks.
#[derive(Clone, Debug)]
pub(super) struct Talkers {
    hosts: Lru<Address, Talker>,
    baseline: Option<Baseline>,
}

impl Default for Talkers {
    fn default() -> Self {
        Self {
            hosts: Lru::new(MOST),
            baseline: None,
        }
    }
}

impl Talkers {
    pub(super) fn compare_with(&mut self, baseline: Baseline) {
        self.baseline = Some(baseline);
    }

    /// The hosts so far, of the flows that have ended.
    pub(super) fn baseline(&self) -> Baseline {
        Baseline {
            hosts: self.hosts.iter().map(|(host, _)| *host).collect(),
            is_cut: self.hosts.evicted() > 0,
        }
    }

    /// A flow ends. Who was only asked and never answered does not talk.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        for side in [flow.client, flow.client.other()] {
            let (host, peer) = (key.end(side).address, key.end(side.other()).address);
            if flow.packets[side.index()] == 0 || host.is_unspecified() {
                continue;
            }
            let talker = self.hosts.entry(&host, || Talker {
                bytes: 0,
                peer,
                packets: Evidence::default(),
            });
            talker.bytes += flow.bytes[0] + flow.bytes[1];
            talker.peer = peer;
            talker.packets.add(flow.first_packet, flow.first_ns);
        }
    }

    /// New hosts inside one by one, those outside together: nobody knows all of the Internet.
    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let Some(baseline) = &self.baseline else {
            return;
        };
        // A capture that begins later has seen fewer hosts; one that lost some may have lost these.
        let sure = match baseline.is_cut || facts.losses.unwrap_or_default() != Default::default() {
            true => Confidence::Low,
            false => Confidence::Medium,
        };
        let is_new = |host: &Address| !baseline.hosts.contains(host);
        let mut new: Vec<_> = self.hosts.iter().filter(|(host, _)| is_new(host)).collect();
        new.sort_unstable_by_key(|(host, talker)| (std::cmp::Reverse(talker.bytes), **host));
        let (inside, outside): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|(host, _)| is_inside(**host));
        let most = rules::NEW_TALKERS.count() as usize;
        let (alone, together) = inside.split_at(inside.len().min(most));
        for one in alone {
            findings.extend(finding(std::slice::from_ref(one), "", sure));
        }
        findings.extend(finding(together, " inside", sure));
        findings.extend(finding(&outside, " outside", sure));
    }
}

/// About these hosts, the one with the most bytes first.
fn finding(hosts: &[(&Address, &Talker)], place: &str, sure: Confidence) -> Option<Finding> {
    let ((host, talker), others) = hosts.split_first()?;
    let mut packets = Evidence::default();
    let shown = &hosts[..hosts.len().min(MOST_NAMED)];
    shown
        .iter()
        .for_each(|(_, talker)| packets.merge(&talker.packets));
    let named = format!(
        "{host} ({} in {}, with {})",
        bytes(talker.bytes),
        several(talker.packets.count(), "flow"),
        talker.peer
    );
    let summary = match others.len() {
        0 => format!("{named} is not in the capture that this one is compared with."),
        others => format!(
            "{} hosts{place} are not in the capture that this one is compared with; the most was with {named}.",
            others + 1
        ),
    };
    let filters: Vec<_> = shown
        .iter()
        .map(|(host, _)| filter("addr", **host))
        .collect();
    Some(
        Finding::new(&rules::NEW_TALKER, summary, packets)
            .count(hosts.len() as u64)
            .confidence(sure)
            .subject(Subject {
                source: others.is_empty().then_some(**host),
                ..Subject::default()
            })
            .check(filters.join(" || ")),
    )
}
