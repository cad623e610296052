//! What is kept of all connections of one client to one port of one server, their ends taken together.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::{
    address::Address,
    evidence::Evidence,
    finding::Subject,
    histogram::Histogram,
    tcp::{Figures, SeenFrom, Stuck},
};

/// A client, a server and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Who {
    pub(super) server: Address,
    pub(super) port: u16,
    pub(super) client: Address,
}

impl Who {
    pub(super) fn subject(&self) -> Subject {
        Subject {
            source: Some(self.client),
            destination: Some(self.server),
            destination_port: Some(self.port),
            protocol: Some("tcp"),
            ..Subject::default()
        }
    }

    /// A display filter of its packets.
    pub(super) fn filter(&self) -> String {
        let ip = version(self.client);
        format!(
            "{ip}.addr == {} && {ip}.addr == {} && tcp.port == {}",
            self.client, self.server, self.port
        )
    }

    /// A display filter of its packets in one direction.
    pub(super) fn filter_from(&self, from_client: bool) -> String {
        let ip = version(self.client);
        let (source, destination, port) = match from_client {
            true => (self.client, self.server, "dstport"),
            false => (self.server, self.client, "srcport"),
        };
        format!(
            "{ip}.src == {source} && {ip}.dst == {destination} && tcp.{port} == {}",
            self.port
        )
    }

    /// The end that sends in a direction, and the other one.
    pub(super) fn ends(&self, direction: usize) -> (Address, Address) {
        match direction {
            FROM_CLIENT => (self.client, self.server),
            _ => (self.server, self.client),
        }
    }

    /// "192.0.2.1 port 443", as people say.
    pub(super) fn service(&self) -> String {
        format!("{} port {}", self.server, self.port)
    }
}

fn version(address: Address) -> &'static str {
    if address.is_v4() { "ip" } else { "ipv6" }
}

/// The direction from the client, as an index; the other is 1.
pub(super) const FROM_CLIENT: usize = 0;

/// Rows by who they are about, at most a number of them.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    index: HashTable<u32>,
    /// Seeded, as that of [`Lru`](crate::lru::Lru).
    hasher: RandomState,
    rows: Vec<(Who, T)>,
    most: usize,
    /// How often there was no room for one.
    pub(super) refused: u64,
}

impl<T: Default> Table<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            index: HashTable::new(),
            hasher: RandomState::default(),
            rows: Vec::new(),
            most,
            refused: 0,
        }
    }

    /// The row of this, made where there is none and room for it.
    pub(super) fn row(&mut self, who: &Who) -> Option<u32> {
        let hash = self.hasher.hash_one(who);
        let (rows, hasher) = (&self.rows, &self.hasher);
        let found = self.index.find(hash, |row| rows[*row as usize].0 == *who);
        if let Some(row) = found {
            return Some(*row);
        }
        if rows.len() == self.most {
            self.refused += 1;
            return None;
        }
        let row = rows.len() as u32;
        let rehash = |row: &u32| hasher.hash_one(rows[*row as usize].0);
        self.index.insert_unique(hash, row, rehash);
        self.rows.push((*who, T::default()));
        Some(row)
    }

    pub(super) fn get_mut(&mut self, row: u32) -> Option<&mut T> {
        self.rows.get_mut(row as usize).map(|(_, state)| state)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Who, T)> {
        self.rows.iter()
    }
}

/// What was measured of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Direction {
    pub(super) packets: u64,
    pub(super) payload: u64,
    pub(super) figures: Figures,
    pub(super) seen_from: Option<SeenFrom>,
    /// From data to its acknowledgement.
    pub(super) rtt: Histogram,
    pub(super) resent: Evidence,
    pub(super) reordered: Evidence,
    pub(super) doubled: Evidence,
    pub(super) delayed_writes: Evidence,
    /// Packets that fill the window of the other end.
    pub(super) full: Evidence,
    /// Acknowledgements of it that came much later than others.
    pub(super) late: Evidence,
    /// Packets in which its sender closes its window.
    pub(super) closed: Evidence,
    pub(super) closed_ns: u64,
    pub(super) closed_longest_ns: u64,
    pub(super) busy_ns: u64,
    pub(super) limited_ns: u64,
    /// The largest window that the other end announced.
    pub(super) window: u32,
    /// Connections of which a segment was never acknowledged, and the worst of them.
    pub(super) stuck: Evidence,
    pub(super) worst: Stuck,
    /// Of those, the ones where only large segments were not: the sizes that arrived and did not.
    pub(super) too_large: Evidence,
    pub(super) sizes: (u32, u32),
    /// Of those, the ones that began with the first data after a long silence, and its length.
    pub(super) after_idle: Evidence,
    pub(super) idle_s: u32,
}

/// Resets of a service, by who is said to have sent them.
#[derive(Clone, Debug, Default)]
pub(super) struct Resets {
    pub(super) mid: Evidence,
    /// Those of them while something was outstanding.
    pub(super) open: u64,
    pub(super) injected: Evidence,
    /// Of one of them: its time to live, and the usual one of that sender.
    pub(super) ttls: (u8, u8),
    pub(super) went_on: u64,
}

/// What was measured of a client and a port of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) connections: u64,
    pub(super) duration_ns: u64,
    pub(super) directions: [Direction; 2],
    pub(super) handshake: Histogram,
    /// SYN/ACKs that came late, and how many of those needed several SYNs.
    pub(super) slow_handshakes: Evidence,
    pub(super) resent_syns: u64,
    pub(super) response: Histogram,
    pub(super) slow_responses: Evidence,
    pub(super) resets: [Resets; 2],
}
