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
        let prefixes = self.own.iter().filter(|(net, _)| !is_exact(net));
        prefixes
            .clone()
            .map(|(net, _)| {
                let mut closed = AddressMasks::default();
                for (_, masks) in prefixes.clone().filter(|(other, _)| other.contains(net)) {
                    closed.local |= masks.local;
                    closed.peer |= masks.peer;
                }
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
