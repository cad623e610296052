//! What the measurements of TCP mean, one event one finding. What explains another is judged first.

mod path;
mod setup;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Address,
    detect::tcp::detector::Detector,
    evidence::Evidence,
    facts::Facts,
    finding::{Confidence, Finding},
};

/// Findings of one kind about one host that are told one by one.
const MOST_ALIKE: usize = 4;

/// Everything that is wrong, but for what something else explains.
pub(crate) fn all(
    detector: &Detector,
    facts: &Facts,
    is_explained: impl Fn(&Finding) -> bool,
    findings: &mut Vec<Finding>,
) {
    let mut found = Vec::new();
    setup::findings(detector, facts, &mut found);
    for (who, service) in detector.services.iter() {
        path::findings(detector, facts, who, service, &mut found);
        transfer::findings(who, service, &mut found);
    }
    found.retain(|finding| !is_explained(finding));
    if facts.losses.unwrap_or_default() != crate::packet::Losses::default() {
        for finding in &mut found {
            finding.confidence = finding.confidence.min(Confidence::Medium);
        }
    }
    findings.extend(condense(found));
}

/// Many findings of one kind from one host, or about one host, are one.
fn condense(found: Vec<Finding>) -> Vec<Finding> {
    let by_source = |finding: &Finding| finding.subject.source;
    let by_destination = |finding: &Finding| finding.subject.destination;
    condense_by(condense_by(found, by_source, false), by_destination, true)
}

fn condense_by(
    found: Vec<Finding>,
    host: impl Fn(&Finding) -> Option<Address>,
    is_target: bool,
) -> Vec<Finding> {
    let mut groups: BTreeMap<_, Vec<Finding>> = BTreeMap::new();
    for finding in found {
        groups
            .entry((finding.code, host(&finding)))
            .or_default()
            .push(finding);
    }
    let groups = groups.into_values();
    groups
        .flat_map(|group| {
            if group.len() > MOST_ALIKE {
                vec![one(group, is_target)]
            } else {
                group
            }
        })
        .collect()
}

/// What the findings of a group are told apart by.
fn what_differs(group: &[Finding]) -> &'static str {
    let subjects = || group.iter().map(|finding| &finding.subject);
    let clients: BTreeSet<_> = subjects().map(|subject| subject.source).collect();
    let services: BTreeSet<_> = subjects()
        .map(|subject| (subject.destination, subject.destination_port))
        .collect();
    if clients.len() == group.len() {
        "clients"
    } else if services.len() == group.len() {
        "services"
    } else {
        "pairs of client and service"
    }
}

/// One finding that stands for all of these, of which there is at least one.
fn one(mut group: Vec<Finding>, is_target: bool) -> Finding {
    group.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.count)));
    let others = group.len() - 1;
    let alike = what_differs(&group);
    let mut evidence = Evidence::default();
    let mut count = 0;
    for finding in &group {
        evidence.merge(&finding.packets);
        count += finding.count;
    }
    let mut worst = group.swap_remove(0);
    let sentence = worst.summary.trim_end_matches('.');
    worst.summary = format!("{sentence}; likewise {others} other {alike}.");
    let ip = |address: Address| if address.is_v4() { "ip" } else { "ipv6" };
    let about = if is_target {
        worst.subject.destination
    } else {
        worst.subject.source
    };
    if let Some(address) = about {
        worst.check = format!("{}.addr == {address} && tcp", ip(address));
    }
    if is_target {
        worst.subject.source = None;
    } else {
        worst.subject.destination_port = None;
        if group
            .iter()
            .any(|finding| finding.subject.destination != worst.subject.destination)
        {
            worst.subject.destination = None;
        }
    }
    worst.since = crate::finding::time(evidence.since_ns());
    worst.until = crate::finding::time(evidence.until_ns());
    worst.packets = evidence;
    worst.count = count;
    worst
}
