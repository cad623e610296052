//! Router advertisements of IPv6 that contradict each other (RFC 6104).

use std::fmt::Write as _;

use crate::network::link::Link;
use crate::{
    address::{Address, Mac},
    app::ndp::{Prefixes, RouterAdvertisement},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    rules::link as rules,
    seen::Seen,
};

/// Most routers that are told apart.
const MOST: usize = 64;

#[derive(Clone, Debug)]
struct Router {
    link: Link,
    address: Address,
    mac: Option<Mac>,
    /// Whether it ever was a default router.
    is_default: bool,
    prefixes: Prefixes,
    packets: Evidence,
}

/// Measures who says that it is a router.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    routers: Vec<Router>,
    /// Advertisements of routers beyond the most.
    others: u64,
}

impl Detector {
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, advertisement: &RouterAdvertisement) {
        let (link, ethernet) = (Link::of(seen), seen.headers.ethernet);
        let Some(ip) = seen.headers.ip else { return };
        let mac = ethernet
            .map(|ethernet| ethernet.source)
            .or(advertisement.mac);
        let is_same = |router: &&mut Router| {
            (router.link, router.address, router.mac) == (link, ip.source, mac)
        };
        if let Some(router) = self.routers.iter_mut().find(is_same) {
            router.is_default |= advertisement.lifetime > 0;
            if router.prefixes[0].is_none() {
                router.prefixes = advertisement.prefixes;
            }
            router.packets.add(seen.number, seen.ns);
        } else if self.routers.len() < MOST {
            self.routers.push(Router {
                link,
                address: ip.source,
                mac,
                is_default: advertisement.lifetime > 0,
                prefixes: advertisement.prefixes,
                packets: Evidence::of(seen.number, seen.ns),
            });
        } else {
            self.others += 1;
        }
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        for (index, first) in self.routers.iter().enumerate() {
            let is_of_link = |router: &&Router| router.link == first.link;
            if self.routers[..index]
                .iter()
                .any(|router| is_of_link(&router))
            {
                continue;
            }
            let routers: Vec<_> = self.routers[index..].iter().filter(is_of_link).collect();
            findings.extend(self.link(&routers, facts));
        }
    }

    /// The routers of one link, the first that was seen first.
    fn link(&self, routers: &[&Router], facts: &Facts) -> Option<Finding> {
        let first = *routers.first()?;
        let twin = routers.iter().enumerate().find_map(|(index, router)| {
            let earlier = routers[..index].iter();
            earlier
                .copied()
                .find(|one| one.address == router.address)
                .map(|one| (one, *router))
        });
        let defaults: Vec<_> = routers.iter().filter(|router| router.is_default).collect();
        let is_flood = defaults.len() as u64 >= rules::ROUTERS.count();
        let other = defaults.iter().find(|router| {
            let both_announce = router.prefixes[0].is_some() && first.prefixes[0].is_some();
            let mut prefixes = router.prefixes.iter().flatten();
            let has_common = prefixes.any(|prefix| first.prefixes.contains(&Some(*prefix)));
            first.is_default && both_announce && !has_common
        });
        let mac = |router: &Router| router.mac.unwrap_or_default();
        let (culprit, summary, sure) = if is_flood {
            let more = if self.others > 0 { "more than " } else { "" };
            let summary = format!(
                "{more}{} stations say that they are the default router of IPv6.",
                defaults.len()
            );
            (defaults[defaults.len() - 1], summary, Confidence::High)
        } else if let Some((one, router)) = &twin {
            let summary = format!(
                "Both {} and {} send router advertisements as {}.",
                mac(one),
                mac(router),
                router.address
            );
            (router, summary, Confidence::High)
        } else if let Some(router) = other {
            let mut summary = format!("{} routers of IPv6 contradict each other:", defaults.len());
            for (place, router) in [first, router].into_iter().enumerate() {
                summary.push_str(if place > 0 { ";" } else { "" });
                let _ = write!(summary, " {} ({})", router.address, mac(router));
                if let Some((prefix, len)) = router.prefixes[0] {
                    let _ = write!(summary, " announces {prefix}/{len}");
                }
            }
            summary.push('.');
            (*router, summary, Confidence::Medium)
        } else {
            return None;
        };
        let mut packets = Evidence::default();
        for router in routers {
            packets.merge(&router.packets);
        }
        Some(
            Finding::new(&rules::RA_ROGUE, summary, packets)
                .confidence(confidence(facts, sure))
                .subject(Subject {
                    source: Some(culprit.address),
                    mac: culprit.mac,
                    ..Subject::default()
                })
                .check("icmpv6.type == 134".to_owned()),
        )
    }
}
