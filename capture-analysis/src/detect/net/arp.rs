//! ARP: addresses that two stations claim, and stations that claim the addresses of others (RFC 826, RFC 5227).

use std::fmt::Write as _;

use super::link::Link;
use crate::{
    address::{Address, Mac},
    decode::Arp,
    detect::{
        facts::{Facts, confidence},
        seen::Seen,
    },
    evidence::Evidence,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::link as rules,
    text::duration,
};

/// Most addresses and stations that are remembered.
const MOST: usize = 4096;

/// Most addresses that a sentence names.
const MOST_NAMED: usize = 4;

/// What one station says of an address.
#[derive(Clone, Copy, Debug)]
struct Claim {
    mac: Mac,
    last_ns: u64,
    /// Replies that nobody asked for, to one station.
    unsolicited: u32,
}

/// Who claims an address.
#[derive(Debug, Default)]
struct Claims {
    claims: [Option<Claim>; 2],
    /// Index of the latest.
    latest: usize,
    /// How often the address went back to a station that had it before, soon.
    returns: u32,
    changes: Evidence,
    /// Replies that nobody asked for, and that changed nothing.
    unsolicited: Evidence,
}

/// Addresses of a station.
#[derive(Clone, Copy, Debug)]
struct Station {
    first: Address,
    has_others: bool,
}

/// Measures who claims which address.
#[derive(Debug)]
pub(super) struct Detector {
    addresses: Lru<(Link, Address), Claims>,
    stations: Lru<(Link, Mac), Station>,
    /// When an address was last asked for.
    requests: Lru<(Link, Address), u64>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            addresses: Lru::new(MOST),
            stations: Lru::new(MOST),
            requests: Lru::new(MOST),
        }
    }
}

/// A station that claims the addresses of others.
struct Impostor {
    mac: Mac,
    own: Option<Address>,
    addresses: Vec<Address>,
    owner: Mac,
    unsolicited: u64,
    packets: Evidence,
}

impl Detector {
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, arp: &Arp) {
        let link = Link::of(seen);
        let is_announcement = arp.sender == arp.target;
        if arp.operation == 1 && !is_announcement {
            *self.requests.entry(&(link, arp.target), || seen.ns) = seen.ns;
        }
        // A probe claims nothing yet (RFC 5227 section 2.1.1).
        if arp.sender.is_unspecified() || arp.sender_mac.is_group() {
            return;
        }
        let is_to_one = seen
            .headers
            .ethernet
            .is_none_or(|ethernet| !ethernet.destination.is_group());
        let is_unsolicited = arp.operation == 2 && !is_announcement && is_to_one && {
            let asked = self.requests.peek_mut(&(link, arp.sender));
            asked.is_none_or(|ns| seen.ns.saturating_sub(*ns) > rules::ANSWER_WITHIN.ns())
        };
        let station = self.stations.entry(&(link, arp.sender_mac), || Station {
            first: arp.sender,
            has_others: false,
        });
        station.has_others |= station.first != arp.sender;
        let claims = self.addresses.entry(&(link, arp.sender), Claims::default);
        claims.add(seen, arp.sender_mac, is_unsolicited);
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut impostors = Vec::new();
        let mut conflicts = Vec::new();
        for ((link, address), claims) in self.addresses.iter() {
            let [Some(first), Some(second)] = claims.claims else {
                continue;
            };
            match self.impostor(*link, *address, claims, [first, second]) {
                Some(impostor) => impostors.push(impostor),
                None if claims.returns >= 1 => {
                    conflicts.push((*address, first.mac, second.mac, claims));
                }
                None => {}
            }
        }
        // The same may be seen on several interfaces, as on a bridge and its ports.
        conflicts.sort_unstable_by_key(|(address, first, second, claims)| {
            let packets = claims.changes.count();
            (*address, *first, *second, std::cmp::Reverse(packets))
        });
        conflicts.dedup_by_key(|(address, first, second, _)| (*address, *first, *second));
        for (address, first, second, claims) in conflicts {
            findings.push(conflict(address, claims, [first, second], facts));
        }
        impostors.sort_unstable_by_key(|impostor: &Impostor| {
            let unsolicited = std::cmp::Reverse(impostor.unsolicited);
            (impostor.mac, impostor.addresses[0], unsolicited)
        });
        impostors.dedup_by_key(|impostor| (impostor.mac, impostor.addresses[0]));
        for impostors in impostors.chunk_by(|one, other| one.mac == other.mac) {
            findings.push(Impostor::all(impostors).finding(facts));
        }
    }

    /// The one of two stations that claims an address which is not its own.
    fn impostor(
        &self,
        link: Link,
        address: Address,
        claims: &Claims,
        both: [Claim; 2],
    ) -> Option<Impostor> {
        let station = |mac: Mac| self.stations.peek(&(link, mac));
        let has_another = |claim: &Claim| {
            station(claim.mac).is_some_and(|station| station.has_others || station.first != address)
        };
        let pushes = |claim: &Claim| u64::from(claim.unsolicited) >= rules::UNSOLICITED.count();
        let [first, second] = both;
        // Who came later, unless only the one that was there before looks like it.
        let (claim, owner) = match (pushes(&second), pushes(&first)) {
            (true, _) => (second, first),
            (false, true) => (first, second),
            (false, false) if has_another(&second) => (second, first),
            (false, false) => (first, second),
        };
        let goes_on = u64::from(claims.returns) >= rules::RETURNS_OF_SPOOFING.count();
        let is_impostor = match has_another(&claim) {
            true => pushes(&claim) || goes_on,
            false => pushes(&claim) && goes_on,
        };
        if !is_impostor {
            return None;
        }
        let mut packets = claims.changes.clone();
        packets.merge(&claims.unsolicited);
        Some(Impostor {
            mac: claim.mac,
            own: station(claim.mac)
                .map(|station| station.first)
                .filter(|own| *own != address),
            addresses: vec![address],
            owner: owner.mac,
            unsolicited: claim.unsolicited.into(),
            packets,
        })
    }
}

impl Claims {
    fn add(&mut self, seen: &Seen<'_, '_>, mac: Mac, is_unsolicited: bool) {
        let claim = Claim {
            mac,
            last_ns: seen.ns,
            unsolicited: 0,
        };
        let is_of = |claim: &Option<Claim>| claim.is_none_or(|claim| claim.mac == mac);
        // A third station is rare enough to be left out.
        let Some(index) = self.claims.iter().position(is_of) else {
            return;
        };
        let latest = self.claims[self.latest];
        let is_change = latest.is_some_and(|latest| latest.mac != mac);
        if is_change {
            let since = latest.map_or(0, |latest| seen.ns.saturating_sub(latest.last_ns));
            let is_soon = since <= rules::RETURN_WITHIN.ns();
            self.returns += u32::from(self.claims[index].is_some() && is_soon);
            self.changes.add(seen.number, seen.ns);
        }
        let claim = self.claims[index].get_or_insert(claim);
        claim.last_ns = seen.ns;
        claim.unsolicited += u32::from(is_unsolicited);
        if is_unsolicited && !is_change {
            self.unsolicited.add(seen.number, seen.ns);
        }
        self.latest = index;
    }
}

fn conflict(address: Address, claims: &Claims, both: [Mac; 2], facts: &Facts) -> Finding {
    let [first, second] = both;
    let packets = claims.changes.clone();
    let span = packets.until_ns() - packets.since_ns();
    let summary = format!(
        "{first} and {second} both claim {address}: it went from one to the other {} times within {}.",
        packets.count(),
        duration(span)
    );
    Finding::new(&rules::ARP_CONFLICT, summary, packets)
        .confidence(confidence(facts, Confidence::High))
        .subject(Subject {
            source: Some(address),
            mac: Some(second),
            ..Subject::default()
        })
        .check(format!("arp.src.proto_ipv4 == {address}"))
}

impl Impostor {
    /// What one station claims, from its claims of single addresses.
    fn all(claims: &[Self]) -> Self {
        let mut packets = Evidence::default();
        claims.iter().for_each(|one| packets.merge(&one.packets));
        Self {
            mac: claims[0].mac,
            own: claims.iter().find_map(|one| one.own),
            addresses: claims
                .iter()
                .flat_map(|one| &one.addresses)
                .copied()
                .collect(),
            owner: claims[0].owner,
            unsolicited: claims.iter().map(|one| one.unsolicited).sum(),
            packets,
        }
    }

    fn finding(self, facts: &Facts) -> Finding {
        let mut summary = format!("{}", self.mac);
        if let Some(own) = self.own.filter(|own| !self.addresses.contains(own)) {
            let _ = write!(summary, " ({own})");
        }
        let named: Vec<_> = self
            .addresses
            .iter()
            .take(MOST_NAMED)
            .map(Address::to_string)
            .collect();
        let _ = write!(summary, " claims {}", named.join(", "));
        if self.addresses.len() > MOST_NAMED {
            let _ = write!(summary, " and {} more", self.addresses.len() - MOST_NAMED);
        }
        let _ = match self.addresses.len() {
            1 => write!(summary, ", which belongs to {}", self.owner),
            _ => write!(summary, ", which belong to other stations"),
        };
        if self.unsolicited > 0 {
            let _ = write!(
                summary,
                ", with {} replies that nobody asked for",
                self.unsolicited
            );
        }
        summary.push('.');
        let named = named
            .iter()
            .map(|address| format!("arp.src.proto_ipv4 == {address}"));
        let check = named.collect::<Vec<_>>().join(" || ");
        Finding::new(&rules::ARP_SPOOF, summary, self.packets)
            .confidence(confidence(facts, Confidence::High))
            .subject(Subject {
                source: self.own,
                mac: Some(self.mac),
                via: self.addresses.first().copied(),
                ..Subject::default()
            })
            .check(check)
    }
}
