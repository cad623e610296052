//! Measures who claims which address.

use crate::network::neighbours::claims::{Claims, Said};
use crate::{
    address::{Address, Mac},
    app::ndp::Neighbour,
    decode::{Arp, Icmp},
    lru::Lru,
    network::link::Link,
    rules::link as rules,
    seen::Seen,
};

/// Most addresses and stations that are remembered.
const MOST: usize = 4096;

/// Hop limit of neighbour discovery: a router would have lowered it (RFC 4861 section 7.1).
const ON_LINK: u8 = 255;

/// Addresses of a station.
#[derive(Clone, Copy, Debug)]
pub(super) struct Station {
    pub(super) first: Address,
    pub(super) has_others: bool,
    /// Addresses that it denied to others.
    pub(super) denials: u32,
}

/// A station that asks whether an address is free.
#[derive(Clone, Copy, Debug)]
struct Probe {
    mac: Mac,
    number: u64,
    ns: u64,
}

/// Measures who claims which address.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    pub(super) addresses: Lru<(Link, Address), Claims>,
    pub(super) stations: Lru<(Link, Mac), Station>,
    /// When a host last asked for an address.
    requests: Lru<(Link, Address, Address), u64>,
    probes: Lru<(Link, Address), Probe>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            addresses: Lru::new(MOST),
            stations: Lru::new(MOST),
            requests: Lru::new(MOST),
            probes: Lru::new(MOST),
        }
    }
}

impl Detector {
    pub(crate) fn arp(&mut self, seen: &Seen<'_, '_>, arp: &Arp) {
        let link = Link::of(seen);
        let is_announcement = arp.sender == arp.target;
        if arp.operation == 1 && !is_announcement {
            self.request(seen, link, arp.sender, arp.target);
        }
        // A probe claims nothing yet (RFC 5227 section 2.1.1).
        if arp.sender.is_unspecified() || arp.sender_mac.is_group() {
            return;
        }
        let is_reply = arp.operation == 2 && !is_announcement && is_to_one(seen);
        let said = self.said(seen, link, arp.sender, is_reply.then_some(arp.target));
        self.claim(seen, link, arp.sender, arp.sender_mac, said);
    }

    /// A solicitation or an advertisement of IPv6.
    #[cold]
    pub(crate) fn ndp(&mut self, seen: &Seen<'_, '_>, icmp: &Icmp) {
        let (Some(ip), Some(message)) =
            (seen.headers.ip, Neighbour::new(icmp, seen.headers.payload))
        else {
            return;
        };
        let sender = seen.headers.ethernet.map(|ethernet| ethernet.source);
        let Some(mac) = message.mac.or(sender).filter(|mac| !mac.is_group()) else {
            return;
        };
        let (link, target) = (Link::of(seen), message.target);
        if ip.ttl != ON_LINK {
            return;
        }
        if message.is_advertisement {
            if message.is_override {
                self.deny(seen, link, target, mac);
                let asker = is_to_one(seen).then_some(ip.destination);
                let said = self.said(seen, link, target, asker);
                self.claim(seen, link, target, mac, said);
            }
        } else if ip.source.is_unspecified() {
            self.probe(seen, link, target, mac);
        } else {
            self.request(seen, link, ip.source, target);
            self.claim(seen, link, ip.source, mac, Said::ByItself);
        }
    }

    fn request(&mut self, seen: &Seen<'_, '_>, link: Link, asker: Address, target: Address) {
        *self.requests.entry(&(link, asker, target), || seen.ns) = seen.ns;
    }

    /// How a station came to name `address`, to `asker` alone or to everybody.
    fn said(
        &self,
        seen: &Seen<'_, '_>,
        link: Link,
        address: Address,
        asker: Option<Address>,
    ) -> Said {
        let Some(asker) = asker else {
            return Said::ByItself;
        };
        match self.requests.peek(&(link, asker, address)) {
            Some(ns) if is_answer_in_time(*ns, seen.ns) => Said::Asked(*ns),
            _ => Said::Unasked,
        }
    }

    fn claim(&mut self, seen: &Seen<'_, '_>, link: Link, address: Address, mac: Mac, said: Said) {
        let station = self.station(link, mac, address);
        station.has_others |= station.first != address;
        let claims = self.addresses.entry(&(link, address), Claims::default);
        claims.add(seen, mac, said);
    }

    fn station(&mut self, link: Link, mac: Mac, address: Address) -> &mut Station {
        self.stations.entry(&(link, mac), || Station {
            first: address,
            has_others: false,
            denials: 0,
        })
    }

    /// A station asks whether an address is free; another one that asks wants it too.
    fn probe(&mut self, seen: &Seen<'_, '_>, link: Link, address: Address, mac: Mac) {
        self.deny(seen, link, address, mac);
        let probe = Probe {
            mac,
            number: seen.number,
            ns: seen.ns,
        };
        *self.probes.entry(&(link, address), || probe) = probe;
    }

    /// A station has an address, or wants it, that another one asked for just now.
    fn deny(&mut self, seen: &Seen<'_, '_>, link: Link, address: Address, mac: Mac) {
        let Some(probe) = self.probes.peek(&(link, address)).copied() else {
            return;
        };
        if probe.mac == mac || !is_answer_in_time(probe.ns, seen.ns) {
            return;
        }
        let claims = self.addresses.entry(&(link, address), Claims::default);
        if claims.deny(seen, (probe.number, probe.ns), [probe.mac, mac]) {
            self.station(link, mac, address).denials += 1;
        }
    }
}

fn is_answer_in_time(asked_ns: u64, ns: u64) -> bool {
    ns.saturating_sub(asked_ns) <= rules::ANSWER_WITHIN.ns()
}

fn is_to_one(seen: &Seen<'_, '_>) -> bool {
    let ethernet = seen.headers.ethernet;
    ethernet.is_none_or(|ethernet| !ethernet.destination.is_group())
}
