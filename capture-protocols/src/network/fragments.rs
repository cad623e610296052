//! Fragmented packets: parts that are missing, and parts that overlap (RFC 791, RFC 8200 section 4.5, RFC 5722).

use crate::filter::filter;
use crate::{
    address::Address,
    decode::{Fragment, Ip},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::network as rules,
    seen::Seen,
    severity::Severity,
};

/// Most packets in parts, and most pairs of hosts, that are followed at once.
const MOST_PACKETS: usize = 1024;
const MOST_PAIRS: usize = 256;

/// Most ranges of a packet that wait for what lies between them.
const MOST_RANGES: usize = 8;

/// After which a whole packet's identification is free to come again (RFC 6864 has it of fast senders).
const REUSE_NS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: Address,
    destination: Address,
    id: u32,
    protocol: u8,
}

/// The parts of one packet that came.
#[derive(Clone, Copy, Debug)]
struct Parts {
    number: u64,
    ns: u64,
    /// Bytes from and to, apart from each other and in order.
    ranges: [(u32, u32); MOST_RANGES],
    len: usize,
    /// Length of a part that others follow.
    size: u32,
    /// Length of the whole, once the last part came.
    total: Option<u32>,
    /// More holes than are followed.
    is_lost: bool,
}

#[derive(Clone, Debug, Default)]
struct Pair {
    packets: u64,
    /// First parts that came of packets that were given up.
    incomplete: Evidence,
    /// Whether ever another part than the first came.
    has_later_parts: bool,
    overlaps: Evidence,
}

/// Measures fragmented packets.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    packets: Lru<Key, Parts>,
    pairs: Lru<(Address, Address), Box<Pair>>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            packets: Lru::new(MOST_PACKETS),
            pairs: Lru::new(MOST_PAIRS),
        }
    }
}

enum Came {
    New,
    Again,
    Overlap,
}

impl Detector {
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, ip: &Ip, fragment: Fragment) {
        let Some(id) = ip.identification else { return };
        let key = Key {
            source: ip.source,
            destination: ip.destination,
            id,
            protocol: ip.protocol,
        };
        let len = ip.total_len.saturating_sub(u32::from(ip.header_len));
        let (from, to) = (fragment.offset, fragment.offset.saturating_add(len));
        let new = || Parts {
            number: seen.number,
            ns: seen.ns,
            ranges: [(0, 0); MOST_RANGES],
            len: 0,
            size: 0,
            total: None,
            is_lost: false,
        };
        let pairs = &mut self.pairs;
        let place = self.packets.get_or_insert(&key, new, |key, old| {
            give_up(pairs, key, &old, seen.ns);
        });
        let parts = self.packets.get_mut(place);
        if parts.is_whole() && seen.ns.saturating_sub(parts.ns) >= REUSE_NS {
            *parts = new();
        }
        let pair = pairs.entry(&(key.source, key.destination), Box::default);
        pair.packets += u64::from(parts.len == 0);
        pair.has_later_parts |= from > 0;
        match parts.add(from, to, fragment.more) {
            Came::New | Came::Again => {}
            Came::Overlap => {
                pair.overlaps.add(parts.number, parts.ns);
                pair.overlaps.add(seen.number, seen.ns);
            }
        }
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_by_key(|(pair, _)| **pair);
        let is_open = |parts: &Parts| !parts.is_whole() && !parts.is_lost;
        let open = self.packets.iter().filter(|(_, parts)| is_open(parts));
        let mut open: Vec<_> = open
            .filter(|(_, parts)| facts.may_claim_absence(parts.ns))
            .collect();
        open.sort_unstable_by_key(|(_, parts)| parts.number);
        for (addresses, pair) in pairs {
            let mut incomplete = match facts.may_claim_absence(0) {
                true => pair.incomplete.clone(),
                false => Evidence::default(),
            };
            for (key, parts) in &open {
                if (key.source, key.destination) == *addresses {
                    incomplete.add(parts.number, parts.ns);
                }
            }
            findings.extend(pair.overlapping(*addresses, facts));
            findings.extend(pair.missing(*addresses, incomplete));
        }
    }
}

/// A packet that will not be whole, or was.
fn give_up(pairs: &mut Lru<(Address, Address), Box<Pair>>, key: &Key, old: &Parts, ns: u64) {
    let was_long_ago = ns.saturating_sub(old.ns) >= Facts::LONG_ENOUGH_NS;
    if old.is_whole() || old.is_lost || !was_long_ago {
        return;
    }
    if let Some(pair) = pairs.peek_mut(&(key.source, key.destination)) {
        pair.incomplete.add(old.number, old.ns);
    }
}

impl Parts {
    fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges[..self.len]
    }

    fn is_whole(&self) -> bool {
        self.total
            .is_some_and(|total| self.ranges() == [(0, total)])
    }

    fn add(&mut self, from: u32, to: u32, more: bool) -> Came {
        if self.is_lost || from == to {
            return Came::New;
        }
        let overlaps = |range: &&(u32, u32)| from < range.1 && range.0 < to;
        let is_new = !self.ranges().iter().any(|range| overlaps(&range));
        if !is_new {
            // The same part once more lies where parts of this packet lie, and is as long as they are.
            let is_inside = self
                .ranges()
                .iter()
                .any(|range| range.0 <= from && to <= range.1);
            let is_same_end = !more && self.total.is_none_or(|total| total == to);
            let is_regular = self.size == 0 || from.is_multiple_of(self.size);
            let is_part = match more {
                true => is_regular && to - from == self.size,
                false => is_regular && is_same_end,
            };
            return if is_inside && is_part {
                Came::Again
            } else {
                Came::Overlap
            };
        }
        let is_beyond = self.total.is_some_and(|total| to > total);
        if more && self.size == 0 {
            self.size = to - from;
        }
        if !more {
            self.total = self.total.or(Some(to));
        }
        self.insert(from, to);
        if is_beyond { Came::Overlap } else { Came::New }
    }

    /// A range that overlaps no other one.
    fn insert(&mut self, from: u32, to: u32) {
        let place = self.ranges().partition_point(|range| range.0 < from);
        let joins_left = place > 0 && self.ranges[place - 1].1 == from;
        let joins_right = place < self.len && self.ranges[place].0 == to;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[place - 1].1 = self.ranges[place].1;
                self.ranges.copy_within(place + 1..self.len, place);
                self.len -= 1;
            }
            (true, false) => self.ranges[place - 1].1 = to,
            (false, true) => self.ranges[place].0 = from,
            (false, false) if self.len == MOST_RANGES => self.is_lost = true,
            (false, false) => {
                self.ranges.copy_within(place..self.len, place + 1);
                self.ranges[place] = (from, to);
                self.len += 1;
            }
        }
    }
}

impl Pair {
    fn overlapping(&self, pair: (Address, Address), facts: &Facts) -> Option<Finding> {
        let count = self.overlaps.count() / 2;
        if count < rules::OVERLAPS.count() {
            return None;
        }
        let summary = format!(
            "{count} fragments from {} to {} overlap others of their packet and are no repetition of them.",
            pair.0, pair.1
        );
        let finding = Finding::new(&rules::FRAGMENTS, summary, self.overlaps.clone());
        Some(
            about(finding.count(count).severity(Severity::High), pair)
                .confidence(confidence(facts, Confidence::High)),
        )
    }

    fn missing(&self, pair: (Address, Address), incomplete: Evidence) -> Option<Finding> {
        let count = incomplete.count();
        let share = count as f64 / self.packets.max(1) as f64;
        if count < rules::INCOMPLETE.count() || !rules::INCOMPLETE_SHARE.is_reached(share) {
            return None;
        }
        let mut summary = format!(
            "Of {count} of {} fragmented packets from {} to {} parts are missing",
            self.packets, pair.0, pair.1
        );
        if !self.has_later_parts {
            summary.push_str("; only the first part of each came");
        }
        summary.push('.');
        // Filters and firewalls that look at ports see them in the first part alone.
        let sure = match self.has_later_parts {
            true => Confidence::High,
            false => Confidence::Medium,
        };
        let finding = Finding::new(&rules::FRAGMENTS, summary, incomplete);
        Some(about(finding, pair).confidence(sure))
    }
}

fn about(finding: Finding, (source, destination): (Address, Address)) -> Finding {
    let (from, to) = (filter("src", source), filter("dst", destination));
    let fragment = match source.is_v4() {
        true => "(ip.flags.mf == 1 || ip.frag_offset > 0)",
        false => "ipv6.fraghdr",
    };
    let subject = Subject {
        source: Some(source),
        destination: Some(destination),
        ..Subject::default()
    };
    finding
        .subject(subject)
        .check(format!("{fragment} && {from} && {to}"))
}
