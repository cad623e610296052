//! Flows: packets of one protocol between two addresses and ports, both ways. The table has a bound; the flow that was
//! silent for longest gives way to a new one, which is counted.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::{address::Address, decode::Decoded};

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// Address.
    pub address: Address,
    /// Port; 0 where the protocol has none.
    pub port: u16,
}

/// Which flow: protocol and both ends, the lower first, so that both ways have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The two ends.
    pub ends: [End; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// VLAN identifier plus one, and how deep in tunnels: the same addresses may be there twice.
    pub place: (u16, u8),
}

/// Which end of a [`FlowKey`] a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The lower end.
    Low,
    /// The higher end.
    High,
}

impl Side {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl FlowKey {
    /// The flow of a packet, and which end it comes from. `None` without IP, or for a fragment that has no ports.
    #[inline]
    pub fn of(headers: &Decoded<'_>) -> Option<(Self, Side)> {
        let ip = headers.ip.as_ref()?;
        let (source_port, destination_port) = match headers.transport.ports() {
            Some(ports) => ports,
            None if ip.fragment.is_some() => return None,
            None => (0, 0),
        };
        let source = End {
            address: ip.source,
            port: source_port,
        };
        let destination = End {
            address: ip.destination,
            port: destination_port,
        };
        let (ends, side) = if source <= destination {
            ([source, destination], Side::Low)
        } else {
            ([destination, source], Side::High)
        };
        let key = Self {
            ends,
            protocol: ip.protocol,
            place: (headers.vlan.map_or(0, |vlan| vlan + 1), headers.tunnels),
        };
        Some((key, side))
    }

    /// The end on this side.
    #[inline]
    pub fn end(&self, side: Side) -> End {
        self.ends[side.index()]
    }
}

/// A place in a [`FlowTable`], valid until the flow is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId(u32);

/// Flows with what is known of each, the most recent ones.
#[derive(Debug)]
pub struct FlowTable<T> {
    index: HashTable<u32>,
    flows: Vec<Entry<T>>,
    most: usize,
    /// The flow that was seen last, and the one that was silent for longest.
    newest: u32,
    oldest: u32,
    evicted: u64,
}

#[derive(Debug)]
struct Entry<T> {
    key: FlowKey,
    newer: u32,
    older: u32,
    state: T,
}

const NONE: u32 = u32::MAX;

impl<T> FlowTable<T> {
    /// A table of at most `most` flows, at least one.
    pub fn new(most: usize) -> Self {
        Self {
            index: HashTable::new(),
            flows: Vec::new(),
            most: most.clamp(1, NONE as usize - 1),
            newest: NONE,
            oldest: NONE,
            evicted: 0,
        }
    }

    /// How many flows had to give way to others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// The flow of this key, made by `new` where there is none. In a full table the one that was silent for longest is
    /// given to `evict` first.
    #[inline]
    pub fn get_or_insert(
        &mut self,
        key: &FlowKey,
        new: impl FnOnce() -> T,
        evict: impl FnOnce(&FlowKey, T),
    ) -> FlowId {
        let hash = FxBuildHasher.hash_one(key);
        let found = self
            .index
            .find(hash, |id| self.flows[*id as usize].key == *key)
            .copied();
        let id = match found {
            Some(id) if id == self.newest => return FlowId(id),
            Some(id) => {
                self.unlink(id);
                id
            }
            None => self.insert(hash, key, new(), evict),
        };
        self.link(id);
        FlowId(id)
    }

    fn insert(
        &mut self,
        hash: u64,
        key: &FlowKey,
        state: T,
        evict: impl FnOnce(&FlowKey, T),
    ) -> u32 {
        let entry = Entry {
            key: *key,
            newer: NONE,
            older: NONE,
            state,
        };
        let id = if self.flows.len() < self.most {
            self.flows.push(entry);
            self.flows.len() as u32 - 1
        } else {
            let id = self.oldest;
            self.unlink(id);
            let old_hash = FxBuildHasher.hash_one(self.flows[id as usize].key);
            if let Ok(place) = self.index.find_entry(old_hash, |other| *other == id) {
                place.remove();
            }
            let old = std::mem::replace(&mut self.flows[id as usize], entry);
            evict(&old.key, old.state);
            self.evicted += 1;
            id
        };
        let flows = &self.flows;
        self.index.insert_unique(hash, id, |id| {
            FxBuildHasher.hash_one(flows[*id as usize].key)
        });
        id
    }

    fn unlink(&mut self, id: u32) {
        let Entry { newer, older, .. } = self.flows[id as usize];
        match self.flows.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.flows.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, id: u32) {
        let older = std::mem::replace(&mut self.newest, id);
        let entry = &mut self.flows[id as usize];
        entry.older = older;
        entry.newer = NONE;
        match self.flows.get_mut(older as usize) {
            Some(older) => older.newer = id,
            None => self.oldest = id,
        }
    }

    /// A flow of [`Self::get_or_insert`].
    #[inline]
    pub fn get_mut(&mut self, id: FlowId) -> &mut T {
        &mut self.flows[id.0 as usize].state
    }

    /// All flows, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&FlowKey, &T)> {
        self.flows.iter().map(|entry| (&entry.key, &entry.state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> FlowKey {
        let end = |port| End {
            address: Address::v4([10, 0, 0, 1]),
            port,
        };
        FlowKey {
            ends: [end(1), end(port)],
            protocol: 6,
            place: (0, 0),
        }
    }

    #[test]
    fn the_flow_that_was_silent_for_longest_gives_way() {
        let mut table = FlowTable::new(3);
        let mut evicted = Vec::new();
        // Flow 10 is seen again before there is no room.
        for port in [10, 11, 12, 10, 13, 14, 11] {
            let id = table.get_or_insert(
                &key(port),
                || 0,
                |key, count| evicted.push((key.ends[1].port, count)),
            );
            *table.get_mut(id) += 1;
        }
        assert_eq!(evicted, [(11, 1), (12, 1), (10, 2)]);
        assert_eq!((table.len(), table.evicted()), (3, 3));
        let mut left: Vec<_> = table
            .iter()
            .map(|(key, count)| (key.ends[1].port, *count))
            .collect();
        left.sort_unstable();
        assert_eq!(left, [(11, 1), (13, 1), (14, 1)]);
    }
}
