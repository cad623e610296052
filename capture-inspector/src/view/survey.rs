//! A look at all packets that pass, which goes on from question to question: conversations, the course of time, a stream.

use std::time::Instant;

use capture_packet::decode::Decoded;

use super::{
    capture::{Scope, Shown},
    conversations::ConversationTable,
    observed::Observed,
    series::Course,
    stream::Follower,
};

/// Packets between two looks at the clock.
const PACKETS_A_LOOK: u32 = 64;

/// What is made of the packets.
pub(super) enum Kind {
    Conversations(Box<ConversationTable>),
    Course {
        /// Of which packets, by time in nanoseconds since 1970.
        span: (Option<u64>, Option<u64>),
        course: Course,
    },
    Stream(Box<Follower>),
}

/// A look, as far as it has come.
pub(super) struct Survey {
    pub(super) scope: Scope,
    pub(super) filter: String,
    /// Packets that pass and were looked at.
    pub(super) taken: u64,
    pub(super) kind: Kind,
    /// Time of the latest packet that has one.
    last_ns: u64,
    to_look: u32,
}

impl Survey {
    pub(super) fn new(scope: Scope, filter: &str, kind: Kind) -> Self {
        Self {
            scope,
            filter: filter.to_owned(),
            taken: 0,
            kind,
            last_ns: 0,
            to_look: PACKETS_A_LOOK,
        }
    }

    /// Takes the next packet that passes, and says whether there is time for more.
    pub(super) fn take(&mut self, shown: &Shown<'_>, deadline: Instant) -> bool {
        self.last_ns = shown.timestamp_ns.unwrap_or(self.last_ns);
        let frame = &shown.frame;
        match &mut self.kind {
            Kind::Course { course, .. } => course.packet(self.last_ns, frame.wire_len),
            Kind::Conversations(table) => table.packet(&observed(
                shown,
                self.last_ns,
                &Decoded::new(frame.link_type, frame.data, frame.wire_len),
            )),
            Kind::Stream(follower) => follower.packet(&observed(
                shown,
                self.last_ns,
                &Decoded::new(frame.link_type, frame.data, frame.wire_len),
            )),
        }
        self.taken += 1;
        self.to_look -= 1;
        if self.to_look == 0 {
            self.to_look = PACKETS_A_LOOK;
            return Instant::now() < deadline;
        }
        true
    }

    /// Whether nothing that may come changes it.
    pub(super) fn is_over(&self) -> bool {
        match &self.kind {
            Kind::Stream(follower) => follower.is_over(),
            Kind::Conversations(_) | Kind::Course { .. } => false,
        }
    }
}

/// As streams and conversations see a packet.
pub(super) fn observed<'p, 'a>(
    shown: &Shown<'a>,
    ns: u64,
    headers: &'p Decoded<'a>,
) -> Observed<'p, 'a> {
    Observed {
        number: shown.frame.number,
        position: shown.position,
        ns,
        direction: shown.direction,
        headers,
    }
}
