//! Connections that did not come to be, by client and service. A scan makes thousands of them, which must not displace
//! those of others, nor be displaced by its own.

use super::table::Who;
use crate::{
    address::Address,
    evidence::Evidence,
    lru::Lru,
    rules::tcp as rules,
    tcp::{Connection, SeenFrom},
};

/// Clients and services that are told apart.
const MOST: usize = 1024;

/// How many of them one client may have before those of it that follow go to a table of their own.
const OF_CLIENT: u32 = 128;

/// Size of that table, which all such clients share.
const MOST_OF_BUSY: usize = 256;

/// Connections of one client to one service that did not come to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// SYNs without any answer.
    pub(super) unanswered: Evidence,
    pub(super) unanswered_connections: u64,
    /// The first SYN of the first of them.
    pub(super) first_syn_ns: Option<u64>,
    pub(super) refused: Evidence,
    /// SYNs that arrive at the host where they were captured.
    pub(super) at_server: bool,
}

/// All of them, within bounds.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    ordinary: Lru<Who, Attempt>,
    /// How many of `ordinary` each client has.
    of_client: Lru<Address, u32>,
    /// Of clients with [`OF_CLIENT`] of them already, the latest.
    busy: Lru<Who, Attempt>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            ordinary: Lru::new(MOST),
            of_client: Lru::new(MOST),
            busy: Lru::new(MOST_OF_BUSY),
        }
    }
}

impl Attempts {
    /// A connection that was not answered by a SYN/ACK.
    pub(super) fn add(&mut self, who: &Who, connection: &Connection, number: u64) {
        let client = &connection.streams[connection.client.index()];
        let refused = connection
            .reset
            .as_ref()
            .filter(|reset| reset.by != connection.client);
        if let Some(reset) = refused {
            self.of(who).refused.add(reset.number, reset.ns);
        } else if connection.streams[connection.client.other().index()].is_started() {
            // Something came back, so that it is no silence.
        } else if u64::from(client.syns) >= rules::UNANSWERED_SYNS.count() {
            let attempt = self.of(who);
            attempt.unanswered.add(number, connection.syn_ns);
            attempt.unanswered_connections += 1;
            let first = attempt.first_syn_ns.get_or_insert(connection.syn_ns);
            *first = connection.syn_ns.min(*first);
            attempt.at_server |= connection.seen_from(connection.client) == SeenFrom::Receiver;
        }
    }

    fn of(&mut self, who: &Who) -> &mut Attempt {
        let Self {
            ordinary,
            of_client,
            busy,
        } = self;
        if busy.peek(who).is_some() {
            return busy.entry(who, Attempt::default);
        }
        if ordinary.peek(who).is_none() {
            let count = of_client.entry(&who.client, || 0);
            if *count >= OF_CLIENT {
                return busy.entry(who, Attempt::default);
            }
            *count += 1;
        }
        let id = ordinary.get_or_insert(who, Attempt::default, |old, _| {
            if let Some(count) = of_client.peek_mut(&old.client) {
                *count = count.saturating_sub(1);
            }
        });
        ordinary.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Who, &Attempt)> {
        self.ordinary.iter().chain(self.busy.iter())
    }
}
