//! What first contacts mean: a walk over their outcomes (Jung 2004), and how far a source got. One finding for each source.

use std::{collections::BTreeMap, fmt::Write as _};

use super::contacts::{Contacts, Pair, PairKey, Sweep, Way};
use crate::{
    address::Address,
    detect::traffic::explained::Explained,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    rules::security as rules,
    words::{duration, several},
};

/// Ways of looking for hosts that are told one by one.
const MOST_TOLD: usize = 4;

/// What one source did.
#[derive(Default)]
struct Scan<'a> {
    pairs: Vec<(&'a PairKey, &'a Pair)>,
    sweeps: Vec<(Way, &'a Sweep)>,
}

/// One finding for each source that scans, and what other findings it explains.
pub(crate) fn findings(
    contacts: &Contacts,
    facts: &Facts,
    explained: &mut Explained,
    findings: &mut Vec<Finding>,
) {
    let mut sources: BTreeMap<Address, Scan<'_>> = BTreeMap::new();
    for (key, pair) in contacts.pairs.iter() {
        if is_port_scan(key, pair, facts) {
            sources.entry(key.0).or_default().pairs.push((key, pair));
        }
    }
    let mut swept: Vec<(Address, Way, &Sweep)> = Vec::new();
    for ((source, way), sweep) in contacts.sweeps.iter() {
        if is_sweep(*way, sweep, facts) {
            swept.push((*source, *way, sweep));
        }
    }
    for (source, way, sweep) in &swept {
        if *way == Way::Arp && is_routed(&swept, sweep) {
            continue;
        }
        let scan = sources.entry(*source).or_default();
        scan.sweeps.push((*way, sweep));
    }
    for (source, mut scan) in sources {
        scan.pairs
            .sort_by_key(|(key, pair)| (std::cmp::Reverse(pair.ports.len()), **key));
        scan.sweeps
            .sort_by_key(|(way, sweep)| (std::cmp::Reverse(sweep.hosts.len()), *way));
        for (key, _) in &scan.pairs {
            explained.pair(source, key.1);
        }
        for (way, _) in &scan.sweeps {
            if let Way::Tcp(port) = way {
                explained.sweep(source, *port);
            }
        }
        let found = match scan.pairs.is_empty() {
            false => of_ports(source, &scan, facts),
            true => of_hosts(source, &scan, facts),
        };
        findings.extend(found.map(|finding| match contacts.has_answers {
            true => finding,
            // Perhaps the capture has a filter that keeps no answers.
            false => finding.confidence(Confidence::Low),
        }));
    }
}

/// Whether so many failures among first contacts are those of a scanner and not of a user: the random walk of Jung et al.,
/// where each failure and each success is one step.
fn is_walk_over(failed: u64, answered: u64) -> bool {
    let [of_user, of_scanner] = [rules::USER_SUCCESS.value, rules::SCANNER_SUCCESS.value];
    let failure = ((1.0 - of_scanner) / (1.0 - of_user)).ln();
    let success = (of_scanner / of_user).ln();
    let walk = failed as f64 * failure + answered as f64 * success;
    let false_alarms = rules::FALSE_ALARMS.value;
    walk >= ((1.0 - false_alarms) / false_alarms).ln()
}

/// First contacts that failed. Silence counts only where an answer would have been seen.
fn failed(tried: u64, answered: u64, refused: u64, facts: &Facts) -> u64 {
    let others = tried.saturating_sub(answered);
    match facts.one_sided {
        true => others.min(refused),
        false => others,
    }
}

/// A client without its server, or a check of servers, tries the same ones again and again.
fn is_once_each(connections: u64, tried: u64) -> bool {
    let each = connections as f64 / tried.max(1) as f64;
    !rules::TRIES_EACH.is_reached(each)
}

fn is_port_scan((.., is_udp): &PairKey, pair: &Pair, facts: &Facts) -> bool {
    let (tried, answered, refused) = (pair.ports.len(), pair.answered.len(), pair.refused.count());
    let failed = match is_udp {
        // Nobody has to answer a datagram.
        true if tried < rules::SILENT_PORTS.count() => refused.min(tried.saturating_sub(answered)),
        _ => failed(tried, answered, refused, facts),
    };
    failed >= rules::SCANNED_PORTS.count()
        && is_walk_over(failed, answered)
        && is_once_each(pair.connections, tried)
}

fn is_sweep(way: Way, sweep: &Sweep, facts: &Facts) -> bool {
    let (tried, answered, refused) = (sweep.hosts.len(), sweep.answered.len(), sweep.refused.len());
    let failed = match way {
        Way::Udp(_) => refused.min(tried.saturating_sub(answered)),
        _ => failed(tried, answered, refused, facts),
    };
    // Answers to the ARP requests of others go past a capture; only a burst of them is no ordinary use.
    let is_fast = way != Way::Arp || sweep.most_a_second >= rules::ARP_RATE.count();
    failed >= rules::SCANNED_HOSTS.count()
        && is_walk_over(failed, answered)
        && is_once_each(sweep.connections, tried)
        && is_fast
}

/// Whether a router looks for the hosts that somebody else scans through it.
fn is_routed(swept: &[(Address, Way, &Sweep)], arp: &Sweep) -> bool {
    let Some((low, high)) = arp.hosts.bounds() else {
        return false;
    };
    swept.iter().any(|(_, way, sweep)| {
        *way != Way::Arp && (sweep.hosts.spans(low) || sweep.hosts.spans(high))
    })
}

fn of_ports(source: Address, scan: &Scan<'_>, facts: &Facts) -> Option<Finding> {
    let ((key, most), others) = scan.pairs.split_first()?;
    let (_, target, is_udp) = **key;
    let mut packets = Evidence::default();
    scan.pairs
        .iter()
        .for_each(|(_, pair)| packets.merge(&pair.packets));
    let protocol = if is_udp { "UDP" } else { "TCP" };
    let (tried, answered) = (most.ports.len(), most.answered.len());
    let refused = most.refused.count().min(tried);
    let how = match (answered, refused * 2 >= tried) {
        (0, true) => "none answered, most said that nothing is there".to_owned(),
        (0, false) => "none answered, most were silent".to_owned(),
        (_, true) => format!("{answered} answered, most others said that nothing is there"),
        (_, false) => format!("{answered} answered, most others were silent"),
    };
    let mut beside = match others.len() as u64 {
        0 => String::new(),
        others => format!("; likewise {} of other hosts", several(others, "scan")),
    };
    if let Some((way, sweep)) = scan.sweeps.first() {
        let _ = write!(
            beside,
            "; it looked for {} hosts by {}",
            sweep.hosts.number(),
            way.words()
        );
    }
    let tool = most
        .shapes
        .words()
        .map_or_else(String::new, |words| format!("; probes {words}"));
    let summary = format!(
        "{source} tried {tried} {protocol} ports of {target} ({}) within {}: {how}{beside}{tool}.",
        most.ports,
        spent(&packets),
    );
    let sure = match tried >= rules::MANY_PORTS.count() {
        true => Confidence::High,
        false => Confidence::Medium,
    };
    let has_both = scan.pairs.iter().any(|(key, _)| key.2 != is_udp);
    let is_alone = others.is_empty();
    let count = scan.pairs.iter().map(|(_, pair)| pair.ports.len()).sum();
    Some(
        Finding::new(&rules::SCAN_PORTS, summary, packets)
            .count(count)
            .confidence(confidence(facts, sure))
            .subject(Subject {
                source: Some(source),
                destination: is_alone.then_some(target),
                protocol: (!has_both).then_some(if is_udp { "udp" } else { "tcp" }),
                ..Subject::default()
            })
            .check(check(source, is_alone.then_some(target), is_udp, has_both)),
    )
}

/// What a source sent to begin with.
fn check(source: Address, target: Option<Address>, is_udp: bool, has_both: bool) -> String {
    let to = target.map_or_else(String::new, |to| format!(" && {}", filter("dst", to)));
    let from = filter("src", source);
    let syns = "tcp.flags.syn == 1 && tcp.flags.ack == 0";
    match (has_both, is_udp) {
        (true, _) => format!("{from}{to} && (udp || ({syns}))"),
        (false, true) => format!("{from}{to} && udp"),
        (false, false) => format!("{from}{to} && {syns}"),
    }
}

fn of_hosts(source: Address, scan: &Scan<'_>, facts: &Facts) -> Option<Finding> {
    let (way, most) = *scan.sweeps.first()?;
    let mut packets = Evidence::default();
    let told = &scan.sweeps[..scan.sweeps.len().min(MOST_TOLD)];
    told.iter()
        .for_each(|(_, sweep)| packets.merge(&sweep.packets));
    let ways: Vec<String> = told.iter().map(|(way, _)| way.words()).collect();
    let more = match scan.sweeps.len() - told.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (low, high) = most.hosts.bounds()?;
    let answered = match most.answered.len() {
        0 => "none".to_owned(),
        _ => most.answered.number(),
    };
    let tool = most
        .shapes
        .words()
        .map_or_else(String::new, |words| format!("; probes {words}"));
    let summary = format!(
        "{source} looked for {} hosts between {low} and {high} within {}, by {}{more}: {answered} answered{tool}.",
        most.hosts.number(),
        spent(&packets),
        ways.join(", "),
    );
    let sure = match way {
        Way::Arp | Way::Udp(_) => Confidence::Medium,
        Way::Tcp(_) | Way::Echo => Confidence::High,
    };
    let filters: Vec<_> = told.iter().map(|(way, _)| way.filter(source)).collect();
    Some(
        Finding::new(&rules::SCAN_HOSTS, summary, packets)
            .count(most.hosts.len())
            .confidence(confidence(facts, sure))
            .subject(Subject {
                source: Some(source),
                destination_port: way.port().filter(|_| scan.sweeps.len() == 1),
                protocol: way.protocol(),
                ..Subject::default()
            })
            .check(filters.join(" || ")),
    )
}

fn spent(packets: &Evidence) -> String {
    duration(packets.until_ns().saturating_sub(packets.since_ns()))
}

impl Way {
    fn port(self) -> Option<u16> {
        match self {
            Self::Tcp(port) | Self::Udp(port) => Some(port),
            Self::Echo | Self::Arp => None,
        }
    }

    fn protocol(self) -> Option<&'static str> {
        match self {
            Self::Tcp(_) => Some("tcp"),
            Self::Udp(_) => Some("udp"),
            Self::Echo => Some("icmp"),
            Self::Arp => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Tcp(port) => format!("TCP port {port}"),
            Self::Udp(port) => format!("UDP port {port}"),
            Self::Echo => "echo requests".to_owned(),
            Self::Arp => "ARP requests".to_owned(),
        }
    }

    fn filter(self, source: Address) -> String {
        let from = filter("src", source);
        match self {
            Self::Tcp(port) => format!(
                "({from} && tcp.dstport == {port} && tcp.flags.syn == 1 && tcp.flags.ack == 0)"
            ),
            Self::Udp(port) => format!("({from} && udp.dstport == {port})"),
            Self::Echo => format!("({from} && (icmp.type == 8 || icmpv6.type == 128))"),
            Self::Arp => format!("(arp.opcode == 1 && arp.src.proto_ipv4 == {source})"),
        }
    }
}
