//! What the claims of stations mean.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use crate::network::neighbours::{
    claims::{Claim, Claims, Denial},
    detector::Detector,
};
use crate::{
    address::{Address, Mac},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    network::link::Link,
    rules::link as rules,
    text::{duration, several},
};

/// Most addresses that a sentence names.
const MOST_NAMED: usize = 4;

/// A station that claims the addresses of others.
struct Impostor {
    mac: Mac,
    own: Option<Address>,
    addresses: Vec<Address>,
    owner: Mac,
    unsolicited: u64,
    /// Whether it only says that they are taken.
    denies: bool,
    packets: Evidence,
}

pub(crate) fn findings(detector: &Detector, facts: &Facts, findings: &mut Vec<Finding>) {
    let mut impostors = Vec::new();
    let mut conflicts = Vec::new();
    let mut denials = Vec::new();
    for ((link, address), claims) in detector.addresses.iter() {
        let impostor = match claims.claims {
            [Some(first), Some(second)] => {
                detector.impostor(*link, *address, claims, [first, second])
            }
            _ => None,
        };
        match (impostor, claims.claims, &claims.denial) {
            (Some(impostor), ..) => impostors.push(impostor),
            (None, [Some(first), Some(second)], _) if claims.returns >= 1 => {
                conflicts.push((*address, first.mac, second.mac, claims));
            }
            (None, _, Some(denial)) => match detector.denier(*link, *address, denial) {
                Some(impostor) => impostors.push(impostor),
                None => denials.push((*address, denial)),
            },
            _ => {}
        }
    }
    // The same may be seen on several interfaces, as on a bridge and its ports.
    conflicts.sort_unstable_by_key(|(address, first, second, claims)| {
        (*address, *first, *second, Reverse(claims.changes.count()))
    });
    conflicts.dedup_by_key(|(address, first, second, _)| (*address, *first, *second));
    let claimed = claimed_by_one(
        conflicts
            .iter()
            .map(|(address, first, second, _)| (*address, [*first, *second])),
    );
    for (address, first, second, claims) in conflicts {
        match [first, second]
            .into_iter()
            .find(|mac| claimed.contains_key(mac) && !address.is_v4())
        {
            Some(mac) => impostors.push(Impostor {
                mac,
                own: None,
                addresses: vec![address],
                owner: if mac == first { second } else { first },
                unsolicited: 0,
                denies: false,
                packets: claims.changes.clone(),
            }),
            None => findings.push(conflict(address, claims, [first, second], facts)),
        }
    }
    denials.sort_unstable_by_key(|(address, denial)| (*address, Reverse(denial.times)));
    denials.dedup_by_key(|(address, _)| *address);
    findings.extend(
        denials
            .into_iter()
            .map(|(address, denial)| denied(address, denial, facts)),
    );
    impostors.sort_unstable_by_key(|impostor: &Impostor| {
        let address = impostor.addresses[0];
        (
            address.is_v4(),
            impostor.mac,
            address,
            Reverse(impostor.unsolicited),
        )
    });
    impostors.dedup_by_key(|impostor| (impostor.mac, impostor.addresses[0]));
    let is_of_one = |one: &Impostor, other: &Impostor| {
        one.mac == other.mac && one.addresses[0].is_v4() == other.addresses[0].is_v4()
    };
    for impostors in impostors.chunk_by(is_of_one) {
        findings.push(Impostor::all(impostors).finding(facts));
    }
}

/// Stations that are in conflict with others over so many addresses of IPv6 that it is no mistake.
fn claimed_by_one(conflicts: impl Iterator<Item = (Address, [Mac; 2])>) -> BTreeMap<Mac, u64> {
    let mut counts = BTreeMap::new();
    for (_, macs) in conflicts.filter(|(address, _)| !address.is_v4()) {
        for mac in macs {
            *counts.entry(mac).or_default() += 1;
        }
    }
    counts.retain(|_, count| *count >= rules::CLAIMED_OF_OTHERS.count());
    counts
}

impl Detector {
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
        // Who came later, unless only the one that was there before looks like it. Tools that poison repair at the end
        // what they did, in the name of the owner: who answered when it was asked is not to blame for that.
        let (claim, owner) = match (pushes(&second), pushes(&first) && first.began_unasked) {
            (true, false) => (second, first),
            (true, true) if second.began_unasked => (second, first),
            (_, true) => (first, second),
            (false, false) if has_another(&second) => (second, first),
            (false, false) => (first, second),
        };
        let goes_on = u64::from(claims.returns) >= rules::RETURNS_OF_SPOOFING.count();
        // Every host has several addresses of IPv6.
        let is_impostor = match has_another(&claim) {
            true => pushes(&claim) || (goes_on && address.is_v4()),
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
            denies: false,
            packets,
        })
    }

    /// A station that says of every address that it is taken.
    fn denier(&self, link: Link, address: Address, denial: &Denial) -> Option<Impostor> {
        let station = self.stations.peek(&(link, denial.denied_by))?;
        let denies_all = u64::from(station.denials) >= rules::CLAIMED_OF_OTHERS.count();
        denies_all.then(|| Impostor {
            mac: denial.denied_by,
            own: None,
            addresses: vec![address],
            owner: denial.wanted_by,
            unsolicited: 0,
            denies: true,
            packets: denial.packets.clone(),
        })
    }
}

/// A display filter for what is said of an address.
fn filter(address: Address) -> String {
    match address.is_v4() {
        true => format!("arp.src.proto_ipv4 == {address}"),
        false => format!(
            "icmpv6.nd.na.target_address == {address} || icmpv6.nd.ns.target_address == {address} || (icmpv6.type == 135 && ipv6.src == {address})"
        ),
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
    let rule = match address.is_v4() {
        true => &rules::ARP_CONFLICT,
        false => &rules::NDP_CONFLICT,
    };
    Finding::new(rule, summary, packets)
        .confidence(confidence(facts, Confidence::High))
        .subject(Subject {
            source: Some(address),
            mac: Some(second),
            ..Subject::default()
        })
        .check(filter(address))
}

fn denied(address: Address, denial: &Denial, facts: &Facts) -> Finding {
    let summary = format!(
        "{} wanted to take {address}, which {} has or wants too: duplicate address detection failed {}.",
        denial.wanted_by,
        denial.denied_by,
        several(denial.times, "time")
    );
    Finding::new(&rules::NDP_CONFLICT, summary, denial.packets.clone())
        .confidence(confidence(facts, Confidence::High))
        .count(denial.times)
        .subject(Subject {
            source: Some(address),
            mac: Some(denial.wanted_by),
            ..Subject::default()
        })
        .check(filter(address))
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
            denies: claims.iter().all(|one| one.denies),
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
            _ if self.denies => write!(summary, " whenever others want to take them"),
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
        let rule = match self.addresses[0].is_v4() {
            true => &rules::ARP_SPOOF,
            false => &rules::NDP_SPOOF,
        };
        // Of all addresses: packets of any may be cited.
        let check = match self.addresses.len() {
            0..=MOST_NAMED => {
                let each = self.addresses.iter().copied().map(filter);
                each.collect::<Vec<_>>().join(" || ")
            }
            _ if rule.code == rules::ARP_SPOOF.code => "arp".to_owned(),
            _ => "icmpv6.type == 135 || icmpv6.type == 136".to_owned(),
        };
        Finding::new(rule, summary, self.packets)
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
