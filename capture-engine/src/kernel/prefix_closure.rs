//! The address tables as plain collections: who has which address and prefix, and what the kernel's
//! tables must hold for it. Prefix entries are closed: each one names the tasks of every shorter
//! prefix that contains it too, as a longest-prefix lookup finds only one entry.

use std::collections::BTreeMap;

use capture_common::AddressMasks;
use ipnet::IpNet;

/// The role of an endpoint in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `ip`.
    Local,
    /// `peer_ip`.
    Peer,
}

/// Sets the bits of `slot` in `masks`.
fn set(masks: &mut AddressMasks, role: Role, bit: u64) {
    match role {
        Role::Local => masks.local |= bit,
        Role::Peer => masks.peer |= bit,
    }
}

/// Addresses and prefixes of all tasks, of both families.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    /// What each task itself asks for, by prefix; whole addresses are prefixes of full length.
    own: BTreeMap<IpNet, AddressMasks>,
}

impl AddressBook {
    /// Enters an endpoint of the task with this bit.
    pub(super) fn insert(&mut self, net: IpNet, role: Role, bit: u64) {
        set(self.own.entry(net.trunc()).or_default(), role, bit);
    }

    /// Takes every endpoint of the task with this bit out.
    pub(super) fn remove(&mut self, bit: u64) {
        self.own.retain(|_, masks| {
            masks.local &= !bit;
            masks.peer &= !bit;
            *masks != AddressMasks::default()
        });
    }

    /// What the exact tables must hold.
    pub(super) fn exact(&self) -> BTreeMap<IpNet, AddressMasks> {
        self.own
            .iter()
            .filter(|(net, _)| is_exact(net))
            .map(|(net, masks)| (*net, *masks))
            .collect()
    }

    /// What the longest-prefix tables must hold.
    pub(super) fn prefixes(&self) -> BTreeMap<IpNet, AddressMasks> {
        // In this order a prefix comes before all that is within it, and those come one after the other: the prefixes
        // around the one under way lie on a stack, the longest on top.
        let mut around: Vec<(IpNet, AddressMasks)> = Vec::new();
        let prefixes = self.own.iter().filter(|(net, _)| !is_exact(net));
        prefixes
            .map(|(net, masks)| {
                while around.pop_if(|(other, _)| !other.contains(net)).is_some() {}
                let mut closed = *masks;
                if let Some((_, shorter)) = around.last() {
                    closed.local |= shorter.local;
                    closed.peer |= shorter.peer;
                }
                around.push((*net, closed));
                (*net, closed)
            })
            .collect()
    }
}

fn is_exact(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    #[test]
    fn a_longer_prefix_names_the_tasks_of_the_shorter_ones() {
        let mut book = AddressBook::default();
        book.insert(net("10.0.0.0/8"), Role::Local, 1);
        book.insert(net("10.1.0.0/16"), Role::Peer, 2);
        book.insert(net("10.1.2.0/24"), Role::Local, 4);
        book.insert(net("11.0.0.0/8"), Role::Local, 8);
        book.insert(net("10.1.2.3/32"), Role::Local, 16);
        let prefixes = book.prefixes();
        assert_eq!(prefixes.len(), 4);
        assert_eq!(
            prefixes[&net("10.0.0.0/8")],
            AddressMasks { local: 1, peer: 0 }
        );
        assert_eq!(
            prefixes[&net("10.1.0.0/16")],
            AddressMasks { local: 1, peer: 2 }
        );
        assert_eq!(
            prefixes[&net("10.1.2.0/24")],
            AddressMasks { local: 5, peer: 2 }
        );
        assert_eq!(
            book.exact(),
            BTreeMap::from([(net("10.1.2.3/32"), AddressMasks { local: 16, peer: 0 })])
        );
    }

    #[test]
    fn a_removed_task_leaves_nothing() {
        let mut book = AddressBook::default();
        book.insert(net("10.0.0.0/8"), Role::Local, 1);
        book.insert(net("10.0.0.0/8"), Role::Peer, 2);
        book.insert(net("2001:db8::1/128"), Role::Peer, 1);
        book.remove(1);
        assert_eq!(book.prefixes().len(), 1);
        assert!(book.exact().is_empty());
        book.remove(2);
        assert!(book.prefixes().is_empty());
    }

    /// Against the definition, with prefixes that are within each other deeply and of many tasks.
    #[test]
    fn the_closure_is_that_of_the_definition() {
        let mut book = AddressBook::default();
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let bits = random(1 << 12) as u32;
            let text = match random(2) {
                0 => format!("{}/{}", Ipv4Addr::from_bits(bits << 20), random(33)),
                _ => format!("2001:{:x}::/{}", bits << 4, random(129)),
            };
            let role = [Role::Local, Role::Peer][random(2) as usize];
            book.insert(net(&text), role, 1 << random(64));
        }
        let prefixes = book.prefixes();
        assert!(prefixes.len() > 500, "{}", prefixes.len());
        for (net, masks) in &prefixes {
            let mut expected = AddressMasks::default();
            let around = book.own.iter().filter(|(other, _)| other.contains(net));
            for (_, masks) in around {
                expected.local |= masks.local;
                expected.peer |= masks.peer;
            }
            assert_eq!(*masks, expected, "{net}");
        }
    }

    #[test]
    fn a_list_of_one_task_is_several_entries() {
        let mut book = AddressBook::default();
        for text in ["10.0.0.1/32", "10.0.0.9/32", "10.1.0.0/16", "2001:db8::/32"] {
            book.insert(net(text), Role::Local, 1);
        }
        book.insert(net("10.0.0.9/32"), Role::Peer, 2);
        book.insert(net("10.0.0.0/8"), Role::Local, 2);
        assert_eq!(
            book.exact()[&net("10.0.0.9/32")],
            AddressMasks { local: 1, peer: 2 }
        );
        assert_eq!(
            book.prefixes()[&net("10.1.0.0/16")],
            AddressMasks { local: 3, peer: 0 }
        );
        book.remove(1);
        assert_eq!(book.exact().len(), 1);
        assert_eq!(book.prefixes().len(), 1);
    }

    #[test]
    fn families_do_not_contain_each_other() {
        let mut book = AddressBook::default();
        book.insert(net("0.0.0.0/0"), Role::Local, 1);
        book.insert(net("::/0"), Role::Local, 2);
        let prefixes = book.prefixes();
        assert_eq!(prefixes[&net("0.0.0.0/0")].local, 1);
        assert_eq!(prefixes[&net("::/0")].local, 2);
    }
}
