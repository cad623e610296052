//! Follows each query to its answer.

use crate::network::dns::{
    clients::Clients,
    domains::Domains,
    names::Names,
    servers::{Server, Servers},
};
use crate::{
    address::Address,
    app::dns::{Message, PORT, Question, code, code_name},
    decode::{Tcp, TcpFlags},
    evidence::Evidence,
    facts::Facts,
    histogram::Histogram,
    lru::Lru,
    report::{DnsLatency, DnsReport},
    seen::Seen,
};

/// Most transactions that are remembered, answered or not.
const MOST_OPEN: usize = 16_384;

/// Most pairs of client and server with a truncated answer.
const MOST_TRUNCATED: usize = 1024;

/// Silence after which an identifier that comes again is of a new query: more than any resolver waits between its tries.
const RETRY_NS: u64 = 15_000_000_000;

/// Which query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    client: Address,
    pub(super) server: Address,
    port: u16,
    id: u16,
}

/// A query and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    name: u64,
    kind: u16,
    /// How often it was asked and answered.
    queries: u16,
    pub(super) answers: u16,
    pub(super) ns: u64,
    pub(super) number: u64,
    answer: FirstAnswer,
}

#[derive(Clone, Copy, Debug, Default)]
struct FirstAnswer {
    number: u64,
    ns: u64,
    code: u8,
    hash: Option<u64>,
}

/// Truncated answers of a server to a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Truncated {
    pub(super) packets: Evidence,
    /// The name that was asked for last, and whether a whole answer came by UDP after all.
    name: u64,
    pub(super) is_resolved: bool,
    pub(super) is_tried: bool,
    pub(super) is_connected: bool,
}

/// Measures DNS.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    pub(super) open: Lru<Key, Transaction>,
    pub(super) servers: Servers,
    pub(super) clients: Clients,
    pub(super) truncated: Lru<(Address, Address), Truncated>,
    pub(super) domains: Domains,
    names: Names,
    queries: u64,
    pub(super) answers: u64,
    over_tcp: u64,
    codes: [u64; 16],
    latency: Histogram,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            open: Lru::new(MOST_OPEN),
            servers: Servers::default(),
            clients: Clients::default(),
            truncated: Lru::new(MOST_TRUNCATED),
            domains: Domains::default(),
            names: Names::default(),
            queries: 0,
            answers: 0,
            over_tcp: 0,
            codes: [0; 16],
            latency: Histogram::default(),
        }
    }
}

impl Detector {
    /// A datagram from or to port 53.
    pub(crate) fn datagram(&mut self, seen: &Seen<'_, '_>) {
        if let Some(message) = Message::new(seen.headers.payload) {
            self.message(seen, &message, false);
        }
    }

    /// A segment from or to port 53.
    pub(crate) fn segment(&mut self, seen: &Seen<'_, '_>, tcp: &Tcp) {
        let Some(ip) = seen.headers.ip else { return };
        let is_to_server = tcp.destination_port == PORT;
        let pair = match is_to_server {
            true => (ip.source, ip.destination),
            false => (ip.destination, ip.source),
        };
        if let Some(truncated) = self.truncated.peek_mut(&pair) {
            truncated.is_tried |= is_to_server && !tcp.flags.any(TcpFlags::RST);
            truncated.is_connected |= !is_to_server && tcp.flags.has(TcpFlags::SYN | TcpFlags::ACK);
            truncated.is_connected |= !is_to_server && !seen.headers.payload.is_empty();
        }
        if let Some(message) = Message::of_stream(seen.headers.payload) {
            self.message(seen, &message, true);
        }
    }

    fn message(&mut self, seen: &Seen<'_, '_>, message: &Message<'_>, is_tcp: bool) {
        let (Some(ip), Some((source, destination))) =
            (seen.headers.ip, seen.headers.transport.ports())
        else {
            return;
        };
        if message.operation() != 0 {
            return;
        }
        // A segment in the middle of a stream is not to pass for a message: its question has to make sense.
        let Some(question) = message.question() else {
            return;
        };
        self.over_tcp += u64::from(is_tcp);
        if message.is_response() && source == PORT {
            let key = Key {
                client: ip.destination,
                server: ip.source,
                port: destination,
                id: message.id(),
            };
            self.response(seen, message, &question, key, is_tcp);
        } else if !message.is_response() && destination == PORT {
            let key = Key {
                client: ip.source,
                server: ip.destination,
                port: source,
                id: message.id(),
            };
            self.query(seen, &question, key);
        }
    }

    fn query(&mut self, seen: &Seen<'_, '_>, question: &Question, key: Key) {
        let name = question.name.hash();
        let new = || Transaction {
            name,
            kind: question.kind,
            queries: 0,
            answers: 0,
            ns: seen.ns,
            number: seen.number,
            answer: FirstAnswer::default(),
        };
        let servers = &mut self.servers;
        let id = self.open.get_or_insert(&key, new, |key, old| {
            // Its answer would have come long ago, where so many came in between.
            if old.answers == 0 && seen.ns.saturating_sub(old.ns) >= Facts::LONG_ENOUGH_NS {
                servers.of(key.server).unanswered.add(old.number, old.ns);
            }
        });
        let open = self.open.get_mut(id);
        let is_retry = open.name == name
            && open.kind == question.kind
            && open.answers == 0
            && seen.ns.saturating_sub(open.ns) < RETRY_NS;
        if !is_retry {
            if open.answers == 0 && open.queries > 0 {
                self.servers
                    .of(key.server)
                    .unanswered
                    .add(open.number, open.ns);
            }
            *open = new();
        }
        open.queries = open.queries.saturating_add(1);
        if open.queries > 1 {
            return;
        }
        self.queries += 1;
        self.servers.of(key.server).queries += 1;
        self.names.add(&question.name, name);
        self.domains.query(seen, question, key.client);
    }

    fn response(
        &mut self,
        seen: &Seen<'_, '_>,
        message: &Message<'_>,
        question: &Question,
        key: Key,
        is_tcp: bool,
    ) {
        let name = question.name.hash();
        let server = self.servers.of(key.server);
        let open = self.open.peek_mut(&key).filter(|open| open.name == name);
        if let Some(open) = open {
            open.answers = open.answers.saturating_add(1);
            if open.answers > 1 {
                return second_answer(seen, message, question, open, server);
            }
            open.answer = FirstAnswer {
                number: seen.number,
                ns: seen.ns,
                code: message.code(),
                hash: message.answer_hash(),
            };
            let took = seen.ns.saturating_sub(open.ns);
            server.answered(seen, took);
            self.latency.add(took);
        }
        // What was asked before the capture began is counted too, without a latency.
        self.answers += 1;
        self.codes[usize::from(message.code())] += 1;
        server.code(seen, message.code(), question);
        self.clients
            .answer(seen, key.client, message.code(), question, name);
        if is_tcp {
            return;
        }
        if message.is_truncated() {
            let truncated = self
                .truncated
                .entry(&(key.client, key.server), Truncated::default);
            truncated.packets.add(seen.number, seen.ns);
            (truncated.name, truncated.is_resolved) = (name, false);
        } else if let Some(truncated) = self.truncated.peek_mut(&(key.client, key.server)) {
            truncated.is_resolved |= truncated.name == name && message.code() == code::NO_ERROR;
        }
    }

    /// The figures for the report; `None` without DNS.
    pub(crate) fn report(&self) -> Option<DnsReport> {
        if self.queries + self.answers == 0 {
            return None;
        }
        let codes = self.codes.iter().enumerate();
        let codes = codes.filter(|(_, count)| **count > 0);
        Some(DnsReport {
            queries: self.queries,
            answers: self.answers,
            over_tcp: self.over_tcp,
            latency_us: DnsLatency::of(&self.latency),
            codes: codes
                .map(|(code, count)| (code_name(code as u8), *count))
                .collect(),
            names: self.names.top(),
        })
    }
}

/// An answer to a query that was answered already: the same again, that of a retry, or somebody else's.
#[cold]
fn second_answer(
    seen: &Seen<'_, '_>,
    message: &Message<'_>,
    question: &Question,
    open: &Transaction,
    server: &mut Server,
) {
    let first = &open.answer;
    let is_other = (first.code, first.hash) != (message.code(), message.answer_hash());
    if is_other && open.answers > open.queries && !message.is_truncated() {
        server.two_answers.add(first.number, first.ns);
        server.two_answers.add(seen.number, seen.ns);
        server.twice.get_or_insert(question.name);
    }
}
