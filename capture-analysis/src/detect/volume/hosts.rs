//! Who talks most. A table of those with the most bytes so far; whoever has few gives way.

use std::cmp::Reverse;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{
    address::Address,
    decode::Ip,
    flow::{FlowKey, Side},
    report::HostVolume,
    seen::Flow,
};

/// Hosts that are kept where they are too many, those with the most bytes.
const KEPT: usize = 8192;

/// Figures of hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// Seeded: addresses are chosen by whoever sends.
    hosts: HashMap<Address, Figures, RandomState>,
}

/// Of what a host sent, and of what it received.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    packets: [u64; 2],
    bytes: [u64; 2],
    flows: u64,
}

impl Figures {
    fn all_bytes(&self) -> u64 {
        self.bytes[0].saturating_add(self.bytes[1])
    }
}

impl Hosts {
    /// A packet that is of no flow.
    #[cold]
    pub(super) fn packet(&mut self, ip: &Ip, wire_len: u32) {
        for (address, way) in [(ip.source, 0), (ip.destination, 1)] {
            let host = self.host(address);
            host.packets[way] += 1;
            host.bytes[way] += u64::from(wire_len);
        }
    }

    /// A flow has ended.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let is_of_one = key.end(Side::Low).address == key.end(Side::High).address;
        for side in [Side::Low, Side::High] {
            let (own, other) = (side.index(), side.other().index());
            let host = self.host(key.end(side).address);
            host.packets[0] += flow.packets[own];
            host.packets[1] += flow.packets[other];
            host.bytes[0] += flow.bytes[own];
            host.bytes[1] += flow.bytes[other];
            host.flows += u64::from(!is_of_one || side == Side::Low);
        }
    }

    fn host(&mut self, address: Address) -> &mut Figures {
        if self.hosts.len() >= 2 * KEPT && !self.hosts.contains_key(&address) {
            self.forget();
        }
        self.hosts.entry(address).or_default()
    }

    /// Forgets about half of them.
    #[cold]
    fn forget(&mut self) {
        let mut sizes: Vec<_> = self.hosts.values().map(Figures::all_bytes).collect();
        let (_, least, _) = sizes.select_nth_unstable_by_key(KEPT, |bytes| Reverse(*bytes));
        let least = *least;
        self.hosts.retain(|_, host| host.all_bytes() > least);
    }

    /// Those with the most bytes.
    pub(super) fn report(&self, most: usize) -> Vec<HostVolume> {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        hosts.sort_unstable_by_key(|(address, host)| (Reverse(host.all_bytes()), **address));
        let hosts = hosts.into_iter().take(most);
        let hosts = hosts.map(|(address, host)| HostVolume {
            address: *address,
            packets_out: host.packets[0],
            packets_in: host.packets[1],
            bytes_out: host.bytes[0],
            bytes_in: host.bytes[1],
            conversations: host.flows,
        });
        hosts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_much_stays_among_very_many() {
        let mut hosts = Hosts::default();
        let address = |number: u32| Address::v4(number.to_be_bytes());
        for number in 0..200_000 {
            hosts.host(address(number)).bytes = [u64::from(number % 1000 == 7) * 1_000_000 + 60; 2];
            assert!(hosts.hosts.len() <= 2 * KEPT);
        }
        let report = hosts.report(100);
        assert_eq!(report.len(), 100);
        assert!(report.iter().all(|host| host.bytes_in > 1_000_000));
    }

    #[test]
    fn hosts_that_are_all_alike_do_not_grow() {
        let mut hosts = Hosts::default();
        for number in 0..100_000_u32 {
            hosts.host(Address::v4(number.to_be_bytes())).bytes = [60; 2];
            assert!(hosts.hosts.len() <= 2 * KEPT);
        }
    }
}
