//! First contacts: which ports of a host, and which hosts, a source tried for the first time, and which of them answered.
//! Ordinary connections come here once each, with their SYN; none of their other packets do.

use crate::{
    address::Address,
    detect::traffic::sets::{Hosts, Ports, hash},
    evidence::Evidence,
    lru::Lru,
    seen::Seen,
    sketch::Distinct,
};

use super::tool::Shapes;

/// Pairs of hosts that are followed. Most have a few ports; one with more than 16 takes up to 16 KiB more.
const PAIRS: usize = 512;

/// Sources and ports that are followed.
const SWEEPS: usize = 1024;

/// How a host is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Way {
    Tcp(u16),
    Udp(u16),
    Echo,
    Arp,
}

/// A source, the host that it tries, and whether by UDP.
pub(super) type PairKey = (Address, Address, bool);

/// What a source tried of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair {
    pub(super) ports: Ports,
    /// Those that answered; of UDP with anything, of TCP with a SYN/ACK.
    pub(super) answered: Ports,
    /// Those that answered with a reset or an ICMP error, about.
    pub(super) refused: Distinct,
    /// Connections, or flows of UDP.
    pub(super) connections: u64,
    pub(super) shapes: Shapes,
    /// The first packet to each port.
    pub(super) packets: Evidence,
}

/// What a source tried in one way of many hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    pub(super) hosts: Hosts,
    pub(super) answered: Hosts,
    pub(super) refused: Hosts,
    pub(super) connections: u64,
    pub(super) shapes: Shapes,
    pub(super) packets: Evidence,
    /// New hosts in a second: the latest second, how many in it, and the most.
    second: u64,
    now: u64,
    pub(super) most_a_second: u64,
}

/// Measures first contacts.
#[derive(Clone, Debug)]
pub(crate) struct Contacts {
    pub(super) pairs: Lru<PairKey, Box<Pair>>,
    pub(super) sweeps: Lru<(Address, Way), Box<Sweep>>,
    /// Whether anything was answered or refused: a capture may have a filter for SYNs.
    pub(super) has_answers: bool,
}

impl Default for Contacts {
    fn default() -> Self {
        Self {
            pairs: Lru::new(PAIRS),
            sweeps: Lru::new(SWEEPS),
            has_answers: false,
        }
    }
}

/// Port of a way, and whether it is UDP; `None` where it has no ports.
fn port(way: Way) -> Option<(u16, bool)> {
    match way {
        Way::Tcp(port) => Some((port, false)),
        Way::Udp(port) => Some((port, true)),
        Way::Echo | Way::Arp => None,
    }
}

impl Contacts {
    /// A source tries a host for the first time, or again.
    pub(crate) fn tried(
        &mut self,
        seen: &Seen<'_, '_>,
        (source, target): (Address, Address),
        way: Way,
    ) {
        if target.is_group() || source.is_unspecified() || source == target {
            return;
        }
        let syn = seen.headers.ip.as_ref().zip(seen.headers.tcp());
        if let Some((port, is_udp)) = port(way) {
            let pair = self.pairs.entry(&(source, target, is_udp), Box::default);
            pair.connections += 1;
            if pair.ports.add(port) {
                if let Some((ip, tcp)) = syn {
                    pair.shapes.add(ip, tcp);
                }
                pair.packets.add(seen.number, seen.ns);
            }
        }
        let sweep = self.sweeps.entry(&(source, way), Box::default);
        sweep.connections += 1;
        if sweep.hosts.add(target) {
            if let Some((ip, tcp)) = syn {
                sweep.shapes.add(ip, tcp);
            }
            sweep.packets.add(seen.number, seen.ns);
            sweep.count(seen.ns);
        }
    }

    /// The host answers.
    pub(crate) fn answered(&mut self, (source, target): (Address, Address), way: Way) {
        self.has_answers = true;
        if let Some((port, is_udp)) = port(way)
            && let Some(pair) = self.pairs.peek_mut(&(source, target, is_udp))
        {
            pair.answered.add(port);
        }
        if let Some(sweep) = self.sweeps.peek_mut(&(source, way)) {
            sweep.answered.add(target);
        }
    }

    /// The host, or a router, says that nothing is there.
    pub(crate) fn refused(&mut self, (source, target): (Address, Address), way: Way) {
        self.has_answers = true;
        if let Some((port, is_udp)) = port(way)
            && let Some(pair) = self.pairs.peek_mut(&(source, target, is_udp))
        {
            pair.refused.add(spread(port));
        }
        if let Some(sweep) = self.sweeps.peek_mut(&(source, way)) {
            sweep.refused.add(target);
        }
    }
}

impl Sweep {
    fn count(&mut self, ns: u64) {
        let second = ns / 1_000_000_000;
        if second != self.second {
            (self.second, self.now) = (second, 0);
        }
        self.now += 1;
        self.most_a_second = self.most_a_second.max(self.now);
    }
}

/// The hash of a port, for a sketch.
fn spread(port: u16) -> u64 {
    hash(Address::v4(u32::from(port).to_be_bytes()))
}
