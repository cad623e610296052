//! What stations say of one address.

use crate::{address::Mac, evidence::Evidence, rules::link as rules, seen::Seen};

/// What one station says of an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) mac: Mac,
    last_ns: u64,
    /// When the latest request that it answered was sent.
    answered_ns: Option<u64>,
    /// Whether the first that it said was a reply that nobody asked for.
    pub(super) began_unasked: bool,
    /// Replies that nobody asked for, to one station.
    pub(super) unsolicited: u32,
}

/// A station that was told that the address it wants is taken (RFC 4862 section 5.4).
#[derive(Clone, Debug)]
pub(super) struct Denial {
    pub(super) wanted_by: Mac,
    pub(super) denied_by: Mac,
    pub(super) times: u64,
    pub(super) packets: Evidence,
}

/// Who claims an address.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    pub(super) claims: [Option<Claim>; 2],
    /// Index of the latest.
    latest: usize,
    /// How often the address went back to a station that had it before, soon.
    pub(super) returns: u32,
    pub(super) changes: Evidence,
    /// Replies that nobody asked for, and that changed nothing.
    pub(super) unsolicited: Evidence,
    pub(super) denial: Option<Box<Denial>>,
}

/// How a station came to say that an address is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It told everybody, or asked for something itself.
    ByItself,
    /// It answered a request of this time.
    Asked(u64),
    /// It told one station, which had not asked.
    Unasked,
}

impl Claims {
    /// A message of a station.
    pub(super) fn add(&mut self, seen: &Seen<'_, '_>, mac: Mac, said: Said) {
        let claim = Claim {
            mac,
            last_ns: seen.ns,
            answered_ns: None,
            began_unasked: said == Said::Unasked,
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
        // A request is answered once.
        let is_unsolicited = match said {
            Said::Asked(ns) if claim.answered_ns != Some(ns) => {
                claim.answered_ns = Some(ns);
                false
            }
            Said::Asked(_) | Said::Unasked => true,
            Said::ByItself => false,
        };
        claim.unsolicited = claim.unsolicited.saturating_add(is_unsolicited.into());
        if is_unsolicited && !is_change {
            self.unsolicited.add(seen.number, seen.ns);
        }
        self.latest = index;
    }

    /// A station told another one, which asked by the packet `probe`, that the address is taken. Gives whether it is the first
    /// time.
    pub(super) fn deny(&mut self, seen: &Seen<'_, '_>, probe: (u64, u64), macs: [Mac; 2]) -> bool {
        let is_first = self.denial.is_none();
        let [wanted_by, denied_by] = macs;
        let denial = self.denial.get_or_insert_with(|| {
            Box::new(Denial {
                wanted_by,
                denied_by,
                times: 0,
                packets: Evidence::default(),
            })
        });
        denial.times += 1;
        denial.packets.add(probe.0, probe.1);
        denial.packets.add(seen.number, seen.ns);
        is_first
    }
}
