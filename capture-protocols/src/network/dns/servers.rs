//! What each server answered, and how fast.

use crate::{
    address::Address,
    app::dns::{Name, Question, code},
    evidence::Evidence,
    histogram::Histogram,
    lru::Lru,
    rules::dns as rules,
    seen::Seen,
};

/// Most servers that are told apart.
const MOST: usize = 512;

/// The figures of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) queries: u64,
    pub(super) answers: u64,
    pub(super) latency: Histogram,
    pub(super) slow: Evidence,
    /// Queries that were given up without an answer. More may be open.
    pub(super) unanswered: Evidence,
    pub(super) servfail: Failures,
    pub(super) refused: Failures,
    /// Both packets of each query with two different answers.
    pub(super) two_answers: Evidence,
    pub(super) twice: Option<Name>,
}

/// Answers with one code, and the first name that had it.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    pub(super) packets: Evidence,
    pub(super) name: Option<Name>,
    /// Whether all of them were for the same name.
    pub(super) has_others: bool,
}

impl Server {
    /// An answer to a query that was seen.
    pub(super) fn answered(&mut self, seen: &Seen<'_, '_>, took: u64) {
        self.answers += 1;
        self.latency.add(took);
        if took >= rules::SLOW.ns() {
            self.slow.add(seen.number, seen.ns);
        }
    }

    pub(super) fn code(&mut self, seen: &Seen<'_, '_>, code: u8, question: &Question) {
        match code {
            code::SERVFAIL => self.servfail.add(seen, question),
            code::REFUSED => self.refused.add(seen, question),
            _ => {}
        }
    }
}

impl Failures {
    fn add(&mut self, seen: &Seen<'_, '_>, question: &Question) {
        self.packets.add(seen.number, seen.ns);
        let name = self.name.get_or_insert(question.name);
        self.has_others |= name.hash() != question.name.hash();
    }
}

/// The servers that were asked last.
#[derive(Clone, Debug)]
pub(super) struct Servers(Lru<Address, Box<Server>>);

impl Default for Servers {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Servers {
    #[inline]
    pub(super) fn of(&mut self, address: Address) -> &mut Server {
        self.0.entry(&address, Box::default)
    }

    /// In the order of their addresses.
    pub(super) fn sorted(&self) -> Vec<(Address, &Server)> {
        let servers = self.0.iter().map(|(address, server)| (*address, &**server));
        let mut servers: Vec<_> = servers.collect();
        servers.sort_by_key(|(address, _)| *address);
        servers
    }
}
