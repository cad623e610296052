//! Beacons: connections of a host to the same service at even intervals, as RITA finds them by skew and dispersion of the
//! intervals. Only what was answered counts, and each connection once, so that keep-alives are none.

use std::collections::BTreeMap;

use super::{explained::Explained, place::is_inside};
use crate::{
    address::Address,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::security as rules,
    severity::Severity,
    words::{duration, several},
};

/// Clients and services that are followed.
const MOST: usize = 2048;

/// Latest intervals that are kept of each.
const INTERVALS: usize = 128;

/// Services of UDP that are used at intervals by all hosts: DNS, DHCP, NTP, NetBIOS, SNMP, SSDP, STUN, mDNS, LLMNR.
const PERIODIC: [u16; 11] = [53, 67, 68, 123, 137, 138, 161, 1900, 3478, 5353, 5355];

/// Of TCP: names, and time with security (RFC 7766, RFC 7858, RFC 8915).
const PERIODIC_TCP: [u16; 3] = [53, 853, 4460];

/// Client, server, port, and whether UDP.
type Key = (Address, Address, u16, bool);

#[derive(Clone, Debug, Default)]
struct Contacts {
    last_ns: u64,
    count: u64,
    /// Milliseconds between the latest contacts, the oldest ones replaced.
    intervals: Vec<u32>,
    packets: Evidence,
}

/// Measures when connections begin.
#[derive(Clone, Debug)]
pub(super) struct Beacons(Lru<Key, Box<Contacts>>);

impl Default for Beacons {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

/// What the intervals say.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Regular {
    median_ms: u32,
    /// Median absolute deviation from it.
    deviation_ms: u32,
}

impl Beacons {
    /// A connection, or a flow of UDP, that began at `ns` with packet `number` is answered.
    pub(super) fn opened(
        &mut self,
        (client, server): (Address, Address),
        (port, is_udp): (u16, bool),
        (number, ns): (u64, u64),
    ) {
        let periodic: &[u16] = if is_udp { &PERIODIC } else { &PERIODIC_TCP };
        if periodic.contains(&port) || server.is_group() {
            return;
        }
        let contacts = self.0.entry(&(client, server, port, is_udp), Box::default);
        if contacts.count > 0 {
            let ms = ns.saturating_sub(contacts.last_ns) / 1_000_000;
            let ms = u32::try_from(ms).unwrap_or(u32::MAX);
            let place = (contacts.count - 1) as usize % INTERVALS;
            match contacts.intervals.get_mut(place) {
                Some(interval) => *interval = ms,
                None => contacts.intervals.push(ms),
            }
        }
        contacts.last_ns = contacts.last_ns.max(ns);
        contacts.count += 1;
        contacts.packets.add(number, ns);
    }

    /// One finding for each client and interval: who asks several services in the same rhythm watches them.
    pub(super) fn findings(
        &self,
        facts: &Facts,
        explained: &Explained,
        findings: &mut Vec<Finding>,
    ) {
        let mut clients: BTreeMap<Address, Vec<(&Key, &Contacts, Regular)>> = BTreeMap::new();
        for (key, contacts) in self.0.iter() {
            if let Some(regular) = regular(&contacts.intervals)
                && !explained.is_guess(key.0, key.1, key.2)
            {
                clients
                    .entry(key.0)
                    .or_default()
                    .push((key, contacts, regular));
            }
        }
        for mut of_client in clients.into_values() {
            of_client.sort_by_key(|(key, _, regular)| (regular.median_ms, **key));
            let is_same = |one: &(&Key, &Contacts, Regular), other: &(&Key, &Contacts, Regular)| {
                let difference = other.2.median_ms.abs_diff(one.2.median_ms);
                f64::from(difference) <= f64::from(one.2.median_ms) * rules::BEACON_SPREAD.value
            };
            for group in of_client.chunk_by(is_same) {
                findings.extend(finding(group, facts));
            }
        }
    }
}

/// Whether intervals are even: enough of them, their quartiles symmetric and their deviation small.
fn regular(intervals: &[u32]) -> Option<Regular> {
    if (intervals.len() as u64) < rules::BEACONS.count() {
        return None;
    }
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    let [low, median_ms, high] = [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4]);
    // Bowley's skewness. Of equal quartiles there is none.
    let spread = f64::from(high) - f64::from(low);
    let skew = match spread > 0.0 {
        true => (f64::from(high) + f64::from(low) - 2.0 * f64::from(median_ms)) / spread,
        false => 0.0,
    };
    let mut deviations: Vec<u32> = sorted.iter().map(|ms| ms.abs_diff(median_ms)).collect();
    deviations.sort_unstable();
    let deviation_ms = deviations[deviations.len() / 2];
    let relative = f64::from(deviation_ms) / f64::from(median_ms.max(1));
    // Where nearly all are the same, the skew is that of a few milliseconds.
    let is_symmetric = skew.abs() <= rules::BEACON_SKEW.value
        || spread <= f64::from(median_ms) * rules::BEACON_EVEN.value;
    let is_even = relative <= rules::BEACON_SPREAD.value;
    let is_slow = f64::from(median_ms) >= rules::BEACON_INTERVAL.value * 1000.0;
    (is_symmetric && is_even && is_slow).then_some(Regular {
        median_ms,
        deviation_ms,
    })
}

fn finding(group: &[(&Key, &Contacts, Regular)], facts: &Facts) -> Option<Finding> {
    let (key, contacts, regular) = group.iter().max_by_key(|(_, contacts, _)| contacts.count)?;
    let (client, server, port, is_udp) = **key;
    let mut packets = Evidence::default();
    group
        .iter()
        .for_each(|(_, contacts, _)| packets.merge(&contacts.packets));
    let protocol = if is_udp { "udp" } else { "tcp" };
    let others = match group.len() {
        1 => String::new(),
        all => format!(
            "; {} in the same rhythm",
            several(all as u64 - 1, "other service")
        ),
    };
    let milliseconds = |ms: u32| duration(u64::from(ms) * 1_000_000);
    let summary = format!(
        "{client} connects to {server} {protocol} port {port} every {}, give or take {}: {} times within {}{others}.",
        milliseconds(regular.median_ms),
        // As intervals are kept in milliseconds.
        milliseconds(regular.deviation_ms.max(1)),
        contacts.count,
        duration(
            contacts
                .packets
                .until_ns()
                .saturating_sub(contacts.packets.since_ns())
        ),
    );
    // Inside, and of many services alike, it is a check or a schedule.
    let is_watch = group.len() as u64 >= rules::WATCHED.count();
    let severity = match is_inside(server) || is_watch {
        true => Severity::Info,
        false => Severity::Warn,
    };
    let is_alone = group.len() == 1;
    let check = match is_alone {
        true => format!(
            "{} && {} && {protocol}.dstport == {port}",
            filter("src", client),
            filter("dst", server)
        ),
        false => filter("src", client),
    };
    Some(
        Finding::new(&rules::BEACON, summary, packets)
            .severity(severity)
            .confidence(confidence(facts, Confidence::Medium))
            .subject(Subject {
                source: Some(client),
                destination: is_alone.then_some(server),
                destination_port: is_alone.then_some(port),
                protocol: is_alone.then_some(protocol),
                ..Subject::default()
            })
            .check(check),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_intervals_with_jitter_and_others() {
        let even: Vec<u32> = (0..40).map(|n| 60_000 + n % 3).collect();
        assert_eq!(regular(&even).map(|found| found.median_ms), Some(60_001));
        // A jitter of a fifth, as such programs offer.
        let jitter: Vec<u32> = (0..40).map(|n| 48_000 + n * 7919 % 24_000).collect();
        assert!(regular(&jitter).is_some());
        let bursts: Vec<u32> = (0..40)
            .map(|n| if n % 4 == 0 { 60_000 } else { 50 })
            .collect();
        assert_eq!(regular(&bursts), None);
        let growing: Vec<u32> = (0..40).map(|n| 1000 * (n * n)).collect();
        assert_eq!(regular(&growing), None);
        assert_eq!(regular(&even[..5]), None);
    }
}
