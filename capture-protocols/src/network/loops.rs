//! Packets that go in circles: the same packet seen again and again with a smaller time to live, or routers that say in turn
//! that it ran out (RFC 792, RFC 4443).

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use foldhash::fast::RandomState;

use crate::filter::filter;
use crate::{
    address::Address,
    decode::{Decoded, Ip},
    evidence::Evidence,
    facts::Facts,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    prefetch::prefetch,
    rules::network as rules,
    seen::Seen,
};

/// Packets that are remembered, a power of two.
const PLACES: usize = 4096;

/// Most pairs of hosts that are followed.
const MOST: usize = 256;

/// Bytes behind the IP header that tell packets apart: as many as every quote has (RFC 792).
const COMPARED: usize = 8;

/// A packet that came by.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Passed {
    hash: u64,
    ns: u64,
    number: u64,
    ttl: u8,
    rounds: u8,
}

#[derive(Clone, Debug, Default)]
struct Pair {
    /// Packets that came by again with a smaller time to live.
    circles: Evidence,
    most_rounds: u8,
    /// The last two routers that said that the time to live ran out.
    routers: [Option<Address>; 2],
    /// How often one of them said so again after the other.
    returns: u64,
    /// Packets that ran out although they set out with far more than any path is long.
    exhausted: Evidence,
    expired: Evidence,
}

/// Measures packets that go in circles.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    passed: Vec<Passed>,
    /// With a seed: nobody can make packets that are taken for others.
    hasher: RandomState,
    pairs: Lru<(Address, Address), Box<Pair>>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            passed: vec![Passed::default(); PLACES],
            hasher: RandomState::default(),
            pairs: Lru::new(MOST),
        }
    }
}

impl Detector {
    /// A hash of what stays the same of a packet on its way.
    #[inline]
    fn hash(&self, headers: &Decoded<'_>, ip: &Ip) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        (ip.source, ip.destination).hash(&mut hasher);
        hasher.write_u32(ip.identification.unwrap_or(0));
        let start = usize::from(ip.offset) + usize::from(ip.header_len);
        let carried = headers.frame.get(start..).unwrap_or_default();
        hasher.write(&carried[..carried.len().min(COMPARED)]);
        hasher.finish()
    }

    /// The hash of a packet, whose place will be asked for.
    #[inline]
    pub(super) fn look_ahead(&self, headers: &Decoded<'_>, ip: &Ip) -> u64 {
        let hash = self.hash(headers, ip);
        prefetch(&self.passed[(hash >> 52) as usize % PLACES]);
        hash
    }

    #[inline]
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, ip: &Ip) {
        let hash = seen.hashes.passed;
        let place = &mut self.passed[(hash >> 52) as usize % PLACES];
        let is_same =
            place.hash == hash && seen.ns.saturating_sub(place.ns) <= rules::LOOP_WITHIN.ns();
        if is_same && ip.ttl < place.ttl {
            place.rounds = place.rounds.saturating_add(1);
            (place.ttl, place.ns) = (ip.ttl, seen.ns);
            if u64::from(place.rounds) >= rules::ROUNDS.count() {
                let pair = self.pairs.entry(&(ip.source, ip.destination), Box::default);
                if u64::from(place.rounds) == rules::ROUNDS.count() {
                    pair.circles.add(place.number, place.ns);
                }
                pair.circles.add(seen.number, seen.ns);
                pair.most_rounds = pair.most_rounds.max(place.rounds);
            }
        } else if !is_same {
            *place = Passed {
                hash,
                ns: seen.ns,
                number: seen.number,
                ttl: ip.ttl,
                rounds: 0,
            };
        }
    }

    /// An ICMP error that says that the time to live ran out.
    #[cold]
    pub(super) fn expired(&mut self, seen: &Seen<'_, '_>) {
        let (Some(ip), Some(quote)) = (seen.headers.ip, seen.headers.quoted()) else {
            return;
        };
        let Some(quoted) = quote.ip else { return };
        let hash = self.hash(&quote, &quoted);
        let started = self.passed[(hash >> 52) as usize % PLACES];
        let pair = self
            .pairs
            .entry(&(quoted.source, quoted.destination), Box::default);
        pair.expired.add(seen.number, seen.ns);
        if started.hash == hash && rules::LONG_WAY.is_reached(started.ttl.into()) {
            pair.exhausted.add(seen.number, seen.ns);
        }
        let router = Some(ip.source);
        let [before, last] = pair.routers;
        if last != router {
            pair.returns += u64::from(before == router);
            pair.routers = [last, router];
        }
    }

    pub(super) fn findings(&self, _facts: &Facts, findings: &mut Vec<Finding>) {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_by_key(|(pair, _)| **pair);
        for (addresses, pair) in pairs {
            findings.extend(pair.finding(*addresses));
        }
    }
}

impl Pair {
    fn finding(&self, (source, destination): (Address, Address)) -> Option<Finding> {
        let both = format!(
            "{} && {}",
            filter("src", source),
            filter("dst", destination)
        );
        let expired = "(icmp.type == 11 || icmpv6.type == 3)";
        let (summary, packets, check, sure) = if !self.circles.is_empty() {
            let summary = format!(
                "Packets from {source} to {destination} go in a circle: the same ones came by up to {} times, each time with a smaller time to live.",
                u32::from(self.most_rounds) + 1
            );
            (summary, self.circles.clone(), both, Confidence::High)
        } else if self.exhausted.count() >= rules::EXHAUSTED.count() {
            let summary = format!(
                "{} packets from {source} to {destination} ran out of time to live on the way, although they set out with {:.0} or more; {} reports it.",
                self.exhausted.count(),
                rules::LONG_WAY.value,
                self.last()?
            );
            (
                summary,
                self.exhausted.clone(),
                expired.to_owned(),
                Confidence::High,
            )
        } else if self.returns >= rules::ROUTER_RETURNS.count() {
            let summary = format!(
                "{} and {} say in turn that packets from {source} to {destination} ran out of time to live, {} times.",
                self.routers[0]?,
                self.last()?,
                self.expired.count()
            );
            (
                summary,
                self.expired.clone(),
                expired.to_owned(),
                Confidence::Medium,
            )
        } else {
            return None;
        };
        Some(
            Finding::new(&rules::ROUTE_LOOP, summary, packets)
                .confidence(sure)
                .subject(Subject {
                    source: Some(source),
                    destination: Some(destination),
                    via: self.last(),
                    ..Subject::default()
                })
                .check(check),
        )
    }

    fn last(&self) -> Option<Address> {
        self.routers[1]
    }
}
